/* SPDX-License-Identifier: Apache-2.0 */
/* What a configuration means once it is read; what is said about bad ones is in test_config_messages.c. */
#include <dirent.h>

#include "../../drivers/modbus_line.h"
#include "../../gateway/config_counter.h"
#include "../../gateway/config_rule.h"
#include "../../gateway/config_tables.h"
#include "../../gateway/json.h"
#include "../../gateway/layout.h"
#include "config_fixture.h"

#define GOLDEN "tests/golden/config"

static const char minimal[] =
    "buses: [{name: b, protocol: rtu, port: /dev/serial/by-id/x}]\n"
    "devices: [{name: d, bus: b, unit: 1, points: [{name: p, register: holding, address: 7}]}]\n"
    "uplinks: [{name: u, url: mqtt://broker.example}]\n";

static void whatever_is_left_out_gets_the_documented_default(void **state)
{
    struct config *c = load_written(*state, minimal, NULL);
    assert_null(c->gateway.id);
    assert_false(c->gateway.has_position);
    assert_string_equal(c->store.path, "/var/lib/fieldgate/buffer.db");
    assert_int_equal(c->store.max_size, INT64_C(1) << 30);
    assert_int_equal(c->store.commit_every_ms, 1000);
    assert_int_equal(c->store.keep_delivered_ms, INT64_C(30) * 86400 * 1000);
    assert_int_equal(c->clock.trust, CLOCK_TRUST_AUTO);
    assert_int_equal(c->clock.hold_ms, 30000);
    const struct config_bus *b = &c->buses[0];
    assert_int_equal(b->line.baud, 9600);
    assert_string_equal(b->line.format, "8N1");
    assert_int_equal(b->timeout_ms, 500);
    assert_int_equal(b->gap_ms, 0);
    const struct config_device *d = &c->devices[0];
    assert_true(d->enabled);
    assert_int_equal(d->every_ms, 60000);
    assert_int_equal(d->line.baud, 9600);
    assert_int_equal(d->timeout_ms, 500);
    assert_true(d->own_points);
    const struct point *p = &d->points[0];
    assert_int_equal(p->type, POINT_UINT16);
    assert_int_equal(p->order, POINT_ABCD);
    assert_int_equal(decimal_compare(p->scale, decimal_from_int(1)), 0);
    assert_int_equal(decimal_compare(p->offset, decimal_from_int(0)), 0);
    const struct config_uplink *u = &c->uplinks[0];
    assert_string_equal(u->topic, "fieldgate/v1/{gateway}");
    assert_string_equal(u->format, "json");
    assert_int_equal(u->version, 5);
    assert_int_equal(u->keepalive_ms, 120000);
    assert_int_equal(u->max_rate, 0);
    assert_int_equal(u->batch_samples, 100);
    assert_int_equal(u->batch_bytes, 32 * 1024);
    assert_int_equal(u->batch_delay_ms, 1000);
    assert_int_equal(u->command_count, 0);
    assert_null(u->password_path);
    config_free(c);
}

static void every_written_value_reaches_its_place(void **state)
{
    (void)state;
    struct config *c = load_good(GOLDEN "/good.yaml", GOLDEN "/profiles");
    char text[DECIMAL_TEXT_MAX];
    assert_string_equal(c->gateway.id, "htn-thanhlong-01");
    assert_string_equal(c->gateway.name, "HTX thanh long Hàm Thuận Nam");
    decimal_format(c->gateway.longitude, text);
    assert_string_equal(text, "107.879");
    assert_string_equal(c->gateway.labels.items[1].name, "commune");
    assert_string_equal(c->gateway.labels.items[1].value, "22918@2025-07-01");
    assert_int_equal(c->clock.trust, CLOCK_TRUST_RTC);
    assert_int_equal(c->buses[0].line.baud, 19200);
    assert_string_equal(c->buses[0].line.format, "8E1");
    assert_int_equal(c->buses[1].tcp_port, 502);
    assert_int_equal(c->buses[2].protocol, MODBUS_RTU_OVER_TCP);
    assert_int_equal(c->buses[2].tcp_port, 4001);
    const struct config_uplink *u = &c->uplinks[0];
    assert_int_equal(u->url_count, 2);
    assert_string_equal(u->urls[1], "wss://[2001:db8::1]/mqtt");
    assert_true(u->gzip);
    assert_true(u->start_now);
    assert_int_equal(u->order, CONFIG_OLDEST_FIRST);
    assert_int_equal(u->max_rate, 20480);
    assert_string_equal(u->commands[1], "poll");
    assert_string_equal(u->username, "12345");
    assert_string_equal(u->password_path, GOLDEN "/credentials/province");
    assert_string_equal(c->uplinks[1].urls[0], "mqtt://127.0.0.1");
    config_free(c);
}

static void points_are_read_in_every_notation(void **state)
{
    (void)state;
    struct config *c = load_good(GOLDEN "/good.yaml", GOLDEN "/profiles");
    const struct point *p = c->devices[2].points;
    char text[DECIMAL_TEXT_MAX];
    assert_int_equal(p[1].type, POINT_BOOL);
    assert_int_equal(p[1].table, POINT_COIL);
    assert_int_equal(p[2].table, POINT_HOLDING);
    assert_int_equal(p[2].address, 9);
    assert_true(p[2].has_bits && p[2].bit_first == 3 && p[2].bit_last == 3);
    assert_int_equal(p[3].table, POINT_INPUT);
    assert_int_equal(p[3].address, 0);
    assert_int_equal(p[3].order, POINT_CDAB);
    decimal_format(p[3].scale, text);
    assert_string_equal(text, "0.001");
    assert_int_equal(p[3].invalid_count, 2);
    assert_int_equal(p[3].invalid[0], INT32_MAX);
    assert_int_equal(p[3].invalid[1], -1);
    assert_int_equal(p[3].every_ms, 60000);
    assert_int_equal(p[4].address, 0x20);
    assert_int_equal(p[4].order, POINT_CDAB);
    assert_true(p[4].invalid[0] == -1); /* the bits of 0xFFFFFFFFFFFFFFFF */
    assert_int_equal(p[5].order, POINT_DCBA);
    assert_int_equal(c->devices[3].points[2].address, 65535);
    config_free(c);
}

static void a_profile_brings_points_limits_and_pause_but_never_its_factory_line(void **state)
{
    struct config *c =
        load_written(*state,
                     "buses: [{name: b, protocol: rtu, port: /dev/serial/by-id/x, gap: 20ms}]\n"
                     "devices:\n"
                     "- {name: d, bus: b, unit: 1, profile: good}\n"
                     "- {name: e, bus: b, unit: 2, profile: good, gap: 1ms, line: {baud: 4800}}\n",
                     GOLDEN "/profiles");
    const struct config_device *d = c->devices;
    assert_int_equal(d[0].point_count, 2);
    assert_int_equal(d[0].profile_points, 2);
    assert_false(d[0].own_points);
    assert_string_equal(d[0].points[0].unit, "%");
    assert_int_equal(d[0].max_registers, 16);
    assert_int_equal(d[0].max_hole, 2);
    assert_int_equal(d[0].gap_ms, 50);
    assert_int_equal(d[0].line.baud, 9600);
    assert_int_equal(d[1].gap_ms, 1);
    assert_int_equal(d[1].line.baud, 4800);
    assert_string_equal(d[1].line.format, "8N1");
    config_free(c);
}

static void assert_rule(const struct config_device *d, size_t point, enum config_rule_kind kind,
                        const char *change, int64_t ms)
{
    struct config_rule r = config_rule(d, point);
    char text[DECIMAL_TEXT_MAX];
    decimal_format(r.change, text);
    assert_int_equal(r.kind, kind);
    assert_string_equal(text, change);
    assert_int_equal(kind == CONFIG_RULE_AGGREGATE ? r.window_ms : r.at_least_ms, ms);
}

static void a_points_rule_goes_before_its_devices_and_that_before_its_profiles(void **state)
{
    static const int64_t MINUTE = 60 * 1000;
    static const char profile[] = "profile: ruled\ntitle: A station that says what is worth sending\nreport: "
                                  "{change: 0.5, at_least: 10min}\n"
                                  "points:\n"
                                  "- {name: t, register: input, address: 0}\n"
                                  "- {name: h, register: input, address: 1, aggregate: 5min}\n"
                                  "- {name: fan, register: coil, address: 0}\n";
    const struct fixture *f = *state;
    char path[128];
    snprintf(path, sizeof(path), "%s/ruled.yaml", f->dir);
    write_text(path, profile, sizeof(profile) - 1);
    struct config *c =
        load_written(f,
                     "buses: [{name: b, protocol: tcp, host: h}]\n"
                     "devices:\n"
                     "- {name: d, bus: b, unit: 1, profile: ruled}\n"
                     "- {name: e, bus: b, unit: 2, profile: ruled, aggregate: 20min}\n"
                     "- {name: f, bus: b, unit: 3, profile: ruled, report: {change: 2}, points: [\n"
                     "   {name: p, register: input, address: 9}]}\n",
                     f->dir);
    const struct config_device *d = c->devices;
    assert_rule(&d[0], 0, CONFIG_RULE_REPORT, "0.5", 10 * MINUTE);
    assert_rule(&d[0], 1, CONFIG_RULE_AGGREGATE, "0", 5 * MINUTE);
    assert_rule(&d[0], 2, CONFIG_RULE_REPORT, "0", 10 * MINUTE);
    assert_rule(&d[1], 0, CONFIG_RULE_AGGREGATE, "0", 20 * MINUTE);
    assert_rule(&d[1], 1, CONFIG_RULE_AGGREGATE, "0", 5 * MINUTE);
    assert_rule(&d[1], 2, CONFIG_RULE_REPORT, "0", 20 * MINUTE);
    assert_rule(&d[2], 0, CONFIG_RULE_REPORT, "2", 15 * MINUTE);
    assert_rule(&d[2], 3, CONFIG_RULE_REPORT, "2", 15 * MINUTE);
    config_free(c);
}

static void the_shipped_configuration_and_all_profiles_are_accepted(void **state)
{
    struct fixture *f = *state;
    struct config *c = load_good("config/fieldgate.yaml", "config/profiles");
    config_free(c);
    struct buf text = BUF_INIT;
    buf_adds(&text, "buses: [{name: b, protocol: tcp, host: h}]\ndevices:\n");
    DIR *dir = opendir("config/profiles");
    assert_non_null(dir);
    struct dirent *entry;
    int unit = 0;
    while ((entry = readdir(dir)))
        if (strstr(entry->d_name, ".yaml"))
            buf_addf(&text, "- {name: d%d, bus: b, unit: %d, every: 1h, profile: %.*s}\n", unit, unit,
                     (int)strlen(entry->d_name) - 5, entry->d_name),
                unit++;
    closedir(dir);
    assert_true(unit >= 10);
    c = load_written(f, text.data, "config/profiles");
    assert_int_equal(c->device_count, unit);
    config_free(c);
    buf_fini(&text);
}

static void what_is_shown_loads_again_to_the_same(void **state)
{
    struct fixture *f = *state;
    static const char *const files[][2] = {{GOLDEN "/good.yaml", GOLDEN "/profiles"},
                                           {"config/fieldgate.yaml", "config/profiles"}};
    for (size_t i = 0; i < 2; i++) {
        struct config *c = load_good(files[i][0], files[i][1]);
        char *first = shown(c);
        write_text(f->path, first, strlen(first));
        struct config *again = load_good(f->path, files[i][1]);
        char *second = shown(again);
        assert_string_equal(first, second);
        free(first);
        free(second);
        struct buf a = BUF_INIT, b = BUF_INIT;
        config_layout(c, &a);
        config_layout(again, &b);
        assert_string_equal(a.data, b.data);
        buf_fini(&a);
        buf_fini(&b);
        config_free(c);
        config_free(again);
    }
}

/* Every kind of value once; short, because it is loaded as often as it has bytes. */
static const char short_but_whole[] =
    "gateway: {id: g-1, latitude: 10.8, longitude: -7, labels: {a: \"x y\"}}\n"
    "store: {max_size: 1GiB, path: /x/y}\n"
    "buses:\n"
    "  - {name: b, protocol: rtu, port: /dev/serial/by-id/x, baud: 4800, format: 8E1}\n"
    "devices:\n"
    "  - name: d\n"
    "    bus: b\n"
    "    unit: 0x0A\n"
    "    profile: good\n"
    "    enabled: false\n"
    "    line: {baud: 4800}\n"
    "    points:\n"
    "      - {name: p, reference: 40010, bits: 0-3, scale: 1e-3, invalid: [0xF, 3], every: 5min}\n"
    "      - {name: q, register: input, address: 9, type: int32, order: CDAB, min: -1, max: 1}\n"
    "uplinks:\n"
    "  - name: u\n"
    "    url: [mqtts://h:8883, 'ws://[::1]/m']\n"
    "    client_id: \"{gateway}-{label.a}\"\n"
    "    credential: province\n"
    "    backlog: {max_rate: 1KiB/s}\n"
    "    commands: [poll]\n";

static void a_file_cut_off_at_any_byte_is_never_fatal(void **state)
{
    struct fixture *f = *state;
    size_t accepted = 0;
    for (size_t len = 0; len < sizeof(short_but_whole); len++) {
        struct config *c = NULL;
        struct buf said = BUF_INIT;
        write_text(f->path, short_but_whole, len);
        int err = load(f->path, GOLDEN "/profiles", &c, &said);
        assert_true(err == 0 || (err == FG_EINVALID && said.len > 0));
        accepted += err == 0;
        config_free(c);
        buf_fini(&said);
    }
    /* The whole file is fine, and so it is where the cut falls between entries. */
    assert_true(accepted >= 2);
}

static void assert_wrap(const struct point *p, const char *expected)
{
    char text[DECIMAL_TEXT_MAX] = "";
    if (p->has_wrap)
        decimal_format(p->wrap, text);
    assert_true(p->counter);
    assert_string_equal(text, expected);
}

static void an_unsigned_counter_wraps_where_its_register_ends(void **state)
{
    struct config *c = load_written(
        *state,
        "buses: [{name: b, protocol: tcp, host: h}]\n"
        "devices: [{name: d, bus: b, unit: 1, points: [\n"
        "  {name: a, register: input, address: 0, scale: 0.1, counter: true},\n"
        "  {name: b, register: input, address: 1, type: uint32, scale: 0.01, counter: true},\n"
        "  {name: c, register: input, address: 3, bits: 0-11, counter: true},\n"
        "  {name: d, register: input, address: 4, scale: 0.01, counter: true, wrap: 655.35},\n"
        "  {name: e, register: input, address: 5, type: float32, counter: true},\n"
        "  {name: f, register: input, address: 7, type: float32, counter: true, wrap: 1000000},\n"
        "  {name: g, register: input, address: 9, type: int32, counter: true},\n"
        "  {name: h, register: input, address: 11, type: uint64, counter: true},\n"
        "  {name: i, register: input, address: 15, counter: false}]}]\n"
        "uplinks: [{name: u, url: mqtt://broker.example}]\n",
        NULL);
    const struct point *p = c->devices[0].points;
    static const char *const wraps[] = {"6553.6", "42949672.96", "4096", "655.35", "", "1000000", "", ""};
    for (size_t i = 0; i < 8; i++)
        assert_wrap(&p[i], wraps[i]);
    assert_false(p[8].counter || p[8].has_wrap);
    char *text = shown(c);
    assert_non_null(strstr(text, "counter: true\n        wrap: 6553.6\n"));
    assert_null(strstr(text, "counter: false"));
    struct config *again = load_written(*state, text, NULL);
    assert_wrap(&again->devices[0].points[0], "6553.6");
    free(text);
    config_free(again);
    config_free(c);
}

static void a_counters_increment_follows_the_points_in_the_layout(void **state)
{
    struct config *c =
        load_written(*state,
                     "buses: [{name: b, protocol: tcp, host: h}]\n"
                     "devices: [{name: d, bus: b, unit: 1, points: [\n"
                     "  {name: rain, register: input, address: 0, scale: 0.1, unit: mm, counter: true},\n"
                     "  {name: wind, register: input, address: 1},\n"
                     "  {name: tips, register: input, address: 2, counter: true}]}]\n"
                     "uplinks: [{name: u, url: mqtt://broker.example}]\n",
                     NULL);
    static const char *const names[] = {"rain", "wind", "tips", "rain_increment", "tips_increment"};
    struct buf text = BUF_INIT;
    struct layout *l;
    config_layout(c, &text);
    assert_int_equal(layout_parse(text.data, text.len, &l), 0);
    assert_int_equal(layout_point_count(l, 0), 5);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(layout_point_name(l, 0, i), names[i]);
    assert_string_equal(layout_point_unit(l, 0, 3), "mm");
    assert_null(layout_point_unit(l, 0, 4));
    assert_true(layout_same_counter(l, 0, 0, l, 0, 0));
    assert_false(layout_same_counter(l, 0, 0, l, 0, 2));
    assert_false(layout_same_counter(l, 0, 1, l, 0, 1));
    assert_non_null(strstr(text.data, "{\"name\":\"rain\",\"type\":\"number\",\"unit\":\"mm\","
                                      "\"counter\":true,\"scale\":0.1,\"wrap\":6553.6}"));
    assert_non_null(strstr(text.data, "\"increment_of\":\"tips\"}"));
    struct config_derived made;
    assert_true(config_derived(&c->devices[0], 1, &made));
    assert_int_equal(made.point, 2);
    assert_string_equal(made.name, "tips_increment");
    assert_false(config_derived(&c->devices[0], 2, &made));
    layout_free(l);
    buf_fini(&text);
    config_free(c);
}

static void the_layout_names_enabled_devices_and_each_model_once(void **state)
{
    struct config *c =
        load_written(*state,
                     "buses: [{name: b, protocol: tcp, host: h}]\n"
                     "devices:\n"
                     "- {name: off, bus: b, unit: 1, profile: good, enabled: false}\n"
                     "- {name: s1, bus: b, unit: 2, profile: good, labels: {plot: \"A\\\"1\", b: 2}}\n"
                     "- {name: s2, bus: b, unit: 3, profile: good, every: 5min}\n"
                     "- {name: pump, bus: b, unit: 4, points: [{name: on, register: coil, address: 0},\n"
                     "   {name: flow, register: input, address: 0, min: -0.10, max: 1e3}]}\n",
                     GOLDEN "/profiles");
    struct buf out = BUF_INIT;
    config_layout(c, &out);
    assert_string_equal(out.data,
                        "{\"models\":{\"good\":{\"points\":["
                        "{\"name\":\"moisture\",\"type\":\"number\",\"unit\":\"%\",\"min\":0,\"max\":100},"
                        "{\"name\":\"temperature\",\"type\":\"number\",\"unit\":\"Cel\"}]},"
                        "\"own:pump\":{\"points\":[{\"name\":\"on\",\"type\":\"bool\"},"
                        "{\"name\":\"flow\",\"type\":\"number\",\"min\":-0.1,\"max\":1000}]}},"
                        "\"devices\":[{\"name\":\"s1\",\"model\":\"good\",\"every_ms\":60000,\"labels\":{"
                        "\"plot\":\"A\\\"1\",\"b\":\"2\"}},"
                        "{\"name\":\"s2\",\"model\":\"good\",\"every_ms\":300000},"
                        "{\"name\":\"pump\",\"model\":\"own:pump\",\"every_ms\":60000}]}");
    struct layout *layout;
    assert_int_equal(layout_parse(out.data, out.len, &layout), 0);
    assert_string_equal(layout_point_name(layout, 2, 1), "flow");
    layout_free(layout);
    buf_fini(&out);
    config_free(c);
}

static void topics_and_client_ids_are_completed_once_the_gateway_is_known(void **state)
{
    (void)state;
    struct config *c = load_good(GOLDEN "/good.yaml", GOLDEN "/profiles");
    assert_string_equal(c->uplinks[0].topic, "farms/{label.growing_area}/{gateway}");
    assert_int_equal(config_expand(c, "gw-7"), 0);
    assert_string_equal(c->uplinks[0].topic, "farms/VN-BTH-0042/gw-7");
    assert_string_equal(c->uplinks[0].client_id, "gw-7-province");
    assert_string_equal(c->uplinks[1].topic, "fieldgate/v1/gw-7");
    config_free(c);
}

static void an_id_made_at_first_start_becomes_the_gateways_id(void **state)
{
    struct config *c = load_written(*state, minimal, NULL);
    assert_int_equal(config_expand(c, "fg-0123456789ab"), 0);
    assert_string_equal(c->gateway.id, "fg-0123456789ab");
    config_free(c);
}

static void the_schema_is_json_and_knows_every_section(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    config_write_schema(&out);
    cJSON *schema = json_parse(out.data, out.len);
    assert_non_null(schema);
    static const char *const sections[] = {"gateway", "store", "clock",  "bus",
                                           "device",  "point", "uplink", "profile"};
    const cJSON *defs = cJSON_GetObjectItemCaseSensitive(schema, "$defs");
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
        assert_non_null(cJSON_GetObjectItemCaseSensitive(defs, sections[i]));
    cJSON_Delete(schema);
    buf_fini(&out);
}

static void every_speed_and_format_of_the_tables_can_be_set(void **state)
{
    (void)state;
    struct err_note note;
    for (const struct config_word *w = config_bauds; w->word; w++)
        for (const struct config_word *f = config_frames; f->word; f++) {
            struct modbus_line line = {.baud = (int)w->value};
            snprintf(line.format, sizeof(line.format), "%s", f->word);
            if (modbus_line_check(&line, &note) < 0)
                fail_msg("%s", note.text);
        }
}

static void the_reference_describes_every_key_that_can_be_shown(void **state)
{
    (void)state;
    struct config *c = load_good(GOLDEN "/good.yaml", GOLDEN "/profiles");
    struct buf reference = BUF_INIT;
    config_write_reference(&reference);
    char *text = shown(c), *rest = text, *line;
    while ((line = strsep(&rest, "\n"))) {
        char key[64], wanted[80];
        if (sscanf(line, " - %63[a-z0-9_]:", key) != 1 && sscanf(line, " %63[a-z0-9_]:", key) != 1)
            continue;
        snprintf(wanted, sizeof(wanted), "| `%s` |", key);
        if (!strstr(reference.data, wanted))
            fail_msg("%s is not described", key);
    }
    free(text);
    buf_fini(&reference);
    config_free(c);
}

int main(void)
{
    setenv("CREDENTIALS_DIRECTORY", GOLDEN "/credentials", 1);
#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(whatever_is_left_out_gets_the_documented_default),
        cmocka_unit_test(every_written_value_reaches_its_place),
        cmocka_unit_test(points_are_read_in_every_notation),
        WITH_FOLDER(a_profile_brings_points_limits_and_pause_but_never_its_factory_line),
        WITH_FOLDER(a_points_rule_goes_before_its_devices_and_that_before_its_profiles),
        WITH_FOLDER(the_shipped_configuration_and_all_profiles_are_accepted),
        WITH_FOLDER(what_is_shown_loads_again_to_the_same),
        WITH_FOLDER(a_file_cut_off_at_any_byte_is_never_fatal),
        WITH_FOLDER(an_unsigned_counter_wraps_where_its_register_ends),
        WITH_FOLDER(a_counters_increment_follows_the_points_in_the_layout),
        WITH_FOLDER(the_layout_names_enabled_devices_and_each_model_once),
        cmocka_unit_test(topics_and_client_ids_are_completed_once_the_gateway_is_known),
        WITH_FOLDER(an_id_made_at_first_start_becomes_the_gateways_id),
        cmocka_unit_test(the_schema_is_json_and_knows_every_section),
        cmocka_unit_test(every_speed_and_format_of_the_tables_can_be_set),
        cmocka_unit_test(the_reference_describes_every_key_that_can_be_shown),
    };
    return cmocka_run_group_tests(tests, enter_source, NULL);
}
