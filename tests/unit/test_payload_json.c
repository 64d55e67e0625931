/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "../../gateway/json.h"
#include "../../gateway/payload.h"

static const char LAYOUT[] =
    "{\"models\":{\"soil\":{\"points\":[{\"name\":\"soil_moisture\",\"type\":\"number\",\"unit\":\"%\","
    "\"min\":0,"
    "\"max\":100},{\"name\":\"soil_temperature\",\"type\":\"number\",\"unit\":\"Cel\"}]},"
    "\"pump\":{\"points\":[{\"name\":\"voltage\",\"type\":\"number\",\"unit\":\"V\"},"
    "{\"name\":\"running\",\"type\":\"bool\"}]},"
    "\"air\":{\"points\":[{\"name\":\"air_temperature\",\"type\":\"number\"}]}},"
    "\"devices\":[{\"name\":\"soil-a1\",\"model\":\"soil\",\"every_ms\":60000,\"labels\":{\"plot\":\"A1\"}},"
    "{\"name\":\"pump\",\"model\":\"pump\",\"every_ms\":10000},{\"name\":\"air-1\",\"model\":\"air\"},"
    "{\"name\":\"soil-a2\",\"model\":\"soil\"}]}";

static const struct payload_identity WHO = {
    .gateway = "htn-thanhlong-01",
    .name = "HTX thanh long H\xC3\xA0m Thu\xE1\xBA\xADn Nam",
    .software = "fieldgate 0.1.0",
    .uplink = "province",
    .position_json = "{\"latitude\":10.8412,\"longitude\":107.879}",
    .labels_json = "{\"growing_area\":\"VN-BTH-0042\"}",
};

struct fixture {
    struct layout *layout;
    struct store_record records[8];
    struct store_batch batch;
    struct buf out;
};

static int set_up(void **state)
{
    static struct fixture f;
    memset(&f, 0, sizeof f);
    buf_init(&f.out);
    strcpy(f.batch.stream, "9c1f0a52e0b14c7d");
    f.batch.layout = 41;
    f.batch.durable = true;
    f.batch.records = f.records;
    *state = &f;
    return layout_parse(LAYOUT, strlen(LAYOUT), &f.layout);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    layout_free(f->layout);
    buf_fini(&f->out);
    return 0;
}

static void add(struct fixture *f, uint64_t seq, int64_t ts, int device, const char *body, const char *extra)
{
    f->records[f->batch.count++] = (struct store_record){
        .seq = seq,
        .ts_ms = ts,
        .is_event = device < 0,
        .device = device < 0 ? 0 : (uint32_t)device,
        .body = body,
        .body_len = strlen(body),
        .extra = extra,
        .extra_len = strlen(extra),
    };
}

static const char *data(struct fixture *f)
{
    payload_json.data(&WHO, f->layout, &f->batch, 1795230246000, &f->out);
    assert_true(buf_ok(&f->out));
    cJSON *tree = json_parse(f->out.data, f->out.len);
    if (!tree)
        print_error("not JSON: %s\n", f->out.data);
    assert_non_null(tree);
    cJSON_Delete(tree);
    return f->out.data;
}

#define HEAD                                                                                                 \
    "{\"v\":1,\"gateway\":\"htn-thanhlong-01\",\"stream\":\"9c1f0a52e0b14c7d\",\"layout\":41,"               \
    "\"sent\":1795230246000"

static void statistics_stand_beside_values_with_the_beginning_of_their_window(void **state)
{
    struct fixture *f = *state;
    add(f, 1, 1795230300000, 0,
        "[{\"min\":23.1,\"mean\":23.35,\"max\":23.6,\"n\":29,\"bad\":1},{\"n\":0,\"bad\":30}]",
        "{\"span_ms\":300000}");
    add(f, 2, 1795230300000, 1, "[{\"min\":1,\"mean\":1,\"max\":1,\"n\":1},true]",
        "{\"span_ms\":1000,\"partial\":\"stopped\",\"suppressed\":4}");
    assert_string_equal(
        data(f),
        HEAD ",\"samples\":[{\"seq\":1,\"ts\":1795230300000,\"device\":\"soil-a1\",\"stats\":{"
             "\"soil_moisture\":{\"min\":23.1,\"mean\":23.35,\"max\":23.6,\"n\":29,\"bad\":1},"
             "\"soil_temperature\":{\"n\":0,\"bad\":30}},\"from\":1795230000000},"
             "{\"seq\":2,\"ts\":1795230300000,\"device\":\"pump\",\"values\":{\"running\":true},"
             "\"stats\":{\"voltage\":{\"min\":1,\"mean\":1,\"max\":1,\"n\":1}},\"from\":1795230299000,"
             "\"partial\":\"stopped\",\"suppressed\":4}]}");
}

static void a_batch_is_written_as_the_contract_shows_it(void **state)
{
    struct fixture *f = *state;
    add(f, 1201, 1795230245123, 0, "[23.4,29.1]", "");
    add(f, 1202, 1795230245391, 1, "[\"bad_crc\",true]", "");
    add(f, 1203, 1795230245912, 2, "[[\"out_of_range\",6553.5]]", "");
    add(f, 1204, 1795230246001, 3, "\"no_reply\"", "");
    add(f, 1205, 1795230250000, -1,
        "{\"event\":\"samples_dropped\",\"uplink\":\"province\",\"from\":17,\"to\":402,\"count\":386,"
        "\"first_ts\":1,\"last_ts\":2,\"reason\":\"store_full\"}",
        "");
    assert_string_equal(
        data(f),
        HEAD ",\"samples\":["
             "{\"seq\":1201,\"ts\":1795230245123,\"device\":\"soil-a1\",\"values\":{\"soil_moisture\":23.4,"
             "\"soil_temperature\":29.1}},"
             "{\"seq\":1202,\"ts\":1795230245391,\"device\":\"pump\",\"values\":{\"voltage\":null,"
             "\"running\":true},"
             "\"quality\":{\"voltage\":\"bad_crc\"}},"
             "{\"seq\":1203,\"ts\":1795230245912,\"device\":\"air-1\",\"values\":{\"air_temperature\":null},"
             "\"quality\":{\"air_temperature\":\"out_of_range\"},\"doubtful\":{\"air_temperature\":6553.5}},"
             "{\"seq\":1204,\"ts\":1795230246001,\"device\":\"soil-a2\",\"failed\":\"no_reply\"}],"
             "\"events\":["
             "{\"seq\":1205,\"ts\":1795230250000,\"event\":\"samples_dropped\",\"uplink\":\"province\","
             "\"from\":17,"
             "\"to\":402,\"count\":386,\"first_ts\":1,\"last_ts\":2,\"reason\":\"store_full\"}]}");
}

static void a_point_that_was_not_due_is_absent(void **state)
{
    struct fixture *f = *state;
    add(f, 1, 2, 1, "[null,false]", "");
    add(f, 2, 3, 1, "[null,null]", "");
    assert_string_equal(data(f),
                        HEAD ",\"samples\":[{\"seq\":1,\"ts\":2,\"device\":\"pump\",\"values\":{\"running\":"
                             "false}},{\"seq\":2,\"ts\":3,\"device\":\"pump\",\"values\":{}}]}");
}

static void missed_periods_and_an_untrusted_clock_follow_the_values(void **state)
{
    struct fixture *f = *state;
    add(f, 1, 2, 2, "[21]",
        "{\"missed\":2,\"clock\":\"untrusted\",\"boot\":\"0123456789abcdef0123456789abcdef\",\"up_ms\":"
        "12345}");
    add(f, 2, 2, -1, "{\"event\":\"started\"}", "{\"clock\":\"untrusted\"}");
    assert_string_equal(data(f),
                        HEAD ",\"samples\":[{\"seq\":1,\"ts\":2,\"device\":\"air-1\",\"values\":{\"air_"
                             "temperature\":21},\"missed\":2,\"clock\":\"untrusted\",\"boot\":"
                             "\"0123456789abcdef0123456789abcdef\",\"up_ms\":12345}],\"events\":[{\"seq\":2,"
                             "\"ts\":2,\"event\":\"started\",\"clock\":\"untrusted\"}]}");
}

static void numbers_are_copied_to_the_last_digit(void **state)
{
    struct fixture *f = *state;
    add(f, 18446744073709551615u, 1, 0, "[9223372036854775807,1e-12]", "");
    assert_non_null(strstr(data(f), "\"seq\":18446744073709551615"));
    assert_non_null(
        strstr(f->out.data, "{\"soil_moisture\":9223372036854775807,\"soil_temperature\":1e-12}"));
}

static void a_message_of_events_alone_has_no_samples(void **state)
{
    struct fixture *f = *state;
    add(f, 7, 8, -1, "{\"event\":\"clock_set\"}", "");
    assert_string_equal(data(f), HEAD ",\"events\":[{\"seq\":7,\"ts\":8,\"event\":\"clock_set\"}]}");
}

static void readings_without_a_layout_are_sent_without_names(void **state)
{
    struct fixture *f = *state;
    add(f, 1, 2, 99, "[23.4,\"bad_crc\"]", "");
    assert_string_equal(data(f),
                        HEAD ",\"samples\":[{\"seq\":1,\"ts\":2,\"device\":\"unknown-99\",\"failed\":"
                             "\"config_error\",\"raw\":[23.4,\"bad_crc\"]}]}");
    struct layout *kept = f->layout;
    f->layout = NULL;
    f->records[0].device = 0;
    buf_reset(&f->out);
    assert_non_null(strstr(data(f), "\"device\":\"unknown-0\",\"failed\":\"config_error\",\"raw\":[23.4"));
    f->layout = kept;
}

static void values_beyond_the_layout_are_left_out(void **state)
{
    struct fixture *f = *state;
    add(f, 1, 2, 2, "[21,\"no_reply\",3]", "");
    add(f, 2, 2, 0, "[21]", "");
    assert_string_equal(data(f),
                        HEAD ",\"samples\":[{\"seq\":1,\"ts\":2,\"device\":\"air-1\",\"values\":{\"air_"
                             "temperature\":21}},{\"seq\":2,\"ts\":2,\"device\":\"soil-a1\",\"values\":{"
                             "\"soil_moisture\":21}}]}");
}

/* Whatever a damaged database holds, the message is JSON and names every record. */
static void damaged_bodies_never_break_the_message(void **state)
{
    static const char *const BODIES[] = {"",
                                         "[",
                                         "[23.4",
                                         "[23.4,]",
                                         "\"",
                                         "{}",
                                         "nonsense",
                                         "[[]]",
                                         "[[\"x\"]]",
                                         "[{}]",
                                         "[[,9]]",
                                         "[\"",
                                         "[1,2",
                                         "[nul]",
                                         "\"abc",
                                         "\"a\\\"",
                                         "\"a\"b\"",
                                         "[1 2]",
                                         "[[\"out_of_range\",",
                                         "[[[1]]]",
                                         "[[1,2]]"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof BODIES / sizeof BODIES[0]; i++) {
        f->batch.count = 0;
        buf_reset(&f->out);
        add(f, 5, 2, 0, BODIES[i], "");
        add(f, 6, 2, 0, "[1,2]", "");
        add(f, 7, 2, 99, BODIES[i], "");
        assert_non_null(strstr(data(f), "{\"seq\":5,\"ts\":2,\"device\":\"soil-a1\","));
        assert_non_null(strstr(f->out.data, "{\"seq\":7,\"ts\":2,\"device\":\"unknown-99\","));
        assert_non_null(strstr(f->out.data, "{\"seq\":6,"));
    }
}

static void an_element_of_an_unknown_kind_is_no_value_and_not_good(void **state)
{
    struct fixture *f = *state;
    add(f, 1, 2, 2, "[{\"later\":1}]", "");
    assert_non_null(strstr(data(f), "\"values\":{\"air_temperature\":null},\"quality\":{\"air_temperature\":"
                                    "\"config_error\"}"));
}

static void a_comma_in_an_unknown_quality_word_belongs_to_the_word(void **state)
{
    struct fixture *f = *state;
    add(f, 1, 2, 2, "[[\"later, \\\"or\",9.5]]", "");
    assert_non_null(strstr(data(f), "\"quality\":{\"air_temperature\":\"later, \\\"or\"},"
                                    "\"doubtful\":{\"air_temperature\":9.5}"));
}

static void a_quality_with_more_than_one_doubtful_value_is_not_understood(void **state)
{
    struct fixture *f = *state;
    add(f, 1, 2, 2, "[[\"out_of_range\",2,39]]", "");
    const char *said = data(f);
    assert_non_null(strstr(said, "\"quality\":{\"air_temperature\":\"config_error\"}"));
    assert_null(strstr(said, "doubtful"));
}

static void birth_carries_the_stored_layouts_verbatim(void **state)
{
    struct fixture *f = *state;
    const struct payload_layout layouts[] = {{40, "{\"models\":{},\"devices\":[]}", 26},
                                             {41, LAYOUT, strlen(LAYOUT)}};
    const struct payload_birth birth = {
        .stream = "9c1f0a52e0b14c7d",
        .durable = true,
        .streams_json = "[{\"stream\":\"9c1f0a52e0b14c7d\",\"first\":1}]",
        .layouts = layouts,
        .layout_count = 2,
        .layout = 41,
    };
    char expected[4096];
    snprintf(
        expected, sizeof expected,
        "{\"v\":1,\"gateway\":\"htn-thanhlong-01\",\"name\":\"%s\",\"software\":\"fieldgate "
        "0.1.0\",\"uplink\":"
        "\"province\",\"ts\":5,\"stream\":\"9c1f0a52e0b14c7d\",\"streams\":[{\"stream\":\"9c1f0a52e0b14c7d\","
        "\"first\":1}],\"layout\":41,\"labels\":{\"growing_area\":\"VN-BTH-0042\"},\"position\":{"
        "\"latitude\":"
        "10.8412,\"longitude\":107.879},\"layouts\":[{\"layout\":40,\"models\":{},\"devices\":[]},{"
        "\"layout\":41,"
        "%s]}",
        WHO.name, LAYOUT + 1);
    payload_json.birth(&WHO, &birth, 5, &f->out);
    assert_string_equal(f->out.data, expected);
}

static void what_is_in_memory_only_says_so(void **state)
{
    struct fixture *f = *state;
    const struct payload_birth birth = {.stream = "a", .streams_json = "[]", .layout = 1};
    add(f, 7, 1, -1, "{\"event\":\"started\"}", "");
    f->batch.durable = false;
    payload_json.data(&WHO, f->layout, &f->batch, 9, &f->out);
    assert_non_null(strstr(f->out.data, "\"sent\":9,\"durable\":false,\"events\":["));
    buf_reset(&f->out);
    payload_json.birth(&WHO, &birth, 5, &f->out);
    assert_non_null(strstr(f->out.data, "\"stream\":\"a\",\"durable\":false,"));
}

static void birth_without_name_and_position_leaves_them_out(void **state)
{
    struct fixture *f = *state;
    struct payload_identity who = WHO;
    const struct payload_birth birth = {.stream = "a", .durable = true, .streams_json = "[]", .layout = 1};
    who.name = who.position_json = NULL;
    who.labels_json = "{}";
    payload_json.birth(&who, &birth, 5, &f->out);
    assert_string_equal(f->out.data,
                        "{\"v\":1,\"gateway\":\"htn-thanhlong-01\",\"software\":\"fieldgate 0.1.0\","
                        "\"uplink\":\"province\",\"ts\":5,\"stream\":\"a\",\"streams\":[],\"layout\":1,"
                        "\"labels\":{},\"layouts\":[]}");
}

static void state_says_only_what_is_unusual_beyond_the_usual(void **state)
{
    struct fixture *f = *state;
    struct payload_state s = {
        .online = true,
        .ts_ms = 7,
        .connection = 3,
        .stream = "9c1f0a52e0b14c7d",
        .accepted = 1013,
        .delivered = 1000,
        .waiting = 12,
        .dropped = 1,
        .config = "current",
        .durable = true,
        .clock_trusted = true,
    };
    payload_json.state(&WHO, &s, &f->out);
    assert_string_equal(
        f->out.data, "{\"v\":1,\"gateway\":\"htn-thanhlong-01\",\"online\":true,\"ts\":7,"
                     "\"connection\":3,\"stream\":\"9c1f0a52e0b14c7d\",\"accepted\":1013,\"delivered\":1000,"
                     "\"waiting\":12,\"dropped\":1,"
                     "\"config\":\"current\"}");
    s.online = s.durable = s.clock_trusted = false;
    s.config = "fallback";
    buf_reset(&f->out);
    payload_json.state(&WHO, &s, &f->out);
    assert_string_equal(
        f->out.data, "{\"v\":1,\"gateway\":\"htn-thanhlong-01\",\"online\":false,\"ts\":7,"
                     "\"connection\":3,\"stream\":\"9c1f0a52e0b14c7d\",\"accepted\":1013,\"delivered\":1000,"
                     "\"waiting\":12,\"dropped\":1,"
                     "\"config\":\"fallback\",\"durable\":false,\"clock\":\"untrusted\"}");
}

static void a_warm_buffer_is_not_allocated_again(void **state)
{
    struct fixture *f = *state;
    add(f, 1, 2, 0, "[23.4,29.1]", "");
    data(f);
    char *before = f->out.data;
    buf_reset(&f->out);
    data(f);
    assert_ptr_equal(f->out.data, before);
}

static void only_known_formats_are_found(void **state)
{
    (void)state;
    assert_ptr_equal(payload_format("json"), &payload_json);
    assert_null(payload_format("sparkplug"));
    assert_null(payload_format(""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_batch_is_written_as_the_contract_shows_it),
        TEST(statistics_stand_beside_values_with_the_beginning_of_their_window),
        TEST(a_point_that_was_not_due_is_absent),
        TEST(missed_periods_and_an_untrusted_clock_follow_the_values),
        TEST(numbers_are_copied_to_the_last_digit),
        TEST(a_message_of_events_alone_has_no_samples),
        TEST(readings_without_a_layout_are_sent_without_names),
        TEST(values_beyond_the_layout_are_left_out),
        TEST(damaged_bodies_never_break_the_message),
        TEST(an_element_of_an_unknown_kind_is_no_value_and_not_good),
        TEST(a_comma_in_an_unknown_quality_word_belongs_to_the_word),
        TEST(a_quality_with_more_than_one_doubtful_value_is_not_understood),
        TEST(birth_carries_the_stored_layouts_verbatim),
        TEST(what_is_in_memory_only_says_so),
        TEST(birth_without_name_and_position_leaves_them_out),
        TEST(state_says_only_what_is_unusual_beyond_the_usual),
        TEST(a_warm_buffer_is_not_allocated_again),
        TEST(only_known_formats_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
