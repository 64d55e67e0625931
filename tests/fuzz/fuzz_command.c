/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_command - what anybody may write to a command topic or the control socket.
 *
 * Input: one byte of circumstances, then the request. Whatever it is, there is one answer, a JSON object on
 * one line; nothing is carried out for somebody far away who may not, or twice.
 */
#include <stdlib.h>
#include <string.h>

#include "../../gateway/command.h"
#include "../../gateway/json.h"
#include "demand.h"

enum { RETAINED = 1, FRESH = 2, TRUSTED = 4, LOCAL = 8, FEW = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int count(void *context, const char *name, struct err_note *note)
{
    (void)note;
    demand(name[0] != '\0');
    ++*(int *)context;
    return 0;
}

static int add_status(void *context, struct buf *out, struct err_note *note)
{
    buf_adds(out, "{}");
    return count(context, "x", note);
}

static int add_probe(void *context, const char *device, struct buf *out, struct err_note *note)
{
    buf_adds(out, "{}");
    return count(context, device, note);
}

static int pause_bus(void *context, const char *bus, int64_t for_ms, struct err_note *note)
{
    demand(for_ms >= 1 && for_ms <= COMMAND_PAUSE_MAX_MS);
    return count(context, bus, note);
}

static int64_t resend(void *context, const char *uplink, uint64_t first, uint64_t last, struct err_note *note)
{
    demand(first >= 1 && first <= last && last <= 9007199254740992u);
    return count(context, uplink, note);
}

/* How often something was carried out; the answer is looked at. */
static int run(const struct command_source *source, const char *text, size_t len, enum command_result *result)
{
    int calls = 0;
    struct command_handlers h = {.context = &calls,
                                 .status = add_status,
                                 .rebirth = count,
                                 .poll = count,
                                 .probe = add_probe,
                                 .pause = pause_bus,
                                 .resume = count,
                                 .resend = resend};
    struct buf answer = BUF_INIT;
    struct command_what what;
    *result = command_run(&h, source, text, len, &answer, &what);
    demand(buf_ok(&answer) && answer.len > 0 && !memchr(answer.data, '\n', answer.len));
    cJSON *json = json_parse(answer.data, answer.len);
    demand(cJSON_IsObject(json));
    demand(json_bool(json, "ok", false) == (*result == COMMAND_DONE));
    demand(calls == (*result == COMMAND_DONE));
    cJSON_Delete(json);
    buf_fini(&answer);
    return calls;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const WORDS[] = {"status", "rebirth", "resend", "poll"};
    struct command_memory memory;
    enum command_result result;
    if (size < 1 || command_memory_init(&memory, 4) < 0)
        return 0;
    struct command_source source = {.words = WORDS,
                                    .word_count = data[0] & FEW ? 1 : 4,
                                    .uplink = "province",
                                    .memory = &memory,
                                    .retained = data[0] & RETAINED,
                                    .fresh = data[0] & FRESH,
                                    .clock_trusted = data[0] & TRUSTED,
                                    .now_wall_ms = 1795230246000,
                                    .now_mono_ms = 1000};
    char *text = malloc(size); /* of its own, without an end, so that a byte too far is seen */
    demand(text != NULL);
    memcpy(text, data + 1, size - 1);
    if (data[0] & LOCAL) {
        run(NULL, text, size - 1, &result);
    } else {
        int calls = run(&source, text, size - 1, &result);
        demand(calls == 0 || (!source.retained && (source.fresh || source.clock_trusted)));
        demand(run(&source, text, size - 1, &result) == 0);
        demand(calls == 0 || result == COMMAND_REPEATED);
    }
    free(text);
    command_memory_fini(&memory);
    return 0;
}
