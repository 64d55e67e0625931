/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates that end soon. */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../gateway/tls_expiry.h"
#include "../../gateway/uplink_expiry.h"
#include "certs.h"

enum { DAY_S = 24 * 3600, HOUR_MS = 3600 * 1000 };

struct world {
    char dir[64];
    char ca[160], cert[160];
    bool trusted;
    int out;
    struct uplink_options options;
};

static bool trusted(void *context)
{
    return ((struct world *)context)->trusted;
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    unit_folder(w->dir);
    snprintf(w->ca, sizeof w->ca, "%s/ca.crt", w->dir);
    snprintf(w->cert, sizeof w->cert, "%s/gateway.crt", w->dir);
    w->trusted = true;
    w->options = (struct uplink_options){.name = "province",
                                         .mqtt = {.ca_file = w->ca, .cert_file = w->cert},
                                         .clock_trusted = trusted,
                                         .context = w};
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    unit_remove_folder(w->dir);
    free(w);
    return 0;
}

/* Certificates with so many days left; a minute more, so that the test's own time does not count. */
static void make(struct world *w, long ca_days, long cert_days)
{
    struct cert ca = cert_make(
        w->dir,
        (struct cert_wish){.name = "ca", .ca = true, .from_s = -DAY_S * 400L, .to_s = ca_days * DAY_S + 60});
    struct cert own = cert_make(
        w->dir, (struct cert_wish){
                    .name = "gateway", .from = &ca, .from_s = -DAY_S * 400L, .to_s = cert_days * DAY_S + 60});
    cert_free(&ca);
    cert_free(&own);
}

/* What a look at the time given says. */
static const char *said(struct world *w, struct uplink_expiry *e, int64_t now_mono_ms)
{
    static char text[4096];
    char path[160];
    snprintf(path, sizeof path, "%s/log", w->dir);
    int before = dup(2), fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    dup2(fd, 2);
    uplink_expiry_look(e, &w->options, now_mono_ms);
    dup2(before, 2);
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    close(fd);
    close(before);
    return text;
}

static void a_certificate_that_ends_within_30_days_is_told_with_its_name_and_days(void **state)
{
    struct world *w = *state;
    struct uplink_expiry e = {0};
    make(w, 300, 12);
    const char *text = said(w, &e, 1);
    assert_non_null(strstr(text, "FG-LINK-EXPIRES uplink=province cert_file="));
    assert_non_null(strstr(text, "days_left=12"));
    assert_non_null(strstr(text, "certificate of gateway"));
    assert_null(strstr(text, "ca_file="));
}

static void an_authority_that_ends_is_told_too(void **state)
{
    struct world *w = *state;
    struct uplink_expiry e = {0};
    make(w, 29, 31);
    const char *text = said(w, &e, 1);
    assert_non_null(strstr(text, "ca_file="));
    assert_non_null(strstr(text, "days_left=29"));
    assert_null(strstr(text, "cert_file="));
}

static void it_is_told_once_a_day_however_often_one_connects(void **state)
{
    struct world *w = *state;
    struct uplink_expiry e = {0};
    make(w, 300, 12);
    assert_string_not_equal(said(w, &e, 1), "");
    for (int hour = 0; hour < 24; hour++)
        assert_string_equal(said(w, &e, 1 + hour * HOUR_MS), "");
    assert_string_not_equal(said(w, &e, 1 + 24L * HOUR_MS), "");
}

static void nothing_is_told_while_the_clock_is_not_trusted(void **state)
{
    struct world *w = *state;
    struct uplink_expiry e = {0};
    make(w, 5, 5);
    w->trusted = false;
    assert_string_equal(said(w, &e, 1), "");
    w->trusted = true;
    assert_string_not_equal(said(w, &e, 2), "");
}

static void a_renewed_certificate_ends_the_warnings(void **state)
{
    struct world *w = *state;
    struct uplink_expiry e = {0};
    make(w, 300, -1);
    assert_non_null(strstr(said(w, &e, 1), "has ended"));
    make(w, 300, 200);
    assert_string_equal(said(w, &e, 1 + 24L * HOUR_MS), "");
}

static void an_old_authority_beside_its_successor_is_no_trouble(void **state)
{
    struct world *w = *state;
    struct uplink_expiry e = {0};
    char command[400];
    struct cert old = cert_make(
        w->dir, (struct cert_wish){.name = "old", .ca = true, .from_s = -DAY_S * 400L, .to_s = -DAY_S});
    make(w, 300, 300);
    snprintf(command, sizeof command, "cat %s/old.crt >> %s", w->dir, w->ca);
    assert_int_equal(system(command), 0);
    assert_string_equal(said(w, &e, 1), "");
    cert_free(&old);
}

static void files_that_are_missing_or_hold_no_certificate_are_not_our_business(void **state)
{
    struct world *w = *state;
    struct uplink_expiry e = {0};
    struct tls_expiry when;
    assert_string_equal(said(w, &e, 1), "");
    assert_true(tls_expiry_read(w->ca, true, 0, &when) < 0);
    FILE *file = fopen(w->ca, "w");
    assert_non_null(file);
    fputs("no certificate\n", file);
    fclose(file);
    assert_true(tls_expiry_read(w->ca, true, 0, &when) < 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_certificate_that_ends_within_30_days_is_told_with_its_name_and_days),
        TEST(an_authority_that_ends_is_told_too),
        TEST(it_is_told_once_a_day_however_often_one_connects),
        TEST(nothing_is_told_while_the_clock_is_not_trusted),
        TEST(a_renewed_certificate_ends_the_warnings),
        TEST(an_old_authority_beside_its_successor_is_no_trouble),
        TEST(files_that_are_missing_or_hold_no_certificate_are_not_our_business),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
