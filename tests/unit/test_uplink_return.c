/* SPDX-License-Identifier: Apache-2.0 */
/* From the second broker back to the first. */
#include "uplink_fixture.h"

#include <netdb.h>

#include "mqtt_fake.h"

/* The first url is f->broker, which a test starts when it is to be well; the second is another broker. */
struct pair {
    struct fixture *f;
    struct broker second;
    struct watch second_watch;
    char second_url[64];
};

static void start_on_second(struct pair *p, struct fixture *f)
{
    memset(p, 0, sizeof *p);
    p->f = f;
    broker_prepare(&p->second);
    broker_run(&p->second, OPEN);
    watch_start(&p->second_watch, p->second.port, TOPIC "/#");
    snprintf(p->second_url, sizeof p->second_url, "mqtt://127.0.0.1:%d", p->second.port);
    f->urls[1] = p->second_url;
    f->options.url_count = 2;
    f->options.return_every_ms = 200;
    keep_log(f);
    append(f, 10);
    start_uplink(f);
    WATCH_UNTIL(&p->second_watch, strcmp(link_status(f).url, p->second_url) == 0 && link_status(f).connected);
}

static void stop_pair(struct pair *p)
{
    stop_uplink(p->f);
    watch_stop(&p->second_watch);
    broker_stop(&p->second);
}

/* Together both subscribers have every record, and each record came to one of them, once. */
static void check_union(struct pair *p)
{
    struct watch *a = &p->f->watch, *b = &p->second_watch;
    uint64_t newest = store_newest(p->f->store);
    for (uint64_t seq = 1; seq <= newest; seq++)
        if (a->arrivals[seq] + b->arrivals[seq] != 1)
            fail_msg("record %llu came %u times to the first broker, %u times to the second",
                     (unsigned long long)seq, a->arrivals[seq], b->arrivals[seq]);
    assert_int_equal(a->distinct + b->distinct, newest);
}

static void until_all_arrived(struct pair *p)
{
    until_committed(p->f);
    WATCH_UNTIL(&p->f->watch, progress(p->f).waiting == 0);
    WATCH_UNTIL(&p->f->watch, (watch_read(&p->second_watch, 0),
                               p->f->watch.distinct + p->second_watch.distinct >= store_newest(p->f->store)));
}

static void the_first_broker_gets_the_uplink_back_and_each_record_comes_once(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    start_on_second(&p, f);
    start_broker(f, OPEN);
    /* Readings come all the while it moves. */
    for (int i = 0; i < 1000 && strcmp(link_status(f).url, f->url) != 0; i++) {
        append(f, 1);
        watch_read(&p.second_watch, 10);
    }
    assert_string_equal(link_status(f).url, f->url);
    append(f, 20);
    until_all_arrived(&p);
    check_union(&p);
    assert_true(f->watch.distinct >= 20 && p.second_watch.distinct >= 10);
    /* The broker we left was told, and whoever listens to both can tell which state is the newer. */
    WATCH_UNTIL(&f->watch, f->watch.state && json_bool(f->watch.state, "online", false));
    WATCH_UNTIL(&p.second_watch, !json_bool(p.second_watch.state, "online", true));
    assert_true(json_int(f->watch.state, "connection", 0) > json_int(p.second_watch.state, "connection", 0));
    assert_int_equal(logged(f, "moving to it"), 1);
    assert_int_equal(logged(f, "FG-LINK-DOWN"), 0);
    stop_pair(&p);
}

/* The name server answers no more once the uplink stands on the second broker. */
static struct {
    _Atomic unsigned asked;
    _Atomic bool answers;
} server;

int __real_mqtt_names_ask(const char *, const char *, const struct addrinfo *, struct addrinfo **);
int __wrap_mqtt_names_ask(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int __wrap_mqtt_names_ask(const char *host, const char *port, const struct addrinfo *hints,
                          struct addrinfo **ret)
{
    if (strcmp(host, "first.test") == 0) {
        if (atomic_fetch_add(&server.asked, 1) == 0)
            return EAI_NONAME; /* so that the uplink goes to the second */
        while (!atomic_load(&server.answers))
            clock_sleep_until_us(clock_mono_us() + 1000);
        host = "127.0.0.1";
    }
    return __real_mqtt_names_ask(host, port, hints, ret);
}

static void a_name_server_that_does_not_answer_delays_no_reading(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    snprintf(f->url, sizeof f->url, "mqtt://first.test:%d", f->broker.port);
    start_on_second(&p, f);
    WATCH_UNTIL(&p.second_watch, atomic_load(&server.asked) == 2);
    /* From here on the look-up hangs; what is measured arrives all the same. */
    for (int i = 0; i < 5; i++) {
        append(f, 1);
        until_committed(f);
        WATCH_UNTIL(&p.second_watch, p.second_watch.distinct >= store_newest(f->store));
    }
    assert_int_equal(atomic_load(&server.asked), 2);
    start_broker(f, OPEN);
    atomic_store(&server.answers, true);
    WATCH_UNTIL(&f->watch, strcmp(link_status(f).url, f->url) == 0 && link_status(f).connected);
    append(f, 5);
    until_all_arrived(&p);
    check_union(&p);
    assert_int_equal(logged(f, "FG-LINK-DOWN"), 0);
    stop_pair(&p);
}

static void a_first_broker_that_refuses_us_disturbs_nothing_and_is_told_once(void **state)
{
    struct fixture *f = *state;
    struct mqtt_fake refusing = {.connack = "\x20\x03\x00\x87\x00", .connack_len = 5};
    struct pair p;
    mqtt_fake_start(&refusing);
    snprintf(f->url, sizeof f->url, "mqtt://127.0.0.1:%d", refusing.port);
    start_on_second(&p, f);
    uint64_t served = 0;
    for (int i = 0; served < 4; i++) { /* the uplink's own attempt, then those beside the connection */
        append(f, 1);
        watch_read(&p.second_watch, 50);
        served = atomic_load(&refusing.served);
        assert_true(i < 400);
    }
    until_committed(f);
    WATCH_UNTIL(&p.second_watch, p.second_watch.distinct >= store_newest(f->store));
    check_union(&p);
    assert_int_equal(logged(f, "FG-LINK-RETURN"), 1);
    assert_int_equal(logged(f, "FG-LINK-UP"), 1);
    assert_string_equal(link_status(f).url, p.second_url);
    stop_pair(&p);
    mqtt_fake_stop(&refusing);
}

/* It accepts, and ends the connection at once: two moves at most for each attempt, and nothing is lost. */
static void a_first_broker_that_takes_us_and_drops_us_does_not_keep_us(void **state)
{
    struct fixture *f = *state;
    struct mqtt_fake fickle = {.connack = MQTT_FAKE_CONNACK5 "\xe0\x01\x8b", .connack_len = 8};
    struct pair p;
    mqtt_fake_start(&fickle);
    snprintf(f->url, sizeof f->url, "mqtt://127.0.0.1:%d", fickle.port);
    start_on_second(&p, f);
    uint64_t before = atomic_load(&fickle.served);
    for (int i = 0; atomic_load(&fickle.served) < before + 2; i++) {
        append(f, 1);
        watch_read(&p.second_watch, 50);
        assert_true(i < 400);
    }
    until_committed(f);
    WATCH_UNTIL(&p.second_watch, p.second_watch.distinct >= store_newest(f->store));
    for (uint64_t seq = 1; seq <= store_newest(f->store); seq++)
        assert_true(p.second_watch.arrivals[seq] >= 1);
    assert_int_equal(p.second_watch.differing, 0);
    stop_pair(&p);
    mqtt_fake_stop(&fickle);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        UPLINK_TEST(the_first_broker_gets_the_uplink_back_and_each_record_comes_once),
        UPLINK_TEST(a_name_server_that_does_not_answer_delays_no_reading),
        UPLINK_TEST(a_first_broker_that_refuses_us_disturbs_nothing_and_is_told_once),
        UPLINK_TEST(a_first_broker_that_takes_us_and_drops_us_does_not_keep_us),
    };
    return parallel_tests(argc, argv, tests);
}
