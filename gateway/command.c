/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include <string.h>

#include "json.h"
#include "text.h"

enum { ID_MAX = 128 };

/* One request under way. */
struct request {
    const struct command_handlers *handlers;
    const cJSON *json;
    struct buf *answer; /* the members behind "ok":true */
    struct err_note note;
};

static int wrong(struct request *r, const char *what)
{
    return err_note(&r->note, FG_EINVALID, "%s", what);
}

static const char *name_of(struct request *r, const char *key)
{
    const char *name = json_string(r->json, key, NULL);
    if (!name || !*name)
        (void)err_note(&r->note, FG_EINVALID, "\"%s\" is missing: give its name from the configuration", key);
    return name && *name ? name : NULL;
}

static int run_status(struct request *r)
{
    buf_add_key(r->answer, "status");
    return r->handlers->status(r->handlers->context, r->answer, &r->note);
}

static int run_poll(struct request *r)
{
    const char *device = name_of(r, "device");
    return device ? r->handlers->poll(r->handlers->context, device, &r->note) : FG_EINVALID;
}

static int run_probe(struct request *r)
{
    const char *device = name_of(r, "device");
    if (!device)
        return FG_EINVALID;
    buf_add_key(r->answer, "probe");
    return r->handlers->probe(r->handlers->context, device, r->answer, &r->note);
}

static int run_pause(struct request *r)
{
    const char *bus = name_of(r, "bus");
    int64_t for_ms = json_int(r->json, "for_ms", 0);
    if (!bus)
        return FG_EINVALID;
    if (for_ms < 1 || for_ms > COMMAND_PAUSE_MAX_MS)
        return wrong(r,
                     _("\"for_ms\" must be 1 to 900000 (15 min); a longer pause is renewed before it ends"));
    buf_add_key(r->answer, "for_ms");
    buf_add_int(r->answer, for_ms);
    return r->handlers->pause(r->handlers->context, bus, for_ms, &r->note);
}

static int run_resume(struct request *r)
{
    const char *bus = name_of(r, "bus");
    return bus ? r->handlers->resume(r->handlers->context, bus, &r->note) : FG_EINVALID;
}

static int run_resend(struct request *r)
{
    const char *uplink = name_of(r, "uplink");
    int64_t from = json_int(r->json, "from", 0), to = json_int(r->json, "to", 0);
    if (!uplink)
        return FG_EINVALID;
    if (from < 1 || to < from)
        return wrong(r, _("\"from\" and \"to\" must be the first and last seq to send again"));
    int64_t count = r->handlers->resend(r->handlers->context, uplink, (uint64_t)from, (uint64_t)to, &r->note);
    if (count < 0)
        return (int)count;
    buf_add_key(r->answer, "count");
    buf_add_int(r->answer, count);
    return 0;
}

struct entry {
    const char *word;
    int (*run)(struct request *r);
    bool there;
};
enum { ENTRY_COUNT = 6 };

static bool may(const struct command_rights *rights, const char *word)
{
    if (!rights || !rights->words)
        return true;
    for (size_t i = 0; i < rights->count; i++)
        if (strcmp(rights->words[i], word) == 0)
            return true;
    return false;
}

static int dispatch(struct request *r, const struct command_rights *rights)
{
    const struct command_handlers *h = r->handlers;
    const struct entry entries[ENTRY_COUNT] = {
        {"status", run_status, h->status != NULL}, {"poll", run_poll, h->poll != NULL},
        {"probe", run_probe, h->probe != NULL},    {"pause", run_pause, h->pause != NULL},
        {"resume", run_resume, h->resume != NULL}, {"resend", run_resend, h->resend != NULL},
    };
    const char *word = json_string(r->json, "command", NULL);
    if (!word)
        return wrong(r, _("\"command\" is missing: status, poll, probe, pause, resume or resend"));
    for (size_t i = 0; i < ENTRY_COUNT; i++) {
        if (!entries[i].there || strcmp(entries[i].word, word) != 0)
            continue;
        if (!may(rights, word))
            return err_note(&r->note, FG_EINVALID, "\"%s\" is not allowed here; see `commands` of the uplink",
                            entries[i].word);
        return entries[i].run(r);
    }
    return err_note(&r->note, FG_EINVALID,
                    "there is no command \"%.40s\"; there are status, poll, probe, pause, resume and resend",
                    word);
}

/* The id as it came. Only kinds that come back exactly: a number beyond 2^53 would return as another one. */
static void add_id(const cJSON *json, struct buf *out)
{
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(json, "id");
    int64_t number = json_int(json, "id", 0);
    buf_adds(out, "{\"id\":");
    if (cJSON_IsString(id) && strlen(id->valuestring) <= ID_MAX)
        buf_add_json(out, id->valuestring);
    else if (cJSON_IsNumber(id) && (double)number == id->valuedouble)
        buf_add_int(out, number);
    else
        buf_adds(out, "null");
}

static void refuse(int err, const char *why, struct buf *answer)
{
    bool later = err == FG_ERETRY || err == FG_ETIMEOUT || err == FG_ECLOSED;
    buf_adds(answer, ",\"ok\":false");
    buf_add_key(answer, "code");
    buf_add_json(answer, err == FG_ENOTFOUND ? "not_found" : later ? "not_now" : "failed");
    buf_add_key(answer, "error");
    buf_add_json(answer, why);
    buf_addc(answer, '}');
}

static void run_parsed(const struct command_handlers *handlers, const struct command_rights *rights,
                       const cJSON *json, struct buf *answer)
{
    struct buf members = BUF_INIT;
    struct request r = {.handlers = handlers, .json = json, .answer = &members};
    int err = dispatch(&r, rights);
    if (err >= 0 && !buf_ok(&members))
        err = FG_ENOMEM;
    add_id(json, answer);
    if (err < 0) {
        refuse(err, r.note.text[0] ? r.note.text : err_text(err), answer);
    } else {
        buf_adds(answer, ",\"ok\":true");
        if (members.len) {
            buf_addc(answer, ',');
            buf_add(answer, members.data, members.len);
        }
        buf_addc(answer, '}');
    }
    buf_fini(&members);
}

void command_run(const struct command_handlers *handlers, const struct command_rights *rights,
                 const char *text, size_t len, struct buf *answer)
{
    const char *why = NULL;
    cJSON *json = NULL;
    if (len > COMMAND_REQUEST_MAX)
        why = _("the request is longer than 16 KiB");
    else if (!(json = json_parse(text, len)))
        why = _("the request is not JSON; write {\"id\":1,\"command\":\"status\"}");
    else if (!cJSON_IsObject(json))
        why = _("the request is not a JSON object; write {\"id\":1,\"command\":\"status\"}");
    if (why) {
        buf_adds(answer, "{\"id\":null");
        refuse(FG_EINVALID, why, answer);
    } else {
        run_parsed(handlers, rights, json, answer);
    }
    cJSON_Delete(json);
}
