/* SPDX-License-Identifier: Apache-2.0 */
/* A name server that does not answer: the resolver is the test's own (see the Makefile for how). */
#include "mqtt_world.h"

#include <netdb.h>

#include "../../gateway/mqtt_names.h"

/* slow.test waits here until it is let go, and is this machine then; none.test has no address. */
static struct {
    _Atomic unsigned asked, allowed;
} slow;

int __real_mqtt_names_ask(const char *, const char *, const struct addrinfo *, struct addrinfo **);
int __wrap_mqtt_names_ask(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int __wrap_mqtt_names_ask(const char *host, const char *port, const struct addrinfo *hints,
                          struct addrinfo **ret)
{
    if (strcmp(host, "none.test") == 0)
        return EAI_NONAME;
    if (strcmp(host, "slow.test") == 0) {
        unsigned mine = atomic_fetch_add(&slow.asked, 1) + 1;
        while (atomic_load(&slow.allowed) < mine)
            clock_sleep_until_us(clock_mono_us() + 1000);
        host = "127.0.0.1";
    }
    return __real_mqtt_names_ask(host, port, hints, ret);
}

static void until_asked(unsigned times)
{
    int64_t until = clock_mono_ms() + PATIENCE_MS;
    while (atomic_load(&slow.asked) < times && clock_mono_ms() < until)
        clock_sleep_until_us(clock_mono_us() + 1000);
    assert_int_equal(atomic_load(&slow.asked), times);
}

static void let_all_go(void)
{
    atomic_store(&slow.allowed, atomic_load(&slow.asked));
}

static struct mqtt *hasty(int64_t lookup_timeout_ms)
{
    struct mqtt_options o = options_of("hasty", 5);

    o.lookup_timeout_ms = lookup_timeout_ms;
    return client_with(&o);
}

static void a_name_that_takes_long_holds_up_nobody_and_is_found_in_the_end(void **state)
{
    (void)state;
    struct mqtt_fake f = {.connack = MQTT_FAKE_CONNACK5, .connack_len = 5};
    struct mqtt *m = client("patient", 5);
    struct mqtt_event e;
    unsigned before = atomic_load(&slow.asked);

    mqtt_fake_start(&f);
    begin(m, "mqtt", "slow.test", f.port); /* comes back: else this test would end here */
    until_asked(before + 1);
    mqtt_wait(m, clock_mono_ms() + 20, &e);
    assert_int_equal(e.kind, MQTT_NOTHING);
    let_all_go();
    expect(m, MQTT_CONNECTED);
    mqtt_free(m);
    mqtt_fake_stop(&f);
}

static void a_name_without_an_address_is_a_failed_attempt(void **state)
{
    (void)state;
    struct mqtt *m = client("nameless", 5);

    begin(m, "mqtt", "none.test", 1883);
    struct mqtt_event e = expect(m, MQTT_FAILED);
    assert_int_equal(e.reason, 0);
    expect_text(e.text, "name none.test: ");
    expect_text(e.text, "check the spelling, DNS and the link");
    mqtt_free(m);
}

static void a_name_server_that_does_not_answer_is_named_and_asked_once_however_often_it_is_tried(void **state)
{
    (void)state;
    struct mqtt_fake f = {.connack = MQTT_FAKE_CONNACK5, .connack_len = 5};
    struct mqtt *m = hasty(50);
    unsigned before = atomic_load(&slow.asked);

    mqtt_fake_start(&f);
    for (int i = 0; i < 3; i++) {
        begin(m, "mqtt", "slow.test", f.port);
        struct mqtt_event e = expect(m, MQTT_FAILED);
        expect_text(e.text, "name slow.test: the name server has not answered");
        assert_int_equal(e.reason, 0); /* nobody asks why TLS fails: that would wait for the name again */
    }
    until_asked(before + 1);
    /* Another broker can be used meanwhile. */
    begin(m, "mqtt", "127.0.0.1", f.port);
    expect(m, MQTT_CONNECTED);
    let_all_go();
    mqtt_free(m);
    mqtt_fake_stop(&f);
}

static void a_client_can_be_freed_while_its_name_is_looked_up(void **state)
{
    (void)state;
    struct mqtt *m = client("gone", 5);
    unsigned before = atomic_load(&slow.asked);

    begin(m, "mqtt", "slow.test", 1883);
    until_asked(before + 1);
    mqtt_free(m);
    let_all_go();
}

static int start_world(void **state)
{
    static struct quick quick;

    quick_start(&quick);
    *state = &quick;
    return 0;
}

static int stop_world(void **state)
{
    quick_stop(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_that_takes_long_holds_up_nobody_and_is_found_in_the_end),
        cmocka_unit_test(a_name_without_an_address_is_a_failed_attempt),
        cmocka_unit_test(
            a_name_server_that_does_not_answer_is_named_and_asked_once_however_often_it_is_tried),
        cmocka_unit_test(a_client_can_be_freed_while_its_name_is_looked_up),
    };
    return cmocka_run_group_tests(tests, start_world, stop_world);
}
