/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd_status_page.h"

#include <stdio.h>
#include <string.h>

#include "cmd_status_words.h"
#include "text.h"

enum { INDENT = 6, PROMPT_ROWS = 1 };

/* ---- who, and whether all is well ---- */

static void add_identity(struct screen *s, const cJSON *status)
{
    char up[32], when[32], text[160];
    screen_put(s, INK_BOLD, "%s", json_string(status, "gateway", "?"));
    snprintf(text, sizeof text, _("  %s, running for %s"), json_string(status, "software", "?"),
             status_span(json_int(status, "uptime_ms", 0), up));
    screen_put(s, INK_PLAIN, "%s", text);
    snprintf(text, sizeof text, "  %s", status_time(json_int(status, "ts", 0), when));
    screen_piece(s, INK_DIM, 0, text);
    screen_end(s);
}

static size_t uplinks_down(const cJSON *status, size_t *ret_all)
{
    size_t down = 0;
    *ret_all = 0;
    for (const cJSON *u = json_first(status, "uplinks"); u; u = u->next, ++*ret_all)
        down += !json_bool(u, "connected", false);
    return down;
}

static void add_verdict(struct screen *s, const cJSON *status)
{
    struct status_count n = status_count(status);
    size_t links, down = uplinks_down(status, &links);
    char text[256];
    bool well = n.bad == 0 && down == 0;
    if (n.bad > 0)
        snprintf(text, sizeof text, _("%zu of %zu devices do not answer well"), n.bad, n.devices);
    else if (n.waiting + n.paused > 0)
        snprintf(text, sizeof text, _("%zu of %zu devices answer"), n.well, n.devices);
    else
        snprintf(text, sizeof text, _("all %zu devices answer"), n.devices);
    screen_put(s, n.bad > 0 ? INK_BAD : INK_GOOD, "%s", text);
    if (down > 0)
        snprintf(text, sizeof text, _(", %zu of %zu uplinks down"), down, links);
    else
        snprintf(text, sizeof text, _(", %zu uplinks connected"), links);
    screen_put(s, down > 0 ? INK_BAD : INK_GOOD, "%s", text);
    if (well)
        screen_put(s, INK_GOOD, ".");
    screen_end(s);
}

static void add_warnings(struct screen *s, const cJSON *status)
{
    char text[512];
    if (strcmp(json_string(status, "config", ""), "current") != 0) {
        snprintf(text, sizeof text,
                 _("configuration: LAST GOOD ONE (%s): the file has errors; run `fieldgate check`"),
                 json_string(status, "config_path", "?"));
        screen_words(s, INK_BAD, 0, text);
        screen_end(s);
    }
    if (strcmp(json_string(status, "clock", ""), "trusted") != 0) {
        screen_words(s, INK_WARNING, 0,
                     _("clock: NOT TRUSTED: readings are marked; check network time or the clock battery"));
        screen_end(s);
    }
}

/* ---- links ---- */

/* "store_full 380, refused 6" */
static void add_dropped(struct screen *s, const cJSON *uplink)
{
    char text[256];
    long long all = (long long)json_int(uplink, "dropped", 0);
    const cJSON *reasons = cJSON_GetObjectItemCaseSensitive(uplink, "dropped_by");
    snprintf(text, sizeof text, _("dropped %lld"), all);
    screen_piece(s, all > 0 ? INK_WARNING : INK_PLAIN, INDENT, text);
    const char *before = " (";
    for (const cJSON *r = reasons ? reasons->child : NULL; r; r = r->next) {
        snprintf(text, sizeof text, "%s%s %.0f%s", before, r->string, r->valuedouble, r->next ? "" : ")");
        screen_piece(s, INK_PLAIN, INDENT, text);
        before = ", ";
    }
}

static void add_progress(struct screen *s, const cJSON *u, int64_t now_ms)
{
    char text[160], a[32];
    int64_t oldest = json_int(u, "oldest_waiting_ts", 0), drain = json_int(u, "drain_ms", -1);
    snprintf(text, sizeof text, _("waiting %lld"), (long long)json_int(u, "waiting", 0));
    screen_piece(s, INK_PLAIN, INDENT, text);
    if (oldest) {
        snprintf(text, sizeof text, _(" (oldest %s)"), status_span(now_ms - oldest, a));
        screen_piece(s, INK_PLAIN, INDENT, text);
    }
    if (drain > 0) {
        snprintf(text, sizeof text, _(", empty in about %s"), status_span(drain, a));
        screen_piece(s, INK_PLAIN, INDENT, text);
    }
    snprintf(text, sizeof text, _(", delivered %lld, "), (long long)json_int(u, "delivered", 0));
    screen_piece(s, INK_PLAIN, INDENT, text);
    add_dropped(s, u);
    screen_end(s);
}

static void add_unheard(struct screen *s, const cJSON *u)
{
    const cJSON *lanes = cJSON_GetObjectItemCaseSensitive(u, "unheard");
    char text[400];
    if (cJSON_GetArraySize(lanes) == 0)
        return;
    const bool both = cJSON_GetArraySize(lanes) > 1;
    const char *lane = cJSON_GetStringValue(cJSON_GetArrayItem(lanes, 0));
    snprintf(
        text, sizeof text,
        _("NOBODY IS SUBSCRIBED to data/%s: the broker takes our records and throws them away, %lld since "
          "the start; ask the receiver to subscribe, then `resend` (FG-LINK-UNHEARD in the log)"),
        both || !lane ? "#" : lane, (long long)json_int(u, "unheard_records", 0));
    screen_words(s, INK_BAD, INDENT, text);
    screen_end(s);
}

static void add_uplink(struct screen *s, const cJSON *u, int64_t now_ms)
{
    char text[512], a[32], b[32];
    bool up = json_bool(u, "connected", false);
    status_span(json_int(u, "for_ms", 0), a);
    screen_put(s, INK_BOLD, _("uplink %s"), json_string(u, "name", "?"));
    screen_put(s, INK_PLAIN, "  ");
    if (up) {
        snprintf(text, sizeof text, _("up for %s"), a);
        screen_put(s, INK_GOOD, "%s", text);
        screen_put(s, INK_PLAIN, ", ");
        screen_piece(s, INK_PLAIN, INDENT, json_string(u, "url", "?"));
    } else {
        snprintf(text, sizeof text, _("DOWN for %s"), a);
        screen_put(s, INK_BAD, "%s", text);
        snprintf(text, sizeof text, _(": %s; next try in %s"), json_string(u, "reason", ""),
                 status_span(json_int(u, "next_try_in_ms", 0), b));
        screen_words(s, INK_PLAIN, INDENT, text);
    }
    screen_end(s);
    if (json_bool(u, "id_clash", false)) {
        screen_words(
            s, INK_BAD, INDENT,
            _("ANOTHER CLIENT USES OUR client_id ON THIS BROKER: most likely a second gateway with this "
              "gateway's id; give one of them another gateway: id, then `fieldgate apply`"));
        screen_end(s);
    }
    if (json_bool(u, "topic_clash", false)) {
        screen_words(s, INK_BAD, INDENT,
                     _("ANOTHER GATEWAY PUBLISHES ON OUR TOPIC: give one of them another gateway: id, or its "
                       "uplink another topic, then `fieldgate apply`"));
        screen_end(s);
    }
    add_unheard(s, u);
    screen_piece(s, INK_PLAIN, INDENT, "");
    add_progress(s, u, now_ms);
}

/* ---- buffer ---- */

static void add_room(struct screen *s, const cJSON *store)
{
    char text[160], a[32];
    int64_t room = json_int(store, "room_ms", -1), rate = json_int(store, "records_per_day", -1);
    if (room >= 0)
        snprintf(text, sizeof text, _("; room for %s more at %lld records a day"), status_span(room, a),
                 (long long)rate);
    else
        snprintf(text, sizeof text, "%s", _("; how long it lasts is not known yet"));
    screen_words(s, room >= 0 && room < 3 * 86400000LL ? INK_WARNING : INK_PLAIN, INDENT, text);
}

static void add_store_trouble(struct screen *s, const cJSON *store, int64_t now_ms)
{
    char text[512], when[32], span[32];
    int64_t stalled = json_int(store, "stalled_ms", 0);
    if (stalled > 0) {
        snprintf(
            text, sizeof text,
            _("  THE DISK HANGS since %s (%s): %s cannot be written or read; measuring goes on, nothing is "
              "sent until it answers, and these figures are from before; check the card or disk (dmesg)"),
            status_time(now_ms - stalled, when), status_span(stalled, span), json_string(store, "path", "?"));
        screen_words(s, INK_BAD, 2, text);
        screen_end(s);
    }
    if (json_bool(store, "failing", false)) {
        snprintf(text, sizeof text, _("  THE DISK REFUSES WRITES: %s"), json_string(store, "why", ""));
        screen_words(s, INK_BAD, 2, text);
        screen_end(s);
    }
    if (json_int(store, "in_memory", 0) || !json_bool(store, "durable", true)) {
        snprintf(text, sizeof text,
                 _("  %lld records are in memory only: what is not delivered is lost if the power goes now"),
                 (long long)json_int(store, "in_memory", 0));
        screen_words(s, INK_BAD, 2, text);
        screen_end(s);
    }
    if (json_int(store, "queue_dropped", 0)) {
        snprintf(text, sizeof text, _("  %lld samples lost because the disk was too slow"),
                 (long long)json_int(store, "queue_dropped", 0));
        screen_words(s, INK_BAD, 2, text);
        screen_end(s);
    }
}

static void add_store(struct screen *s, const cJSON *status)
{
    const cJSON *store = cJSON_GetObjectItemCaseSensitive(status, "store");
    const struct status_count n = status_count(status);
    char text[256], a[32], b[32];
    int64_t written = json_int(status, "written_bytes_per_day", -1);
    screen_put(s, INK_BOLD, "%s", _("buffer"));
    snprintf(text, sizeof text, _("  %s of %s used, %lld records"),
             status_bytes(json_int(store, "bytes", 0), a), status_bytes(json_int(store, "max_bytes", 0), b),
             (long long)json_int(store, "records", 0));
    screen_put(s, INK_PLAIN, "%s", text);
    add_room(s, store);
    if (written >= 0) {
        snprintf(text, sizeof text, _("; %s a day written to flash"), status_bytes(written, a));
        screen_words(s, INK_PLAIN, INDENT, text);
    }
    if (n.suppressed > 0 || n.aggregates > 0) {
        snprintf(text, sizeof text, _("; by rule %lld samples not stored, %lld records of windows"),
                 (long long)n.suppressed, (long long)n.aggregates);
        screen_words(s, INK_PLAIN, INDENT, text);
    }
    screen_end(s);
    add_store_trouble(s, store, json_int(status, "ts", 0));
}

/* ---- lines ---- */

/* "12 of 3400 questions failed: 8 silence, 4 bad_crc": the share says how bad, the kinds where to look. */
static void add_failures(struct screen *s, const cJSON *counters)
{
    static const struct {
        const char *key, *word;
    } kinds[] = {{"timeouts", "silence"},
                 {"bad_crc", "bad_crc"},
                 {"short", "short"},
                 {"wrong_unit", "wrong_unit"},
                 {"wrong_function", "wrong_function"},
                 {"garbage", "garbage"},
                 {"foreign", "foreign"},
                 {"late", "late"}};
    long long requests = (long long)json_int(counters, "requests", 0);
    long long failed = requests - (long long)json_int(counters, "replies", 0);
    char text[128];
    if (failed <= 0)
        return;
    snprintf(text, sizeof text, _(", %lld of %lld questions failed"), failed, requests);
    screen_put(s, INK_PLAIN, "%s", text);
    const char *before = ": ";
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        long long n = (long long)json_int(counters, kinds[i].key, 0);
        if (n == 0)
            continue;
        snprintf(text, sizeof text, "%s%lld %s", before, n, kinds[i].word);
        screen_piece(s, INK_PLAIN, INDENT, text);
        before = ", ";
    }
}

static bool is_quiet(const cJSON *bus)
{
    const cJSON *c = cJSON_GetObjectItemCaseSensitive(bus, "counters");
    return json_int(c, "requests", 0) <= json_int(c, "replies", 0) && json_int(bus, "missed", 0) == 0;
}

static void add_load(struct screen *s, const cJSON *bus, const char *before)
{
    char text[128];
    snprintf(text, sizeof text, _("%s %s %lld %% busy"), before, json_string(bus, "name", "?"),
             (long long)(json_int(bus, "busy_permille", 0) + 5) / 10);
    screen_piece(s, INK_PLAIN, INDENT, text);
}

static void add_bus(struct screen *s, const cJSON *bus)
{
    char text[128];
    long long missed = (long long)json_int(bus, "missed", 0);
    screen_put(s, INK_BOLD, "%s", _("bus"));
    add_load(s, bus, "");
    add_failures(s, cJSON_GetObjectItemCaseSensitive(bus, "counters"));
    if (missed > 0) {
        snprintf(text, sizeof text, _(", %lld periods missed"), missed);
        screen_piece(s, INK_WARNING, INDENT, text);
    }
    screen_end(s);
}

/* A line for each bus that has something to tell, and one for all others. */
static void add_buses(struct screen *s, const cJSON *status)
{
    const char *before = "";
    for (const cJSON *bus = json_first(status, "buses"); bus; bus = bus->next)
        if (!is_quiet(bus))
            add_bus(s, bus);
    for (const cJSON *bus = json_first(status, "buses"); bus; bus = bus->next) {
        if (!is_quiet(bus))
            continue;
        if (!*before)
            screen_put(s, INK_BOLD, "%s", _("bus"));
        add_load(s, bus, before);
        before = ",";
    }
    if (*before)
        screen_end(s);
}

/* ---- the page ---- */

void status_page(struct screen *s, const cJSON *status, bool all)
{
    const struct status_count n = status_count(status);
    add_identity(s, status);
    add_verdict(s, status);
    add_warnings(s, status);
    status_troubles(s, status, all);
    for (const cJSON *u = json_first(status, "uplinks"); u; u = u->next)
        add_uplink(s, u, json_int(status, "ts", 0));
    add_store(s, status);
    add_buses(s, status);
    if (all)
        status_everything(s, status);
    else if (n.well > 0)
        status_well(s, status, s->rows > s->lines + PROMPT_ROWS ? s->rows - s->lines - PROMPT_ROWS : 0);
}
