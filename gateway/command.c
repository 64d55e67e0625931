/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include <stdio.h>
#include <string.h>

#include "json.h"
#include "text.h"

enum { ID_MAX = 128 };
/* Beyond, a double no longer tells neighbours apart: a number would come back as another one. */
static const double EXACT_MAX = 9007199254740992.0;

/* One request under way. */
struct request {
    const struct command_handlers *handlers;
    const struct command_source *source; /* NULL: local */
    const cJSON *json;
    struct buf id;      /* JSON */
    struct buf members; /* of the answer, behind "ok":true */
    struct err_note note;
    enum command_result result;
};

const char *command_result_word(enum command_result result)
{
    static const char *const words[COMMAND_RESULTS] = {
        "done", "failed", "malformed", "oversize", "unknown", "not_allowed", "retained", "stale", "repeated",
    };
    return words[result];
}

static int refuse(struct request *r, enum command_result result, const char *why)
{
    r->result = result;
    return err_note(&r->note, FG_EINVALID, "%s", why);
}

/* ---- members ---- */

/* False for what is not a whole number that a double holds exactly. */
static bool whole_number(const cJSON *item, int64_t *ret)
{
    if (!cJSON_IsNumber(item) || item->valuedouble > EXACT_MAX || item->valuedouble < -EXACT_MAX)
        return false;
    *ret = (int64_t)item->valuedouble;
    return (double)*ret == item->valuedouble;
}

static bool number_of(const struct request *r, const char *key, int64_t *ret)
{
    return whole_number(cJSON_GetObjectItemCaseSensitive(r->json, key), ret);
}

static const char *name_of(struct request *r, const char *key)
{
    const char *name = json_string(r->json, key, NULL);
    if (name && *name)
        return name;
    r->result = COMMAND_MALFORMED;
    (void)err_note(&r->note, FG_EINVALID, "\"%s\" is missing: give its name from the configuration", key);
    return NULL;
}

/* The uplink that a command is about: by default, and at most, the one that it came by. */
static const char *uplink_of(struct request *r)
{
    const char *mine = r->source ? r->source->uplink : NULL;
    if (!mine)
        return name_of(r, "uplink");
    if (!cJSON_GetObjectItemCaseSensitive(r->json, "uplink"))
        return mine;
    const char *name = name_of(r, "uplink");
    if (name && strcmp(name, mine) != 0) {
        (void)refuse(r, COMMAND_NOT_ALLOWED, _("a broker may give commands about its own uplink only"));
        return NULL;
    }
    return name;
}

/* ---- commands ---- */

static int run_status(struct request *r)
{
    buf_add_key(&r->members, "status");
    return r->handlers->status(r->handlers->context, &r->members, &r->note);
}

static int run_rebirth(struct request *r)
{
    const char *uplink = uplink_of(r);
    return uplink ? r->handlers->rebirth(r->handlers->context, uplink, &r->note) : FG_EINVALID;
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
    buf_add_key(&r->members, "probe");
    return r->handlers->probe(r->handlers->context, device, &r->members, &r->note);
}

static int run_pause(struct request *r)
{
    const char *bus = name_of(r, "bus");
    int64_t for_ms;
    if (!bus)
        return FG_EINVALID;
    if (!number_of(r, "for_ms", &for_ms) || for_ms < 1 || for_ms > COMMAND_PAUSE_MAX_MS)
        return refuse(r, COMMAND_MALFORMED,
                      _("\"for_ms\" must be 1 to 900000 (15 min); a longer pause is renewed before it ends"));
    buf_member_int(&r->members, "for_ms", for_ms);
    return r->handlers->pause(r->handlers->context, bus, for_ms, &r->note);
}

static int run_resume(struct request *r)
{
    const char *bus = name_of(r, "bus");
    return bus ? r->handlers->resume(r->handlers->context, bus, &r->note) : FG_EINVALID;
}

static int run_resend(struct request *r)
{
    const char *uplink = uplink_of(r);
    int64_t from, to;
    if (!uplink)
        return FG_EINVALID;
    if (!number_of(r, "from", &from) || !number_of(r, "to", &to) || from < 1 || to < from)
        return refuse(r, COMMAND_MALFORMED,
                      _("\"from\" and \"to\" must be the first and last seq to send again"));
    int64_t count = r->handlers->resend(r->handlers->context, uplink, (uint64_t)from, (uint64_t)to, &r->note);
    if (count < 0)
        return (int)count;
    buf_member_int(&r->members, "count", count);
    return 0;
}

struct entry {
    const char *word;
    int (*run)(struct request *r);
    const char *keys[4]; /* beside those that every request may have */
    bool there;
};
enum { ENTRY_COUNT = 7 };
static const char WORDS[] = "status, rebirth, poll, probe, pause, resume, resend";

static bool may(const struct command_source *source, const char *word)
{
    if (!source)
        return true;
    for (size_t i = 0; i < source->word_count; i++)
        if (strcmp(source->words[i], word) == 0)
            return true;
    return false;
}

static bool listed(const char *const *keys, const char *key)
{
    for (; *keys; keys++)
        if (strcmp(*keys, key) == 0)
            return true;
    return false;
}

/* Whoever writes a member that we would overlook expects something that we would not do. */
static int check_members(struct request *r, const struct entry *e)
{
    static const char *const COMMON[] = {"v", "id", "command", "sent", NULL};
    for (const cJSON *m = r->json->child; m; m = m->next) {
        bool twice = cJSON_GetObjectItemCaseSensitive(r->json, m->string) != m;
        if (!twice && (listed(COMMON, m->string) || listed(e->keys, m->string)))
            continue;
        r->result = COMMAND_MALFORMED;
        return err_note(&r->note, FG_EINVALID, "\"%.40s\" %s", m->string,
                        twice ? _("stands there twice") : _("is not a member of this command; delete it"));
    }
    return 0;
}

/* ---- from afar ---- */

static int judge_sent(struct request *r, int64_t sent_ms)
{
    int64_t age_ms = r->source->now_wall_ms - sent_ms;
    if (age_ms >= -COMMAND_AGE_MAX_MS && age_ms <= COMMAND_AGE_MAX_MS)
        return 0;
    r->result = COMMAND_STALE;
    return err_note(&r->note, FG_EINVALID,
                    age_ms > 0 ? _("it was sent %lld s ago; what is older than 5 min is not carried out")
                               : _("it was sent %lld s in the future; compare the clocks"),
                    (long long)((age_ms > 0 ? age_ms : -age_ms) / 1000));
}

static int check_age(struct request *r)
{
    const struct command_source *s = r->source;
    int64_t sent_ms = 0;
    bool says = cJSON_GetObjectItemCaseSensitive(r->json, "sent") != NULL;
    if (says && (!number_of(r, "sent", &sent_ms) || sent_ms < 0))
        return refuse(r, COMMAND_MALFORMED,
                      _("\"sent\" must be a time in milliseconds since 1970-01-01 UTC"));
    if (!s)
        return 0;
    if (says && s->clock_trusted)
        return judge_sent(r, sent_ms);
    if (s->fresh)
        return 0;
    return refuse(
        r, COMMAND_STALE,
        says ? _("this gateway does not know the time, so it cannot judge \"sent\"; publish the command "
                 "with an MQTT 5 message expiry")
             : _("nothing says when it was sent: add \"sent\" (milliseconds since 1970-01-01 UTC), or "
                 "publish it with an MQTT 5 message expiry"));
}

static int check_repeat(struct request *r)
{
    const struct command_source *s = r->source;
    int64_t age_ms = command_memory_age(s->memory, r->id.data, r->id.len, s->now_mono_ms);
    if (age_ms < 0)
        return 0;
    r->result = COMMAND_REPEATED;
    return err_note(&r->note, FG_EINVALID,
                    "a command with this id was carried out %lld s ago; a new command needs a new id",
                    (long long)(age_ms / 1000));
}

static int check_source(struct request *r)
{
    const struct command_source *s = r->source;
    if (!s)
        return 0;
    if (s->retained)
        return refuse(
            r, COMMAND_RETAINED,
            _("a command must not be retained: it would come again at each connect; publish it without "
              "the retain flag, and clear the one that is kept"));
    if (s->fault)
        return refuse(r, COMMAND_MALFORMED, s->fault);
    if (strcmp(r->id.data, "null") == 0)
        return refuse(r, COMMAND_MALFORMED,
                      _("\"id\" must be a string of 1 to 128 bytes or an integer, new for each command"));
    return 0;
}

/* ---- one request ---- */

static int run_entry(struct request *r, const struct entry *e)
{
    if (!may(r->source, e->word)) {
        r->result = COMMAND_NOT_ALLOWED;
        return err_note(&r->note, FG_EINVALID, "\"%s\" is not allowed here; see `commands` of the uplink",
                        e->word);
    }
    int err = check_members(r, e);
    if (err == 0)
        err = check_age(r);
    if (err == 0 && r->source)
        err = check_repeat(r);
    if (err == 0 && r->source && r->source->not_now) {
        r->result = COMMAND_FAILED;
        err = err_note(&r->note, FG_ERETRY, "%s", r->source->not_now);
    }
    if (err < 0)
        return err;
    r->result = COMMAND_DONE;
    err = e->run(r);
    if (err < 0 && r->result == COMMAND_DONE)
        r->result = COMMAND_FAILED;
    if (r->source && (r->result == COMMAND_DONE || r->result == COMMAND_FAILED))
        command_memory_note(r->source->memory, r->id.data, r->id.len, r->source->now_mono_ms);
    return err;
}

static int dispatch(struct request *r, struct command_what *what)
{
    const struct command_handlers *h = r->handlers;
    const struct entry entries[ENTRY_COUNT] = {
        {"status", run_status, {NULL}, h->status != NULL},
        {"rebirth", run_rebirth, {"uplink"}, h->rebirth != NULL},
        {"poll", run_poll, {"device"}, h->poll != NULL},
        {"probe", run_probe, {"device"}, h->probe != NULL},
        {"pause", run_pause, {"bus", "for_ms"}, h->pause != NULL},
        {"resume", run_resume, {"bus"}, h->resume != NULL},
        {"resend", run_resend, {"uplink", "from", "to"}, h->resend != NULL},
    };
    int err = check_source(r);
    if (err < 0)
        return err;
    const char *word = json_string(r->json, "command", NULL);
    if (!word) {
        r->result = COMMAND_MALFORMED;
        return err_note(&r->note, FG_EINVALID, "\"command\" is missing; there are: %s", WORDS);
    }
    for (size_t i = 0; i < ENTRY_COUNT; i++)
        if (entries[i].there && strcmp(entries[i].word, word) == 0) {
            snprintf(what->word, sizeof what->word, "%s", word);
            return run_entry(r, &entries[i]);
        }
    r->result = COMMAND_UNKNOWN;
    return err_note(&r->note, FG_EINVALID, "there is no command \"%.40s\"; there are: %s", word, WORDS);
}

/* The id as it came. Only kinds that come back exactly. */
static void add_id(const cJSON *json, struct buf *out)
{
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(json, "id");
    int64_t number;
    if (cJSON_IsString(id) && id->valuestring[0] && strlen(id->valuestring) <= ID_MAX)
        buf_add_json(out, id->valuestring);
    else if (whole_number(id, &number))
        buf_add_int(out, number);
    else
        buf_adds(out, "null");
}

static const char *refusal_code(enum command_result result, int err)
{
    if (result != COMMAND_FAILED)
        return command_result_word(result);
    bool later = err == FG_ERETRY || err == FG_ETIMEOUT || err == FG_ECLOSED;
    return err == FG_ENOTFOUND ? "not_found" : later ? "not_now" : "failed";
}

static void write_answer(struct request *r, int err, struct buf *answer)
{
    buf_adds(answer, "{\"id\":");
    buf_add(answer, r->id.data, r->id.len);
    if (err >= 0) {
        buf_adds(answer, ",\"ok\":true");
        if (r->members.len) {
            buf_addc(answer, ',');
            buf_add(answer, r->members.data, r->members.len);
        }
    } else {
        buf_adds(answer, ",\"ok\":false");
        buf_member_text(answer, "code", refusal_code(r->result, err));
        buf_member_text(answer, "error", r->note.text[0] ? r->note.text : err_text(err));
    }
    buf_addc(answer, '}');
}

/* What was done cannot be undone by an answer that cannot be told: only the answer fails. */
static int check_answer(struct request *r)
{
    size_t max = r->source ? r->source->answer_max : 0;
    int err = 0;
    if (!buf_ok(&r->members))
        err = FG_ENOMEM;
    else if (max > 0 && r->members.len + r->id.len + sizeof "{\"id\":,\"ok\":true,}" > max)
        err = err_note(&r->note, FG_ERANGE, "the answer is larger than the broker takes (%zu of %zu bytes)",
                       r->members.len, max);
    if (err < 0)
        r->result = COMMAND_FAILED;
    return err;
}

/* NULL with the result and a note set. */
static cJSON *parse(struct request *r, const char *text, size_t len)
{
    static const char ZERO[] = "\\u0000";
    if (len > COMMAND_REQUEST_MAX || !text) {
        (void)refuse(r, COMMAND_OVERSIZE, _("the request is longer than 16 KiB"));
        return NULL;
    }
    cJSON *json = json_parse(text, len);
    if (cJSON_IsObject(json) && !memmem(text, len, ZERO, sizeof ZERO - 1))
        return json;
    /* A text with a zero character in it would be another one to us. */
    (void)refuse(r, COMMAND_MALFORMED,
                 !json ? _("the request is not JSON; write {\"id\":1,\"command\":\"status\"}")
                 : cJSON_IsObject(json) ? _("the request has a zero character in it")
                                        : _("the request is not a JSON object; write "
                                            "{\"id\":1,\"command\":\"status\"}"));
    cJSON_Delete(json);
    return NULL;
}

enum command_result command_run(const struct command_handlers *handlers, const struct command_source *source,
                                const char *text, size_t len, struct buf *answer,
                                struct command_what *ret_what)
{
    struct request r = {.handlers = handlers, .source = source};
    struct command_what what = {.id = "null"};
    cJSON *json = parse(&r, text, len);
    int err = FG_EINVALID;
    r.json = json;
    add_id(json, &r.id);
    if (json && !buf_ok(&r.id)) {
        err = FG_ENOMEM;
        r.result = COMMAND_FAILED;
    } else if (json) {
        snprintf(what.id, sizeof what.id, "%s", r.id.data);
        err = dispatch(&r, &what);
    }
    if (err >= 0)
        err = check_answer(&r);
    write_answer(&r, err, answer);
    cJSON_Delete(json);
    buf_fini(&r.id);
    buf_fini(&r.members);
    if (ret_what)
        *ret_what = what;
    return r.result;
}
