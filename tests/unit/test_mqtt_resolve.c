/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <errno.h>
#include <stdbool.h>

#include "../../gateway/mqtt_names.h"
#include "../../gateway/mqtt_resolve.h"

static void urls_are_taken_apart_with_the_schemes_own_port(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *path;
        int port;
        bool tls, websocket;
    } GOOD[] = {
        {"mqtt://broker.example", "broker.example", "", 1883, false, false},
        {"mqtts://broker.example", "broker.example", "", 8883, true, false},
        {"mqtts://broker.example:8884/", "broker.example", "", 8884, true, false},
        {"ws://broker.example", "broker.example", "", 80, false, true},
        {"wss://broker.example/mqtt", "broker.example", "/mqtt", 443, true, true},
        {"mqtt://[2001:db8::7]:1884", "2001:db8::7", "", 1884, false, false},
        {"mqtt://[::1]", "::1", "", 1883, false, false},
    };

    for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++) {
        struct mqtt_url url;
        assert_int_equal(mqtt_url_parse(GOOD[i].text, &url, NULL), 0);
        assert_string_equal(url.host, GOOD[i].host);
        assert_string_equal(url.path, GOOD[i].path);
        assert_int_equal(url.port, GOOD[i].port);
        assert_int_equal(url.tls, GOOD[i].tls);
        assert_int_equal(url.websocket, GOOD[i].websocket);
    }
}

static void numbers_are_resolved_to_themselves_whatever_the_turn(void **state)
{
    (void)state;
    struct mqtt_url v4 = {.host = "192.0.2.7", .port = 1883}, v6 = {.host = "2001:db8::7", .port = 1883};
    struct mqtt_address address;

    for (unsigned turn = 0; turn < 3; turn++) {
        assert_int_equal(mqtt_resolve(&v4, turn, &address, NULL), 0);
        assert_string_equal(address.text, "192.0.2.7");
        assert_int_equal(mqtt_resolve(&v6, turn, &address, NULL), 0);
        assert_string_equal(address.text, "[2001:db8::7]");
    }
}

static void a_name_without_an_address_is_named(void **state)
{
    (void)state;
    struct mqtt_url url = {.host = "nosuchhost.invalid", .port = 1883};
    struct mqtt_address address;
    struct err_note note = {0};

    assert_int_equal(mqtt_resolve(&url, 0, &address, &note), FG_ENOTFOUND);
    assert_non_null(strstr(note.text, "nosuchhost.invalid"));
    assert_non_null(strstr(note.text, "DNS"));
}

static void a_probe_brings_back_the_errno(void **state)
{
    (void)state;
    struct mqtt_url url = {.host = "127.0.0.1"};
    struct mqtt_address address;
    struct sockaddr_storage own;
    socklen_t len = sizeof(own);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(mqtt_resolve(&url, 0, &address, NULL), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address.addr, address.len), 0); /* port 0: any */
    assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &len), 0);
    address.addr = own;
    assert_int_equal(mqtt_route(&address), 0); /* whether anybody listens or not */
    assert_int_equal(mqtt_probe(&address, 1000), ECONNREFUSED);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(mqtt_probe(&address, 1000), 0);
    close(fd);
}

/* A shared library, libc's own getaddrinfo() apart, calls the function that the program exports. */
static void a_name_just_looked_up_has_its_address_without_a_resolver(void **state)
{
    (void)state;
    const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;

    mqtt_names_know("broker.invalid", (const struct sockaddr *)&v6, sizeof(v6));
    assert_int_equal(getaddrinfo("broker.invalid", "1883", &hints, &list), 0);
    assert_int_equal(list->ai_family, AF_INET6);
    assert_memory_equal(&((struct sockaddr_in6 *)list->ai_addr)->sin6_addr, &in6addr_loopback, 16);
    assert_null(list->ai_next);
    freeaddrinfo(list);
    mqtt_names_know("broker.invalid", (const struct sockaddr *)&v4, sizeof(v4)); /* it has moved */
    assert_int_equal(getaddrinfo("broker.invalid", "1883", NULL, &list), 0);
    assert_int_equal(list->ai_family, AF_INET);
    freeaddrinfo(list);
    assert_int_not_equal(getaddrinfo("other.invalid", "1883", &hints, &list), 0);
    assert_int_not_equal(mqtt_names_ask("broker.invalid", "1883", &hints, &list), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_taken_apart_with_the_schemes_own_port),
        cmocka_unit_test(numbers_are_resolved_to_themselves_whatever_the_turn),
        cmocka_unit_test(a_name_without_an_address_is_named),
        cmocka_unit_test(a_probe_brings_back_the_errno),
        cmocka_unit_test(a_name_just_looked_up_has_its_address_without_a_resolver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
