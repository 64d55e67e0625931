/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "../../gateway/command.h"
#include "../../gateway/json.h"

/* What the handlers were asked. */
struct seen {
    int calls;
    char name[64];
    int64_t for_ms;
    int answer;                 /* what they return */
    enum command_result result; /* of the newest request */
    struct command_what what;
};

static int take(void *context, const char *name, struct err_note *note)
{
    struct seen *s = context;
    s->calls++;
    snprintf(s->name, sizeof s->name, "%s", name);
    return s->answer < 0 ? err_note(note, s->answer, "no such thing \"%s\"", name) : 0;
}

static int fake_status(void *context, struct buf *out, struct err_note *note)
{
    buf_adds(out, "{\"gateway\":\"gw\"}");
    return take(context, "", note);
}

static int fake_probe(void *context, const char *device, struct buf *out, struct err_note *note)
{
    buf_adds(out, "{\"points\":[]}");
    return take(context, device, note);
}

static int fake_pause(void *context, const char *bus, int64_t for_ms, struct err_note *note)
{
    ((struct seen *)context)->for_ms = for_ms;
    return take(context, bus, note);
}

static int64_t fake_resend(void *context, const char *uplink, uint64_t first, uint64_t last,
                           struct err_note *note)
{
    int err = take(context, uplink, note);
    return err < 0 ? err : (int64_t)(last - first + 1);
}

/* The parsed answer; the caller deletes it. */
static cJSON *run_with(struct seen *s, const struct command_source *source, const char *text, size_t len)
{
    struct command_handlers h = {.context = s,
                                 .status = fake_status,
                                 .rebirth = take,
                                 .poll = take,
                                 .probe = fake_probe,
                                 .pause = fake_pause,
                                 .resume = take,
                                 .resend = fake_resend};
    struct buf answer = BUF_INIT;
    s->result = command_run(&h, source, text, len, &answer, &s->what);
    assert_true(buf_ok(&answer));
    assert_null(strchr(answer.data, '\n'));
    cJSON *json = json_parse(answer.data, answer.len);
    assert_non_null(json);
    buf_fini(&answer);
    return json;
}

static cJSON *run(struct seen *s, const char *text)
{
    return run_with(s, NULL, text, strlen(text));
}

static void expect_refusal(const char *text, const char *says)
{
    struct seen s = {0};
    cJSON *a = run(&s, text);
    assert_false(json_bool(a, "ok", true));
    if (!strstr(json_string(a, "error", ""), says))
        fail_msg("%s: said \"%s\"", text, json_string(a, "error", ""));
    assert_int_equal(s.calls, 0);
    cJSON_Delete(a);
}

static void a_request_is_answered_with_its_id(void **state)
{
    (void)state;
    struct seen s = {0};
    cJSON *a = run(&s, "{\"id\":7,\"command\":\"poll\",\"device\":\"soil-a1\"}");
    assert_int_equal(json_int(a, "id", 0), 7);
    assert_true(json_bool(a, "ok", false));
    assert_string_equal(s.name, "soil-a1");
    cJSON_Delete(a);
    a = run(&s, "{\"id\":\"a \\\"b\\\"\",\"command\":\"resume\",\"bus\":\"field\"}");
    assert_string_equal(json_string(a, "id", ""), "a \"b\"");
    assert_true(json_bool(a, "ok", false));
    cJSON_Delete(a);
    a = run(&s, "{\"id\":[1],\"command\":\"resume\",\"bus\":\"field\"}");
    assert_true(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(a, "id")));
    cJSON_Delete(a);
}

static void status_and_probe_come_as_objects(void **state)
{
    (void)state;
    struct seen s = {0};
    cJSON *a = run(&s, "{\"id\":1,\"command\":\"status\"}");
    const cJSON *status = cJSON_GetObjectItemCaseSensitive(a, "status");
    assert_string_equal(json_string(status, "gateway", ""), "gw");
    cJSON_Delete(a);
    a = run(&s, "{\"id\":1,\"command\":\"probe\",\"device\":\"x\"}");
    assert_non_null(cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(a, "probe"), "points"));
    cJSON_Delete(a);
}

static void a_pause_is_bounded(void **state)
{
    (void)state;
    struct seen s = {0};
    cJSON *a = run(&s, "{\"id\":1,\"command\":\"pause\",\"bus\":\"field\",\"for_ms\":900000}");
    assert_true(json_bool(a, "ok", false));
    assert_int_equal(s.for_ms, 900000);
    assert_int_equal(json_int(a, "for_ms", 0), 900000);
    cJSON_Delete(a);
    expect_refusal("{\"id\":1,\"command\":\"pause\",\"bus\":\"field\",\"for_ms\":900001}", "15 min");
    expect_refusal("{\"id\":1,\"command\":\"pause\",\"bus\":\"field\",\"for_ms\":0}", "for_ms");
    expect_refusal("{\"id\":1,\"command\":\"pause\",\"bus\":\"field\",\"for_ms\":-5}", "for_ms");
    expect_refusal("{\"id\":1,\"command\":\"pause\",\"bus\":\"field\",\"for_ms\":\"5min\"}", "for_ms");
    expect_refusal("{\"id\":1,\"command\":\"pause\",\"bus\":\"field\"}", "for_ms");
}

static void a_resend_names_a_range_and_is_told_how_much(void **state)
{
    struct seen s = {0};
    (void)state;
    cJSON *a = run(&s, "{\"id\":1,\"command\":\"resend\",\"uplink\":\"province\",\"from\":7,\"to\":9}");
    assert_true(json_bool(a, "ok", false));
    assert_int_equal(json_int(a, "count", 0), 3);
    assert_string_equal(s.name, "province");
    cJSON_Delete(a);
    expect_refusal("{\"id\":1,\"command\":\"resend\",\"uplink\":\"province\",\"from\":9,\"to\":7}",
                   "first and last");
    expect_refusal("{\"id\":1,\"command\":\"resend\",\"uplink\":\"province\",\"to\":7}", "first and last");
    expect_refusal("{\"id\":1,\"command\":\"resend\",\"from\":1,\"to\":7}", "uplink");
}

static void what_is_malformed_is_refused_and_never_executed(void **state)
{
    (void)state;
    expect_refusal("", "not JSON");
    expect_refusal("poll soil-a1", "not JSON");
    expect_refusal("{\"id\":1,\"command\":\"poll\",\"device\":\"x\"", "not JSON");
    expect_refusal("{\"id\":1,\"command\":\"poll\",\"device\":\"x\"} {}", "not JSON");
    expect_refusal("[{\"id\":1,\"command\":\"poll\",\"device\":\"x\"}]", "not a JSON object");
    expect_refusal("{\"id\":1}", "command");
    expect_refusal("{\"id\":1,\"command\":5}", "command");
    expect_refusal("{\"id\":1,\"command\":\"reboot\"}", "reboot");
    expect_refusal("{\"id\":1,\"command\":\"POLL\",\"device\":\"x\"}", "POLL");
    expect_refusal("{\"id\":1,\"command\":\"poll\"}", "device");
    expect_refusal("{\"id\":1,\"command\":\"poll\",\"device\":\"\"}", "device");
    expect_refusal("{\"id\":1,\"command\":\"poll\",\"device\":{\"name\":\"x\"}}", "device");
    expect_refusal("{\"id\":1,\"command\":\"resume\"}", "bus");
}

static void a_request_of_16_KiB_is_read_and_a_longer_one_is_not(void **state)
{
    (void)state;
    static char text[COMMAND_REQUEST_MAX + 2];
    const char head[] = "{\"id\":1,\"command\":\"poll\",\"device\":\"x\"}";
    struct seen s = {0};
    memset(text, ' ', sizeof text);
    memcpy(text, head, sizeof head - 1);
    cJSON *a = run_with(&s, NULL, text, COMMAND_REQUEST_MAX);
    assert_true(json_bool(a, "ok", false));
    cJSON_Delete(a);
    a = run_with(&s, NULL, text, COMMAND_REQUEST_MAX + 1);
    assert_false(json_bool(a, "ok", true));
    assert_non_null(strstr(json_string(a, "error", ""), "16 KiB"));
    assert_int_equal(s.calls, 1);
    cJSON_Delete(a);
}

static void a_member_that_a_command_does_not_know_is_malformed(void **state)
{
    (void)state;
    expect_refusal("{\"id\":1,\"command\":\"poll\",\"device\":\"x\",\"devices\":[\"y\"]}", "\"devices\"");
    expect_refusal("{\"id\":1,\"command\":\"poll\",\"device\":\"x\",\"device\":\"y\"}", "twice");
    expect_refusal("{\"id\":1,\"command\":\"poll\",\"device\":\"x\",\"sent\":\"today\"}", "sent");
    expect_refusal("{\"id\":1,\"command\":\"poll\",\"device\":\"x\\u0000y\"}", "zero character");
    expect_refusal("{\"id\":1,\"command\":\"resend\",\"uplink\":\"u\",\"from\":1.5,\"to\":7}",
                   "first and last");
    expect_refusal("{\"id\":1,\"command\":\"resend\",\"uplink\":\"u\",\"from\":1,\"to\":1e300}",
                   "first and last");
}

static void a_handler_says_why_it_failed(void **state)
{
    (void)state;
    struct seen s = {.answer = FG_ENOTFOUND};
    cJSON *a = run(&s, "{\"id\":1,\"command\":\"probe\",\"device\":\"x\"}");
    assert_false(json_bool(a, "ok", true));
    assert_string_equal(json_string(a, "code", ""), "not_found");
    assert_string_equal(json_string(a, "error", ""), "no such thing \"x\"");
    assert_null(cJSON_GetObjectItemCaseSensitive(a, "probe"));
    cJSON_Delete(a);
    s.answer = FG_ETIMEOUT;
    a = run(&s, "{\"id\":1,\"command\":\"poll\",\"device\":\"x\"}");
    assert_string_equal(json_string(a, "code", ""), "not_now");
    cJSON_Delete(a);
}

static void a_command_without_a_handler_is_unknown(void **state)
{
    (void)state;
    struct command_handlers none = {0};
    struct buf answer = BUF_INIT;
    const char text[] = "{\"id\":1,\"command\":\"poll\",\"device\":\"x\"}";
    assert_int_equal(command_run(&none, NULL, text, strlen(text), &answer, NULL), COMMAND_UNKNOWN);
    assert_non_null(strstr(answer.data, "\"ok\":false"));
    buf_fini(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_answered_with_its_id),
        cmocka_unit_test(status_and_probe_come_as_objects),
        cmocka_unit_test(a_pause_is_bounded),
        cmocka_unit_test(a_resend_names_a_range_and_is_told_how_much),
        cmocka_unit_test(what_is_malformed_is_refused_and_never_executed),
        cmocka_unit_test(a_request_of_16_KiB_is_read_and_a_longer_one_is_not),
        cmocka_unit_test(a_member_that_a_command_does_not_know_is_malformed),
        cmocka_unit_test(a_handler_says_why_it_failed),
        cmocka_unit_test(a_command_without_a_handler_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
