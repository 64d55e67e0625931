/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of a command that comes from afar. */
#include "unit.h"

#include "../../gateway/command.h"
#include "../../gateway/json.h"

enum { NOW_MS = 1000000 }; /* of the monotonic clock */
static const int64_t WALL_MS = 1795230245000;

struct world {
    int calls;
    char name[64];
    struct command_memory memory;
    struct command_source source;
    char error[256], id[256];
};

static int poll(void *context, const char *device, struct err_note *note)
{
    struct world *w = context;
    (void)note;
    w->calls++;
    snprintf(w->name, sizeof w->name, "%s", device);
    return strcmp(device, "gone") == 0 ? FG_ENOTFOUND : 0;
}

static int rebirth(void *context, const char *uplink, struct err_note *note)
{
    return poll(context, uplink, note);
}

static int status(void *context, struct buf *out, struct err_note *note)
{
    buf_adds(out, "{\"text\":\"0123456789012345678901234567890123456789012345678901234567890123456789\"}");
    return poll(context, "", note);
}

static int64_t resend(void *context, const char *uplink, uint64_t first, uint64_t last, struct err_note *note)
{
    (void)poll(context, uplink, note);
    return (int64_t)(last - first + 1);
}

static int set_up(void **state)
{
    static const char *const WORDS[] = {"status", "rebirth", "resend", "poll"};
    struct world *w = calloc(1, sizeof *w);
    assert_int_equal(command_memory_init(&w->memory, 100), 0);
    w->source = (struct command_source){.words = WORDS,
                                        .word_count = 4,
                                        .uplink = "province",
                                        .memory = &w->memory,
                                        .clock_trusted = true,
                                        .now_wall_ms = WALL_MS,
                                        .now_mono_ms = NOW_MS};
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    command_memory_fini(&w->memory);
    free(w);
    return 0;
}

static enum command_result run(struct world *w, const char *text)
{
    struct command_handlers h = {
        .context = w, .status = status, .rebirth = rebirth, .poll = poll, .resend = resend};
    struct buf answer = BUF_INIT;
    struct command_what what;
    enum command_result result =
        command_run(&h, &w->source, text, text ? strlen(text) : 100000, &answer, &what);
    cJSON *json = json_parse(answer.data, answer.len);
    assert_non_null(json);
    assert_int_equal(json_bool(json, "ok", false), result == COMMAND_DONE);
    if (result > COMMAND_FAILED)
        assert_string_equal(json_string(json, "code", ""), command_result_word(result));
    snprintf(w->error, sizeof w->error, "%s", json_string(json, "error", ""));
    snprintf(w->id, sizeof w->id, "%s", what.id);
    cJSON_Delete(json);
    buf_fini(&answer);
    return result;
}

/* {"id":<id>,"command":"poll","device":"x",<more>} */
static enum command_result poll_with(struct world *w, const char *id, const char *more)
{
    char text[512];
    snprintf(text, sizeof text, "{\"id\":%s,\"command\":\"poll\",\"device\":\"x\"%s}", id, more);
    return run(w, text);
}

static const char *sent_at(int64_t wall_ms)
{
    static char text[64];
    snprintf(text, sizeof text, ",\"sent\":%lld", (long long)wall_ms);
    return text;
}

static void a_fresh_command_with_an_id_is_carried_out(void **state)
{
    struct world *w = *state;
    assert_int_equal(poll_with(w, "1", sent_at(WALL_MS)), COMMAND_DONE);
    assert_int_equal(w->calls, 1);
    assert_string_equal(w->name, "x");
    assert_string_equal(w->id, "1");
}

static void only_the_commands_that_are_named_may_be_given(void **state)
{
    struct world *w = *state;
    w->source.word_count = 2;
    assert_int_equal(poll_with(w, "1", sent_at(WALL_MS)), COMMAND_NOT_ALLOWED);
    assert_non_null(strstr(w->error, "commands"));
    w->source.word_count = 0;
    assert_int_equal(poll_with(w, "2", sent_at(WALL_MS)), COMMAND_NOT_ALLOWED);
    assert_int_equal(run(w, "{\"id\":3,\"command\":\"reboot\"}"), COMMAND_UNKNOWN);
    assert_int_equal(run(w, "{\"id\":4,\"command\":\"pause\",\"bus\":\"x\",\"for_ms\":9}"), COMMAND_UNKNOWN);
    assert_int_equal(w->calls, 0);
}

static void an_id_must_be_there_and_fit_to_come_back(void **state)
{
    static const char *const BAD[] = {"null", "\"\"", "[1]", "{}", "true", "1.5", "9007199254740994"};
    struct world *w = *state;
    char longest[140];
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
        assert_int_equal(poll_with(w, BAD[i], sent_at(WALL_MS)), COMMAND_MALFORMED);
    assert_int_equal(run(w, "{\"command\":\"status\"}"), COMMAND_MALFORMED);
    snprintf(longest, sizeof longest, "\"%0129d\"", 0);
    assert_int_equal(poll_with(w, longest, sent_at(WALL_MS)), COMMAND_MALFORMED);
    assert_int_equal(w->calls, 0);
    snprintf(longest, sizeof longest, "\"%0128d\"", 0);
    assert_int_equal(poll_with(w, longest, sent_at(WALL_MS)), COMMAND_DONE);
}

static void a_repeated_id_is_not_carried_out_again_until_it_is_forgotten(void **state)
{
    struct world *w = *state;
    assert_int_equal(poll_with(w, "7", sent_at(WALL_MS)), COMMAND_DONE);
    assert_int_equal(poll_with(w, "7", sent_at(WALL_MS)), COMMAND_REPEATED);
    assert_int_equal(poll_with(w, "\"7\"", sent_at(WALL_MS)), COMMAND_DONE); /* a text is another id */
    w->source.now_mono_ms += COMMAND_REMEMBERED_MS - 1;
    assert_int_equal(poll_with(w, "7", sent_at(WALL_MS)), COMMAND_REPEATED);
    assert_non_null(strstr(w->error, "599 s ago"));
    assert_int_equal(w->calls, 2);
    w->source.now_mono_ms += 1;
    assert_int_equal(poll_with(w, "7", sent_at(WALL_MS)), COMMAND_DONE);
}

static void an_id_that_was_refused_may_be_used_again_and_one_that_failed_may_not(void **state)
{
    struct world *w = *state;
    assert_int_equal(poll_with(w, "1", ",\"x\":1"), COMMAND_MALFORMED);
    assert_int_equal(poll_with(w, "1", ""), COMMAND_STALE);
    assert_int_equal(poll_with(w, "1", sent_at(WALL_MS)), COMMAND_DONE);
    w->source.fresh = true;
    assert_int_equal(run(w, "{\"id\":2,\"command\":\"poll\",\"device\":\"gone\"}"), COMMAND_FAILED);
    assert_int_equal(run(w, "{\"id\":2,\"command\":\"poll\",\"device\":\"gone\"}"), COMMAND_REPEATED);
}

static void the_age_is_judged_to_the_millisecond_in_both_directions(void **state)
{
    struct world *w = *state;
    assert_int_equal(poll_with(w, "1", sent_at(WALL_MS - COMMAND_AGE_MAX_MS)), COMMAND_DONE);
    assert_int_equal(poll_with(w, "2", sent_at(WALL_MS - COMMAND_AGE_MAX_MS - 1)), COMMAND_STALE);
    assert_int_equal(poll_with(w, "3", sent_at(WALL_MS + COMMAND_AGE_MAX_MS)), COMMAND_DONE);
    assert_int_equal(poll_with(w, "4", sent_at(WALL_MS + COMMAND_AGE_MAX_MS + 1)), COMMAND_STALE);
    assert_non_null(strstr(w->error, "future"));
    w->source.fresh = true; /* its own word counts more than the carrier's */
    assert_int_equal(poll_with(w, "5", sent_at(1)), COMMAND_STALE);
    assert_int_equal(poll_with(w, "6", ",\"sent\":-1"), COMMAND_MALFORMED);
    assert_int_equal(poll_with(w, "6", ",\"sent\":\"2026-11-22T00:00:00Z\""), COMMAND_MALFORMED);
    assert_int_equal(w->calls, 2);
}

static void what_does_not_say_its_age_needs_a_carrier_that_does(void **state)
{
    struct world *w = *state;
    assert_int_equal(poll_with(w, "1", ""), COMMAND_STALE);
    assert_non_null(strstr(w->error, "message expiry"));
    w->source.fresh = true;
    assert_int_equal(poll_with(w, "1", ""), COMMAND_DONE);
}

static void while_the_clock_is_not_trusted_only_the_carrier_is_believed(void **state)
{
    struct world *w = *state;
    w->source.clock_trusted = false;
    w->source.now_wall_ms = 0; /* 1970 */
    assert_int_equal(poll_with(w, "1", sent_at(0)), COMMAND_STALE);
    assert_non_null(strstr(w->error, "does not know the time"));
    w->source.fresh = true;
    assert_int_equal(poll_with(w, "1", sent_at(WALL_MS)), COMMAND_DONE);
}

static void a_retained_command_is_never_carried_out(void **state)
{
    struct world *w = *state;
    w->source.retained = w->source.fresh = true;
    assert_int_equal(poll_with(w, "1", sent_at(WALL_MS)), COMMAND_RETAINED);
    assert_int_equal(w->calls, 0);
}

static void what_is_wrong_beside_the_text_and_what_was_too_long_is_told(void **state)
{
    struct world *w = *state;
    w->source.fault = "the response topic is odd";
    assert_int_equal(poll_with(w, "1", sent_at(WALL_MS)), COMMAND_MALFORMED);
    assert_string_equal(w->error, "the response topic is odd");
    assert_int_equal(run(w, NULL), COMMAND_OVERSIZE);
    assert_string_equal(w->id, "null");
    assert_int_equal(w->calls, 0);
}

static void a_broker_speaks_of_its_own_uplink_only(void **state)
{
    struct world *w = *state;
    w->source.fresh = true;
    assert_int_equal(run(w, "{\"id\":1,\"command\":\"resend\",\"from\":3,\"to\":4}"), COMMAND_DONE);
    assert_string_equal(w->name, "province");
    assert_int_equal(run(w, "{\"id\":2,\"command\":\"rebirth\",\"uplink\":\"province\"}"), COMMAND_DONE);
    assert_int_equal(run(w, "{\"id\":3,\"command\":\"rebirth\",\"uplink\":\"other\"}"), COMMAND_NOT_ALLOWED);
    assert_int_equal(run(w, "{\"id\":4,\"command\":\"rebirth\",\"uplink\":5}"), COMMAND_MALFORMED);
    assert_int_equal(w->calls, 2);
}

static void an_answer_that_the_broker_would_not_take_is_a_failure(void **state)
{
    struct world *w = *state;
    w->source.fresh = true;
    w->source.answer_max = 100;
    assert_int_equal(run(w, "{\"id\":1,\"command\":\"status\"}"), COMMAND_FAILED);
    assert_non_null(strstr(w->error, "larger than the broker takes"));
    w->source.answer_max = 200;
    assert_int_equal(run(w, "{\"id\":2,\"command\":\"status\"}"), COMMAND_DONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_fresh_command_with_an_id_is_carried_out),
        TEST(only_the_commands_that_are_named_may_be_given),
        TEST(an_id_must_be_there_and_fit_to_come_back),
        TEST(a_repeated_id_is_not_carried_out_again_until_it_is_forgotten),
        TEST(an_id_that_was_refused_may_be_used_again_and_one_that_failed_may_not),
        TEST(the_age_is_judged_to_the_millisecond_in_both_directions),
        TEST(what_does_not_say_its_age_needs_a_carrier_that_does),
        TEST(while_the_clock_is_not_trusted_only_the_carrier_is_believed),
        TEST(a_retained_command_is_never_carried_out),
        TEST(what_is_wrong_beside_the_text_and_what_was_too_long_is_told),
        TEST(a_broker_speaks_of_its_own_uplink_only),
        TEST(an_answer_that_the_broker_would_not_take_is_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
