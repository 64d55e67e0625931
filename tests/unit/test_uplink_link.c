/* SPDX-License-Identifier: Apache-2.0 */
/* Connecting: which url, with what, and what is said about it. */
#include "uplink_fixture.h"

#include <sys/stat.h>

#include "../../gateway/uplink_files.h"
#include "../../gateway/uplink_link.h"
#include "certs.h"

static void the_next_url_is_tried_when_the_first_is_dead(void **state)
{
    struct fixture *f = *state;
    f->urls[0] = f->dead_url;
    f->urls[1] = f->url;
    f->options.url_count = 2;
    start_broker(f, OPEN);
    append(f, 10);
    start_uplink(f);
    until_delivered(f);
    check_ledger(f, false);
    assert_string_equal(link_status(f).url, f->url);
}

static void put_password(struct fixture *f, mode_t mode)
{
    char fresh[160];
    snprintf(fresh, sizeof fresh, "%s.new", f->password);
    FILE *file = fopen(fresh, "w");
    assert_non_null(file);
    assert_int_equal(fchmod(fileno(file), mode), 0);
    fputs("pa55\n", file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(fresh, f->password), 0);
}

/* The configuration refuses such a file, but the password is read at each connect. */
static void a_password_that_has_become_readable_for_everybody_is_not_used(void **state)
{
    struct fixture *f = *state;
    snprintf(f->password, sizeof f->password, "%s/secret", f->dir);
    f->options.username = "gw";
    f->options.password_path = f->password;
    put_password(f, 0600);
    start_broker(f, OPEN);
    append(f, 10);
    keep_log(f);
    start_uplink(f);
    until_delivered(f);
    assert_int_equal(chmod(f->password, 0644), 0);
    broker_kill(&f->broker);
    append(f, 10);
    broker_again(&f->broker);
    WATCH_UNTIL(&f->watch,
                strstr(link_status(f).reason, "secret: everybody on this machine can read") != NULL);
    until_committed(f);
    assert_int_equal(progress(f).waiting, 10);
    assert_int_equal(logged(f, "FG-LINK-CREDENTIAL"), 1);
    assert_int_equal(logged(f, "chmod 600"), 1);
    assert_int_equal(chmod(f->password, 0600), 0);
    until_delivered(f);
    check_ledger(f, true);
    assert_int_equal(logged(f, "pa55"), 0);
}

static void a_missing_password_is_told_and_taken_up_when_it_appears(void **state)
{
    struct fixture *f = *state;
    snprintf(f->password, sizeof f->password, "%s/secret", f->dir);
    f->options.username = "gw";
    f->options.password_path = f->password;
    start_broker(f, OPEN);
    append(f, 10);
    keep_log(f);
    start_uplink(f);
    WATCH_UNTIL(&f->watch, strstr(link_status(f).reason, "secret: No such file") != NULL);
    assert_int_equal(progress(f).delivered, 0);
    put_password(f, 0600);
    until_delivered(f);
    check_ledger(f, false);
    assert_int_equal(logged(f, "FG-LINK-CREDENTIAL"), 1);
    assert_int_equal(logged(f, "FG-LINK-UP"), 1);
    assert_int_equal(logged(f, "pa55"), 0);
}

static void stopping_works_while_nobody_answers(void **state)
{
    struct fixture *f = *state;
    f->urls[0] = f->dead_url;
    append(f, 10);
    start_uplink(f);
    WATCH_UNTIL(&f->watch, link_status(f).next_try_mono_ms > clock_mono_ms());
    assert_false(link_status(f).connected);
    stop_uplink(f);
    assert_int_equal(progress(f).delivered, 0);
}

static void options_that_cannot_work_are_refused(void **state)
{
    struct fixture *f = *state;
    struct uplink *u = NULL;
    struct err_note note = {""};
    struct uplink_options o = f->options;
    o.format = payload_format("sparkplug");
    assert_int_equal(uplink_new(&o, &u, &note), FG_EINVALID);
    assert_non_null(strstr(note.text, "format"));
    o = f->options;
    o.url_count = 0;
    assert_int_equal(uplink_new(&o, &u, &note), FG_EINVALID);
    o = f->options;
    f->urls[0] = "http://127.0.0.1";
    assert_int_equal(uplink_new(&o, &u, &note), FG_EINVALID);
    assert_non_null(strstr(note.text, "mqtts"));
    assert_null(u);
}

static void a_failure_is_logged_once_however_often_it_is_tried(void **state)
{
    struct fixture *f = *state;
    keep_log(f);
    f->urls[0] = f->dead_url;
    start_uplink(f);
    int64_t first_try = 0;
    WATCH_UNTIL(&f->watch, (first_try = link_status(f).next_try_mono_ms) > clock_mono_ms());
    WATCH_UNTIL(&f->watch, link_status(f).next_try_mono_ms > first_try);
    assert_int_equal(logged(f, "FG-LINK-FAILED"), 1);
    assert_int_equal(logged(f, "Connection refused"), 1);
}

/* A TLS broker whose certificates are in its folder. */
static void start_tls_broker(struct fixture *f)
{
    char config[640];
    const char *dir = f->broker.dir;
    snprintf(config, sizeof config, OPEN "cafile %s/ca.crt\ncertfile %s/server.crt\nkeyfile %s/server.key\n",
             dir, dir, dir);
    broker_run(&f->broker, config);
    snprintf(f->url, sizeof f->url, "mqtts://localhost:%d", f->broker.port);
}

static void a_broker_with_a_certificate_of_somebody_else_is_explained(void **state)
{
    struct fixture *f = *state;
    char ours[128];
    struct cert ca = cert_make(f->broker.dir, (struct cert_wish){.name = "ca", .ca = true});
    struct cert other = cert_make(f->broker.dir, (struct cert_wish){.name = "other", .ca = true});
    struct cert server =
        cert_make(f->broker.dir, (struct cert_wish){.name = "server", .san = "DNS:localhost", .from = &ca});
    start_tls_broker(f);
    snprintf(ours, sizeof ours, "%s/other.crt", f->broker.dir);
    f->options.mqtt.ca_file = ours;
    append(f, 3);
    keep_log(f);
    start_uplink(f);
    WATCH_UNTIL(&f->watch, link_status(f).next_try_mono_ms > clock_mono_ms());
    assert_int_equal(logged(f, "FG-LINK-TLS"), 1);
    assert_int_equal(progress(f).delivered, 0);
    /* The file is read at each attempt: putting the right one there is enough. */
    char copy[320];
    snprintf(copy, sizeof copy, "cp %s/ca.crt %s", f->broker.dir, ours);
    assert_int_equal(system(copy), 0);
    WATCH_UNTIL(&f->watch, progress(f).accepted >= 5 && progress(f).waiting == 0);
    assert_true(link_status(f).connected);
    cert_free(&ca);
    cert_free(&other);
    cert_free(&server);
}

static void a_tls_reason_that_was_left_out_is_said_later(void **state)
{
    struct fixture *f = *state;
    struct pulse pulse = {0};
    struct uplink_link l;
    f->options.mqtt.ca_file = "/nowhere/ca.crt";
    snprintf(f->url, sizeof f->url, "mqtts://127.0.0.1:%d", f->broker.port);
    start_broker(f, OPEN);
    keep_log(f);
    assert_int_equal(uplink_link_init(&l, &f->options, NULL, &pulse), 0);
    l.voice.damp.full_until_ms = INT64_MAX / 2; /* it has said too much already */
    uplink_link_failed(&l, -1, "it failed");
    assert_non_null(strstr(l.reason, "/nowhere/ca.crt"));
    assert_int_equal(logged(f, "FG-LINK-TLS"), 0);
    l.voice.damp.full_until_ms = 0;
    uplink_link_failed(&l, -1, "it failed");
    uplink_link_failed(&l, -1, "it failed");
    assert_int_equal(logged(f, "FG-LINK-TLS"), 1);
    assert_int_equal(logged(f, "left_out="), 1);
    uplink_link_failed(&l, 0, "there is no address"); /* so there is no TLS to look into */
    assert_string_equal(l.reason, "there is no address");
    uplink_link_fini(&l);
}

static uint64_t kept_number(struct fixture *f)
{
    return uplink_connection_read(f->dir, "province");
}

static void the_connection_number_goes_on_from_its_file(void **state)
{
    struct fixture *f = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/uplink-province.connection", f->dir);
    start_broker(f, OPEN);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("41\n", file);
    assert_int_equal(fclose(file), 0);
    start_uplink(f);
    WATCH_UNTIL(&f->watch, json_int(f->watch.state, "connection", 0) == 42);
    /* A run that is killed now leaves behind that numbers up to this one may have been used. */
    assert_int_equal(kept_number(f), 1041);
    stop_uplink(f);
    assert_int_equal(kept_number(f), 42);
}

/* The file is replaced at each write, so a new one has another inode or time. */
static void a_dead_broker_costs_no_write_for_each_attempt(void **state)
{
    struct fixture *f = *state;
    struct stat first, later;
    char path[128];
    snprintf(path, sizeof path, "%s/uplink-province.connection", f->dir);
    f->urls[0] = f->dead_url;
    start_uplink(f);
    int64_t tried = 0;
    WATCH_UNTIL(&f->watch, (tried = link_status(f).next_try_mono_ms) > clock_mono_ms());
    assert_int_equal(stat(path, &first), 0);
    WATCH_UNTIL(&f->watch, link_status(f).next_try_mono_ms > tried);
    assert_int_equal(stat(path, &later), 0);
    assert_memory_equal(&first.st_mtim, &later.st_mtim, sizeof first.st_mtim);
    assert_int_equal(first.st_ino, later.st_ino);
    assert_int_equal(kept_number(f), 1000);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        UPLINK_TEST(the_next_url_is_tried_when_the_first_is_dead),
        UPLINK_TEST(a_missing_password_is_told_and_taken_up_when_it_appears),
        UPLINK_TEST(a_password_that_has_become_readable_for_everybody_is_not_used),
        UPLINK_TEST(stopping_works_while_nobody_answers),
        UPLINK_TEST(options_that_cannot_work_are_refused),
        UPLINK_TEST(a_failure_is_logged_once_however_often_it_is_tried),
        UPLINK_TEST(a_broker_with_a_certificate_of_somebody_else_is_explained),
        UPLINK_TEST(a_tls_reason_that_was_left_out_is_said_later),
        UPLINK_TEST(the_connection_number_goes_on_from_its_file),
        UPLINK_TEST(a_dead_broker_costs_no_write_for_each_attempt),
    };
    return parallel_tests(argc, argv, tests);
}
