/* SPDX-License-Identifier: Apache-2.0 */
/* What reaches the journal, field by field, and how many lines a bad day costs. */
#include "unit.h"

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>

#include "../../gateway/clock.h"
#include "../../gateway/log.h"
#include "../../gateway/poller_load.h"
#include "../../gateway/poller_watch.h"
#include "../../gateway/uplink_link.h"

#define DAY_MS (24 * 3600 * INT64_C(1000))

/* ---- time that the test moves: these stand in for clock.c ---- */

static int64_t now_ms = 1000;

int64_t clock_mono_ms(void)
{
    return now_ms;
}
int64_t clock_mono_us(void)
{
    return now_ms * 1000;
}
int64_t clock_wall_ms(void)
{
    return INT64_C(1795308207000) + now_ms;
}
void clock_sleep_until_us(int64_t mono_us)
{
    now_ms = mono_us / 1000;
}
struct timespec clock_cond_after_us(int64_t us)
{
    return (struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}; /* nothing waits here */
}
bool clock_trusted(enum clock_trust rule)
{
    return rule == CLOCK_TRUST_ALWAYS;
}
void clock_boot_id(char ret_id[33])
{
    memset(ret_id, '0', 32);
    ret_id[32] = '\0';
}

/* ---- the journal's end of the socket: libsystemd sends here instead of to /run/systemd ---- */

static struct sockaddr_un journal;

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct msghdr ours = *message;
    if (journal.sun_family == AF_UNIX && message->msg_name) {
        ours.msg_name = &journal;
        ours.msg_namelen = sizeof journal;
    }
    return syscall(SYS_sendmsg, fd, &ours, flags);
}

static int listen_as_journal(const char *folder)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    journal.sun_family = AF_UNIX;
    snprintf(journal.sun_path, sizeof journal.sun_path, "%s/journal", folder);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&journal, sizeof journal) == 0);
    return fd;
}

/* What the next message says of a field, or "". */
static const char *field(const char *text, const char *key, char ret[256])
{
    char start[64];
    snprintf(start, sizeof start, "\n%s=", key);
    const char *found = strstr(text, start);
    ret[0] = '\0';
    if (found)
        snprintf(ret, 256, "%.*s", (int)strcspn(found + strlen(start), "\n"), found + strlen(start));
    return ret;
}

static void next_message(int fd, char ret[4096])
{
    ret[0] = '\n';
    ssize_t n = recv(fd, ret + 1, 4094, 0);
    assert_true(n > 0);
    ret[n + 1] = '\0';
}

/* stderr becomes a file whose identity JOURNAL_STREAM names, as systemd does it. */
static int to_journal(const char *folder)
{
    char path[128], stream[64];
    struct stat st;
    snprintf(path, sizeof path, "%s/stderr", folder);
    int old = dup(STDERR_FILENO), fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(old >= 0 && fd >= 0 && dup2(fd, STDERR_FILENO) >= 0 && fstat(fd, &st) == 0);
    close(fd);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_init(0);
    return old;
}

static void from_journal(int old)
{
    unsetenv("JOURNAL_STREAM");
    dup2(old, STDERR_FILENO);
    close(old);
    journal.sun_family = 0;
    log_init(0);
}

static void the_journal_gets_code_and_pairs_as_fields(void **state)
{
    (void)state;
    char folder[64], got[4096], text[256];
    unit_folder(folder);
    int fd = listen_as_journal(folder), old = to_journal(folder);
    log_line(LOG_PRI_WARNING, "FG-BUS-SILENT", "bus=%s device=%s unit=%d tries=%u: no answer; check a=b",
             "field", "soil-a1", 1, 3);
    next_message(fd, got);
    assert_string_equal(field(got, "PRIORITY", text), "4");
    assert_string_equal(field(got, "FIELDGATE_CODE", text), "FG-BUS-SILENT");
    assert_string_equal(field(got, "FIELDGATE_BUS", text), "field");
    assert_string_equal(field(got, "FIELDGATE_DEVICE", text), "soil-a1");
    assert_string_equal(field(got, "FIELDGATE_UNIT", text), "1");
    assert_string_equal(field(got, "FIELDGATE_TRIES", text), "3");
    assert_string_equal(field(got, "FIELDGATE_A", text), "");
    assert_string_equal(field(got, "MESSAGE", text),
                        "FG-BUS-SILENT bus=field device=soil-a1 unit=1 tries=3: no answer; check a=b");
    log_line(LOG_PRI_ERROR, "FG-LINK-TLS", "uplink=%s url=%s: x", "province", "mqtts://b.example:8883");
    next_message(fd, got);
    assert_string_equal(field(got, "FIELDGATE_URL", text), "mqtts://b.example:8883");
    log_line(LOG_PRI_ERROR, "FG-START", "cannot start: nothing=here");
    next_message(fd, got);
    assert_string_equal(field(got, "FIELDGATE_NOTHING", text), "");
    assert_string_equal(field(got, "MESSAGE", text), "FG-START cannot start: nothing=here");
    from_journal(old);
    close(fd);
    unit_remove_folder(folder);
}

static void a_line_that_is_all_pairs_or_absurd_stays_within_its_fields(void **state)
{
    (void)state;
    char folder[64], got[4096], long_value[600], text[256];
    unit_folder(folder);
    int fd = listen_as_journal(folder), old = to_journal(folder);
    memset(long_value, 'x', sizeof long_value - 1);
    long_value[sizeof long_value - 1] = '\0';
    log_line(LOG_PRI_INFO, "FG-START", "a=1 b=2 c=3 d=4 e=5 f=6 g=7 h=8 i=9 j=10 k=11 l=12 m=13 n=14");
    next_message(fd, got);
    assert_string_equal(field(got, "FIELDGATE_L", text), "12");
    assert_string_equal(field(got, "FIELDGATE_M", text), "");
    log_line(LOG_PRI_INFO, "FG-START", "a=%s empty= b=2:", long_value);
    next_message(fd, got);
    assert_string_equal(field(got, "FIELDGATE_B", text), "2");
    log_line(LOG_PRI_INFO, "FG-START", "%s", "");
    next_message(fd, got);
    assert_string_equal(field(got, "FIELDGATE_CODE", text), "FG-START");
    from_journal(old);
    close(fd);
    unit_remove_folder(folder);
}

/* ---- a bad day ---- */

struct counted {
    char folder[64];
    int old;
};

static void count_lines(struct counted *c)
{
    char path[128];
    unit_folder(c->folder);
    snprintf(path, sizeof path, "%s/stderr", c->folder);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    c->old = dup(STDERR_FILENO);
    assert_true(fd >= 0 && c->old >= 0 && dup2(fd, STDERR_FILENO) >= 0);
    close(fd);
    log_init(0);
}

/* How many lines there were; ret_last: the last of them. */
static unsigned counted(struct counted *c, char ret_last[512])
{
    char path[128], line[1200];
    unsigned n = 0;
    dup2(c->old, STDERR_FILENO);
    close(c->old);
    snprintf(path, sizeof path, "%s/stderr", c->folder);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    for (ret_last[0] = '\0'; fgets(line, sizeof line, f); n++)
        snprintf(ret_last, 512, "%s", line);
    fclose(f);
    unit_remove_folder(c->folder);
    return n;
}

enum { DEVICES = 50 };

/* Noise: every device is silent or garbled in turn, now and then gives something, and the port comes and
 * goes. */
static void a_bad_minute_of_a_bus(struct poller_watch *w, struct poller_watch_device *devices,
                                  unsigned *random)
{
    static const enum quality kinds[] = {QUALITY_NO_REPLY, QUALITY_BAD_CRC, QUALITY_GOOD,
                                         QUALITY_NOT_CONNECTED};
    for (int d = 0; d < DEVICES; d++) {
        struct driver_result r = {.failed = kinds[rand_r(random) % 4], .mono_ms = now_ms};
        for (int i = 0; i < 3; i++)
            poller_watch_result(w, &devices[d], &r, true);
    }
}

/* There is no password, now for one reason and now for another. */
static void miss_password(struct uplink_link *l, struct uplink_options *o, unsigned attempt)
{
    o->password_path = attempt % 4 == 1 ? "/nonexistent/password" : "/";
    uplink_link_connect(l, NULL);
    o->password_path = NULL;
}

static void fail_link(struct uplink_link *l, unsigned *random)
{
    static const char *const reasons[] = {"Connection refused", "timed out", "no route to host"};
    l->state = UPLINK_LINK_CONNECTING;
    if (rand_r(random) % 4 == 0) {
        uplink_link_up(l, 5);
        l->useful = true;
        uplink_link_lost(l, "the broker closed it");
    } else {
        uplink_link_failed(l, 0, reasons[rand_r(random) % 3]);
    }
}

static void start_link(struct uplink_link *l, struct uplink_options *o, const char *const *urls)
{
    static struct pulse pulse;
    *o = (struct uplink_options){.name = "province",
                                 .urls = urls,
                                 .url_count = 1,
                                 .seed = 7,
                                 .first_retry_max_ms = 20000,
                                 .state_dir = "/nonexistent"};
    assert_int_equal(uplink_link_init(l, o, NULL, &pulse), 0);
}

static int64_t half_the_period(struct driver *d, size_t device, const bool *due)
{
    (void)d;
    (void)device;
    (void)due;
    return 600000;
}

/* Two devices, asked every second, that take more than that. */
static void start_load(struct poller_load *l)
{
    static const struct driver_ops ops = {.cost_us = half_the_period};
    static struct driver driver = {.ops = &ops};
    assert_int_equal(poller_load_init(l, "field", &driver, 2, 1), 0);
    for (size_t i = 0; i < 2; i++)
        poller_load_device(l, i, &(struct busload_device){.every_ms = 1000, .point_count = 1});
}

/* The line has too little time, too, now and then; and the password comes and goes. */
static void a_day_with_a_bad_bus_and_a_bad_broker_writes_under_200_lines(void **state)
{
    (void)state;
    static const char *const urls[] = {"mqtt://broker.example:1883"};
    struct poller_load load;
    struct poller_watch w = {.bus = "field", .where = "/dev/ttyUSB0"};
    struct poller_watch_device devices[DEVICES] = {0};
    struct uplink_options o;
    struct uplink_link l;
    struct counted c;
    char last[512];
    unsigned seed = (unsigned)time(NULL), random = seed, attempts = 0;
    print_message("seed %u\n", seed);
    start_link(&l, &o, urls);
    start_load(&load);
    for (int d = 0; d < DEVICES; d++)
        devices[d].name = "soil";
    count_lines(&c);
    for (int64_t end = now_ms + DAY_MS, minute = now_ms; now_ms < end; now_ms += 500) {
        uplink_link_tell(&l, now_ms);
        if (uplink_link_due(&l, now_ms)) {
            if (attempts++ % 2)
                miss_password(&l, &o, attempts);
            else
                fail_link(&l, &random);
        }
        if (now_ms >= minute) {
            a_bad_minute_of_a_bus(&w, devices, &random);
            poller_load_note(&load, now_ms % (30 * 60000) < 10 * 60000, now_ms);
            minute += 60000;
        }
    }
    unsigned lines = counted(&c, last);
    print_message("%u lines in a day, %u attempts to connect; the last: %s", lines, attempts, last);
    assert_true(attempts > 1000);
    assert_true(lines > 20 && lines < 200);
    poller_load_fini(&load);
    uplink_link_fini(&l);
}

static void a_day_on_which_bus_and_broker_are_simply_dead_writes_a_line_for_each(void **state)
{
    (void)state;
    static const char *const urls[] = {"mqtt://broker.example:1883"};
    struct poller_watch w = {.bus = "field", .where = "/dev/ttyUSB0"};
    struct poller_watch_device devices[DEVICES] = {0};
    struct uplink_options o;
    struct uplink_link l;
    struct counted c;
    char last[512];
    start_link(&l, &o, urls);
    for (int d = 0; d < DEVICES; d++)
        devices[d].name = "soil";
    count_lines(&c);
    for (int64_t end = now_ms + DAY_MS; now_ms < end; now_ms += 60000) {
        for (int d = 0; d < DEVICES; d++)
            poller_watch_result(&w, &devices[d],
                                &(struct driver_result){.failed = QUALITY_NO_REPLY, .mono_ms = now_ms}, true);
        l.state = UPLINK_LINK_CONNECTING;
        uplink_link_failed(&l, 0, "Connection refused");
    }
    assert_int_equal(counted(&c, last), DEVICES + 1);
    uplink_link_fini(&l);
}

static void what_lasts_is_told_in_the_end_and_what_was_left_out_is_counted(void **state)
{
    (void)state;
    static const char *const urls[] = {"mqtt://broker.example:1883"};
    struct poller_watch w = {.bus = "field", .where = "/dev/ttyUSB0"};
    struct poller_watch_device device = {.name = "soil"};
    struct driver_result bad = {.failed = QUALITY_NOT_CONNECTED}, good = {.failed = QUALITY_GOOD};
    struct uplink_options o;
    struct uplink_link l;
    struct counted c;
    char last[512];
    start_link(&l, &o, urls);
    count_lines(&c);
    for (int i = 0; i < 1000; i++, now_ms += 10) {
        bad.mono_ms = good.mono_ms = now_ms;
        poller_watch_result(&w, &device, &bad, true);
        poller_watch_result(&w, &device, &good, true);
    }
    for (int64_t end = now_ms + 3 * 3600000; now_ms < end; now_ms += 60000) {
        bad.mono_ms = now_ms;
        poller_watch_result(&w, &device, &bad, true); /* now it stays away */
    }
    unsigned lines = counted(&c, last);
    assert_in_range(lines, 6, 8);
    assert_non_null(strstr(last, "<4>FG-BUS-PORT bus=field changes=1995 port=/dev/ttyUSB0: "));

    count_lines(&c);
    for (int i = 0; i < 500; i++, now_ms += 1000) {
        l.state = UPLINK_LINK_CONNECTING;
        uplink_link_up(&l, 5);
        uplink_link_lost(&l, "the broker closed it");
    }
    l.state = UPLINK_LINK_CONNECTING;
    uplink_link_up(&l, 5);
    for (int64_t end = now_ms + 3600000; now_ms < end; now_ms += 1000)
        uplink_link_tell(&l, now_ms);
    lines = counted(&c, last);
    assert_in_range(lines, 40, 42);
    assert_non_null(strstr(last, "<6>FG-LINK-UP uplink=province left_out="));
    uplink_link_fini(&l);
}

/* A disk, a clock: now so, now otherwise, ten times a second for a day. */
static void a_state_that_flaps_costs_a_few_lines_and_the_last_one_tells_what_lasts(void **state)
{
    (void)state;
    const struct damp_limits limits = {6, 4 * 3600000};
    struct damp_switch s = {0};
    char changes[DAMP_CHANGES] = "";
    unsigned lines = 0;
    bool on = false;
    for (int64_t end = now_ms + DAY_MS; now_ms < end; now_ms += 100)
        lines += damp_switch_tell(&s, &limits, on = !on, now_ms, changes);
    assert_in_range(lines, 11, 12);
    lines = 0;
    on = !s.said; /* it lasts */
    for (int64_t end = now_ms + 4 * 3600000; now_ms <= end; now_ms += 60000)
        lines += damp_switch_tell(&s, &limits, on, now_ms, changes);
    assert_int_equal(lines, 1);
    assert_true(strncmp(changes, " changes=", 9) == 0 && atoi(changes + 9) > 100000);
    assert_true(damp_switch_tell(&s, &limits, !on, now_ms + DAY_MS, changes));
    assert_string_equal(changes, "");
}

static void take_readings(struct poller_watch *w, struct poller_watch_device *d, unsigned missing)
{
    struct reading readings[8];
    for (size_t i = 0; i < 8; i++)
        readings[i] = (struct reading){.quality = missing >> i & 1 ? QUALITY_CONFIG_ERROR : QUALITY_GOOD};
    poller_watch_readings(w, d, readings, now_ms);
}

static const char *const POINTS[] = {"p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"};

static void missing_registers_take_no_line_from_a_device_that_falls_silent(void **state)
{
    (void)state;
    struct poller_watch w = {.bus = "field", .where = "/dev/ttyUSB0"};
    enum poller_config_news news[DEVICES][8] = {0};
    struct poller_watch_device devices[DEVICES] = {0};
    struct driver_result silent = {.failed = QUALITY_NO_REPLY, .mono_ms = now_ms};
    struct counted c;
    char last[512];
    count_lines(&c);
    for (int d = 0; d < 17; d++) {
        devices[d] = (struct poller_watch_device){
            .name = "soil", .point_names = POINTS, .point_count = 8, .config_news = news[d]};
        take_readings(&w, &devices[d], 0x3f);
    }
    for (int d = 0; d < 17; d++)
        for (int i = 0; i < 3; i++)
            poller_watch_result(&w, &devices[d], &silent, true);
    assert_int_equal(counted(&c, last), 100 + 17);
    assert_true(strncmp(last, "<4>FG-BUS-SILENT", 16) == 0);
}

static void missing_registers_that_are_not_named_at_once_are_counted_and_named_later(void **state)
{
    (void)state;
    struct poller_watch w = {.bus = "field", .where = "/dev/ttyUSB0"};
    enum poller_config_news news[8] = {0};
    struct poller_watch_device d = {
        .name = "soil", .point_names = POINTS, .point_count = 8, .config_news = news};
    struct counted c;
    char last[512];
    count_lines(&c);
    take_readings(&w, &d, 0x80);
    take_readings(&w, &d,
                  0x7f); /* two of them cannot be named; p7 is there again, which is seen all the same */
    take_readings(&w, &d, 0x5f); /* p6 is missing on, p5 was there for a moment */
    take_readings(&w, &d, 0xff);
    assert_int_equal(counted(&c, last), 6);
    assert_non_null(strstr(last, " point=p4: "));
    now_ms += 600000;
    count_lines(&c);
    take_readings(&w, &d, 0xff);
    assert_int_equal(counted(&c, last), 1);
    assert_non_null(strstr(last, " point=p5 left_out=3: "));
    now_ms += 3600000;
    count_lines(&c);
    take_readings(&w, &d, 0xff);
    assert_int_equal(counted(&c, last), 2);
    assert_non_null(strstr(last, " point=p7: "));
    now_ms += 7 * 3600000;
    count_lines(&c);
    take_readings(&w, &d, 0xff);
    assert_int_equal(counted(&c, last), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_journal_gets_code_and_pairs_as_fields),
        cmocka_unit_test(a_line_that_is_all_pairs_or_absurd_stays_within_its_fields),
        cmocka_unit_test(a_day_with_a_bad_bus_and_a_bad_broker_writes_under_200_lines),
        cmocka_unit_test(a_day_on_which_bus_and_broker_are_simply_dead_writes_a_line_for_each),
        cmocka_unit_test(a_state_that_flaps_costs_a_few_lines_and_the_last_one_tells_what_lasts),
        cmocka_unit_test(what_lasts_is_told_in_the_end_and_what_was_left_out_is_counted),
        cmocka_unit_test(missing_registers_take_no_line_from_a_device_that_falls_silent),
        cmocka_unit_test(missing_registers_that_are_not_named_at_once_are_counted_and_named_later),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
