/* SPDX-License-Identifier: Apache-2.0 */
/* The devices on the page of status: see cmd_status_page.h. */
#include <stdio.h>
#include <string.h>

#include "cmd_status_page.h"
#include "cmd_status_words.h"
#include "text.h"

enum {
    NAME_LEAST = 6,
    AGE_COLUMNS = 6,
    NAME_MOST = 24,
    CELL_LEAST = 38,    /* in a line of several: name, first value, age */
    POINTS_MOST = 4,    /* bad ones that are named one by one */
    NAMED_COLUMNS = 37, /* a device that fails: name, unit, since when */
    NAMED_ROWS = 2,
    ALONE_MOST = 3, /* so many that fail alike have a line each, with their last values */
    INDENT = 6,
};

static bool is_state(const cJSON *device, const char *state)
{
    return strcmp(json_string(device, "state", ""), state) == 0;
}

struct status_count status_count(const cJSON *status)
{
    struct status_count n = {0};
    for (const cJSON *d = json_first(status, "devices"); d; d = d->next) {
        n.devices++;
        n.well += is_state(d, "ok");
        n.waiting += is_state(d, "waiting");
        n.paused += is_state(d, "paused");
        n.suppressed += json_int(d, "suppressed", 0);
        n.aggregates += json_int(d, "aggregates", 0);
    }
    n.bad = n.devices - n.well - n.waiting - n.paused;
    return n;
}

/* ---- what is not well ---- */

/* One line of advice serves all devices that fail in the same way on the same bus. */
static bool same_cause(const cJSON *a, const cJSON *b)
{
    return strcmp(json_string(a, "bus", ""), json_string(b, "bus", "")) == 0 &&
           strcmp(json_string(a, "state", ""), json_string(b, "state", "")) == 0 &&
           strcmp(json_string(a, "failed_with", ""), json_string(b, "failed_with", "")) == 0 &&
           json_int(a, "exception", 0) == json_int(b, "exception", 0) &&
           strcmp(status_advice(a), status_advice(b)) == 0;
}

static bool was_told(const cJSON *status, const cJSON *device)
{
    for (const cJSON *d = json_first(status, "devices"); d && d != device; d = d->next)
        if (same_cause(d, device))
            return true;
    return false;
}

/* "soil-a1 (unit 1) 3 min ago" */
static void name_device(const cJSON *d, char *ret, size_t size)
{
    char age[32], ago[64];
    int64_t good = json_int(d, "last_good_age_ms", -1);
    if (good >= 0)
        snprintf(ago, sizeof ago, _("%s ago"), status_span(good, age));
    else
        snprintf(ago, sizeof ago, "%s", _("never answered"));
    snprintf(ret, size, _("%s (unit %lld) %s"), json_string(d, "name", "?"),
             (long long)json_int(d, "unit", 0), ago);
}

static const cJSON *last_good(const cJSON *reading)
{
    return cJSON_GetObjectItemCaseSensitive(reading, "last_good");
}

/* ": soil_moisture 23.4 %, soil_temperature 29.1 Cel +3": what it said when it still answered. */
static void add_last_values(struct screen *s, const cJSON *device)
{
    size_t left_out = 0;
    const char *before = ": ";
    for (const cJSON *r = json_first(device, "readings"); r; r = r->next) {
        char text[160], value[64];
        if (!last_good(r))
            continue;
        snprintf(text, sizeof text, "%s%s %s", before, json_string(r, "name", "?"),
                 status_value(last_good(r), json_string(r, "unit", ""), value));
        if (left_out > 0 || s->column + text_width(text) + 4 > s->columns) {
            left_out++;
            continue;
        }
        screen_put(s, INK_DIM, "%s", text);
        before = ", ";
    }
    if (left_out > 0)
        screen_put(s, INK_DIM, " +%zu", left_out);
}

/* Whether at most so many fail alike, and at least one of them gave something before. */
static bool has_last_values(const cJSON *first, size_t most)
{
    size_t alike = 0, with_value = 0;
    for (const cJSON *d = first; d; d = d->next) {
        if (!same_cause(d, first))
            continue;
        alike++;
        for (const cJSON *r = json_first(d, "readings"); r; r = r->next)
            with_value += last_good(r) != NULL;
    }
    return alike <= most && with_value > 0;
}

static void line_of_each(struct screen *s, const cJSON *first)
{
    for (const cJSON *d = first; d; d = d->next) {
        char text[128];
        if (!same_cause(d, first))
            continue;
        name_device(d, text, sizeof text);
        screen_piece(s, INK_PLAIN, INDENT, "");
        screen_put(s, INK_PLAIN, "%s", text);
        add_last_values(s, d);
        screen_end(s);
    }
}

/* Those that fail like the first one: few have a line each, many stand side by side. */
static void name_devices(struct screen *s, const cJSON *first, bool all)
{
    const size_t across = (s->columns - INDENT) / NAMED_COLUMNS, width = NAMED_COLUMNS - 2;
    size_t at = 0, left_out = 0;
    if (has_last_values(first, ALONE_MOST)) {
        line_of_each(s, first);
        return;
    }
    for (const cJSON *d = first; d; d = d->next) {
        char text[128];
        if (!same_cause(d, first) || (!all && at == NAMED_ROWS * across && ++left_out))
            continue;
        if (at > 0 && at % across == 0)
            screen_end(s);
        name_device(d, text, sizeof text);
        size_t columns = text_width(text) > width ? text_width(text) : width;
        screen_piece(s, INK_PLAIN, INDENT, "");
        screen_cell(s, INK_PLAIN, columns, text);
        screen_put(s, INK_PLAIN, "  ");
        at++;
    }
    screen_end(s);
    if (left_out > 0) {
        screen_put(s, INK_DIM, _("      and %zu more: fieldgate status --all"), left_out);
        screen_end(s);
    }
}

static void tell_cause(struct screen *s, const cJSON *device, bool all)
{
    const char *reason = json_string(device, "failed_with", "");
    const char *advice = status_advice(device);
    bool bad = is_state(device, "silent") || is_state(device, "failed");
    char why[64] = "";
    if (strcmp(reason, "exception") == 0)
        snprintf(why, sizeof why, "  %s %lld", reason, (long long)json_int(device, "exception", 0));
    else if (reason[0])
        snprintf(why, sizeof why, "  %s", reason);
    screen_put(s, INK_PLAIN, "  ");
    screen_put(s, bad ? INK_BAD : INK_WARNING, "%s%s", status_state(json_string(device, "state", "?")), why);
    screen_put(s, INK_PLAIN, _(" on bus %s%s"), json_string(device, "bus", "?"), advice[0] ? ": " : "");
    screen_words(s, INK_PLAIN, 4, advice);
    screen_end(s);
    name_devices(s, device, all);
}

static bool is_bad(const cJSON *reading)
{
    const char *q = json_string(reading, "quality", "good");
    return strcmp(q, "good") != 0 && strcmp(q, "not_due") != 0;
}

/* Points that give nothing although their device answers. */
static void bad_points(struct screen *s, const cJSON *status)
{
    size_t found = 0;
    for (const cJSON *d = json_first(status, "devices"); d; d = d->next) {
        if (!is_state(d, "ok"))
            continue;
        for (const cJSON *r = json_first(d, "readings"); r; r = r->next) {
            const char *quality = json_string(r, "quality", "");
            if (!is_bad(r) || ++found > POINTS_MOST)
                continue;
            screen_put(s, INK_PLAIN, "  %s %s  ", json_string(d, "name", "?"), json_string(r, "name", "?"));
            screen_put(s, INK_WARNING, "%s", quality);
            screen_put(s, INK_PLAIN, ": ");
            screen_words(s, INK_PLAIN, 4, status_point_advice(quality));
            screen_end(s);
        }
    }
    if (found > POINTS_MOST) {
        screen_put(s, INK_WARNING, _("  and %zu more values are no measurements: fieldgate status --all"),
                   found - POINTS_MOST);
        screen_end(s);
    }
}

void status_troubles(struct screen *s, const cJSON *status, bool all)
{
    for (const cJSON *d = json_first(status, "devices"); d; d = d->next)
        if (!is_state(d, "ok") && !was_told(status, d))
            tell_cause(s, d, all);
    bad_points(s, status);
}

/* ---- what is well ---- */

static const char *age_of(const cJSON *device, char ret[32])
{
    int64_t age = json_int(device, "age_ms", -1);
    if (age < 0)
        ret[0] = '\0';
    else
        status_span(age, ret);
    return ret;
}

static size_t name_columns(const cJSON *status, size_t most)
{
    size_t widest = NAME_LEAST;
    for (const cJSON *d = json_first(status, "devices"); d; d = d->next) {
        size_t w = text_width(json_string(d, "name", ""));
        widest = w > widest ? w : widest;
    }
    return widest > most ? most : widest;
}

static const cJSON *next_shown(const cJSON *reading)
{
    while (reading && strcmp(json_string(reading, "quality", ""), "not_due") == 0)
        reading = reading->next;
    return reading;
}

/* "soil_moisture 23.4 %, soil_temperature 29.1 Cel +3": as many as the line has room for. */
static void add_values(struct screen *s, const cJSON *device)
{
    size_t left_out = 0;
    const char *before = "";
    const cJSON *r = next_shown(json_first(device, "readings"));
    for (; r; r = next_shown(r->next)) {
        char text[160], value[64];
        snprintf(text, sizeof text, "%s%s %s", before, json_string(r, "name", "?"),
                 status_value(r, json_string(r, "unit", ""), value));
        if (left_out > 0 || s->column + text_width(text) + 4 > s->columns) {
            left_out++;
            continue;
        }
        screen_put(s, is_bad(r) ? INK_WARNING : INK_PLAIN, "%s", text);
        before = ", ";
    }
    if (left_out > 0)
        screen_put(s, INK_DIM, " +%zu", left_out);
}

static void lines_of_values(struct screen *s, const cJSON *status)
{
    size_t name = name_columns(status, NAME_MOST);
    for (const cJSON *d = json_first(status, "devices"); d; d = d->next) {
        char age[32];
        if (!is_state(d, "ok"))
            continue;
        screen_put(s, INK_PLAIN, "  ");
        screen_cell(s, INK_GOOD, name, json_string(d, "name", "?"));
        screen_put(s, INK_PLAIN, " ");
        screen_cell(s, INK_DIM, AGE_COLUMNS + 1, age_of(d, age));
        add_values(s, d);
        screen_end(s);
    }
}

static void add_cell(struct screen *s, const cJSON *d, size_t name, size_t width)
{
    char age[32], value[64] = "";
    const cJSON *r = next_shown(json_first(d, "readings"));
    if (r)
        status_value(r, json_string(r, "unit", ""), value);
    screen_cell(s, INK_GOOD, name, json_string(d, "name", "?"));
    screen_put(s, INK_PLAIN, " ");
    screen_cell(s, r && is_bad(r) ? INK_WARNING : INK_PLAIN, width - name - AGE_COLUMNS - 3, value);
    screen_put(s, INK_PLAIN, " ");
    screen_cell(s, INK_DIM, AGE_COLUMNS, age_of(d, age));
    screen_put(s, INK_PLAIN, " ");
}

static void several_in_a_line(struct screen *s, const cJSON *status, size_t well, size_t rows)
{
    size_t across = s->columns / CELL_LEAST ? s->columns / CELL_LEAST : 1, at = 0;
    for (size_t least = 24; across * rows < well && s->columns / least > across;)
        across++; /* closer together rather than left out */
    size_t width = (s->columns - 2) / across, name = name_columns(status, width / 2 - 1);
    size_t most = rows * across < well ? (rows > 1 ? (rows - 1) * across : across) : well;
    for (const cJSON *d = json_first(status, "devices"); d && at < most; d = d->next) {
        if (!is_state(d, "ok"))
            continue;
        if (at % across == 0)
            screen_put(s, INK_PLAIN, "  ");
        add_cell(s, d, name, width);
        if (++at % across == 0)
            screen_end(s);
    }
    if (at % across != 0)
        screen_end(s);
    if (at < well) {
        screen_put(s, INK_DIM, _("  and %zu more that answer: fieldgate status --all"), well - at);
        screen_end(s);
    }
}

void status_well(struct screen *s, const cJSON *status, size_t rows)
{
    struct status_count n = status_count(status);
    if (n.well <= rows)
        lines_of_values(s, status);
    else
        several_in_a_line(s, status, n.well, rows > 2 ? rows : 2);
}

/* ---- everything ---- */

/* How fast it answers, and how long we wait by now: a device that grows slow is on its way out. */
static void add_times(struct screen *s, const cJSON *device)
{
    const cJSON *counters = cJSON_GetObjectItemCaseSensitive(device, "counters");
    char text[256];
    if (json_int(counters, "replies", 0) == 0)
        return;
    snprintf(text, sizeof text, _("answers in %lld ms (%lld to %lld)"),
             (long long)json_int(counters, "reply_mean_ms", 0),
             (long long)json_int(counters, "reply_min_ms", 0),
             (long long)json_int(counters, "reply_max_ms", 0));
    screen_put(s, INK_PLAIN, "%s", text);
    if (json_int(device, "timeout_ms", 0) > 0)
        screen_put(s, INK_PLAIN, _(", waited for %lld ms"), (long long)json_int(device, "timeout_ms", 0));
    screen_put(s, INK_PLAIN, "; ");
}

static void add_counts(struct screen *s, const cJSON *device)
{
    static const struct {
        const char *key, *text;
    } counts[] = {{"failed", N_("without data")},
                  {"missed", N_("periods missed")},
                  {"suppressed", N_("said nothing new")},
                  {"aggregates", N_("records of windows")}};
    screen_put(s, INK_PLAIN, _("%lld polls"), (long long)json_int(device, "polls", 0));
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        long long n = (long long)json_int(device, counts[i].key, 0);
        if (n > 0)
            screen_put(s, INK_PLAIN, ", %lld %s", n, _(counts[i].text));
    }
}

static void add_point(struct screen *s, const cJSON *reading)
{
    char value[64], age[32];
    const char *unit = json_string(reading, "unit", "");
    const char *quality = json_string(reading, "quality", "");
    if (strcmp(quality, "not_due") == 0)
        return;
    screen_put(s, INK_PLAIN, "    ");
    screen_cell(s, INK_PLAIN, 28, json_string(reading, "name", "?"));
    screen_cell(s, is_bad(reading) ? INK_WARNING : INK_PLAIN, 20, status_value(reading, unit, value));
    screen_cell(s, INK_DIM, 8, status_span(json_int(reading, "age_ms", 0), age));
    if (is_bad(reading))
        screen_put(s, INK_WARNING, "%s", quality);
    if (last_good(reading))
        screen_put(s, INK_DIM, _("  last %s, %s ago"), status_value(last_good(reading), unit, value),
                   status_span(json_int(last_good(reading), "age_ms", 0), age));
    screen_end(s);
}

void status_everything(struct screen *s, const cJSON *status)
{
    for (const cJSON *d = json_first(status, "devices"); d; d = d->next) {
        const char *model = json_string(d, "model", "");
        bool well = is_state(d, "ok");
        screen_put(s, INK_PLAIN, "  ");
        screen_put(s, INK_BOLD, "%s", json_string(d, "name", "?"));
        screen_put(s, INK_PLAIN, _("  bus %s, unit %lld%s%s  "), json_string(d, "bus", "?"),
                   (long long)json_int(d, "unit", 0), model[0] ? ", " : "", model);
        screen_put(s, well ? INK_GOOD : INK_BAD, "%s", status_state(json_string(d, "state", "?")));
        screen_end(s);
        screen_put(s, INK_PLAIN, "    ");
        add_times(s, d);
        add_counts(s, d);
        screen_end(s);
        for (const cJSON *r = json_first(d, "readings"); r; r = r->next)
            add_point(s, r);
    }
}
