/* SPDX-License-Identifier: Apache-2.0 */
/* The search itself: see cmd_scan.h. */
#include <string.h>
#include <time.h>

#include "clock.h"
#include "cmd_scan.h"
#include "text.h"

enum { EVERY_UNIT_AFTER = 4 };

/* A signal is looked for between the tries, so that the bus is always given back. */
static bool is_stopped(struct scan_run *r)
{
    struct timespec now = {0};
    if (sigtimedwait(&r->signals, NULL, &now) > 0)
        r->stopped = true;
    return r->stopped;
}

static int open_scan(struct scan_run *r)
{
    struct err_note note = {0};
    struct modbus_link_options link = {.protocol = r->place.protocol,
                                       .port = r->place.where,
                                       .host = r->place.where,
                                       .tcp_port = r->place.tcp_port,
                                       .line = {9600, "8N1"}};
    modbus_scan_close(r->scan);
    r->scan = NULL;
    int err = modbus_scan_open(&link, &r->scan, &note);
    if (err < 0)
        fprintf(stderr, "fieldgate scan: %s\n", note.text);
    r->failed |= err < 0;
    return err;
}

static bool is_known(const struct scan_run *r, const struct modbus_scan_try *t)
{
    for (size_t i = 0; i < r->findings.count; i++) {
        const struct scan_finding *f = &r->findings.items[i];
        /* Adapters that ignore parity find a device at each of them. */
        if (f->how.line.baud == t->line.baud &&
            (f->how.unit == t->unit || (f->unit > 0 && f->unit == t->unit) ||
             (f->how.any_address && t->any_address)))
            return true;
    }
    return false;
}

struct reader {
    struct scan_run *r;
    struct modbus_ask ask;
};

static int read_words(void *context, enum point_register table, uint16_t address, uint16_t count,
                      uint16_t *words)
{
    static const uint8_t functions[] = {
        [POINT_COIL] = 1, [POINT_DISCRETE_INPUT] = 2, [POINT_HOLDING] = 3, [POINT_INPUT] = 4};
    struct reader *reader = context;
    struct modbus_answer answer;
    scan_hold_renew(&reader->r->hold);
    if (is_stopped(reader->r))
        return FG_ETIMEOUT;
    reader->ask.request.function = functions[table];
    reader->ask.request.address = address;
    reader->ask.request.count = count;
    modbus_scan_read(reader->r->scan, &reader->ask, &answer);
    if (answer.quality != QUALITY_GOOD)
        return answer.quality == QUALITY_EXCEPTION ? FG_EINVALID : FG_ETIMEOUT;
    bool bits = table == POINT_COIL || table == POINT_DISCRETE_INPUT;
    for (size_t i = 0; i < count; i++) {
        int word = bits ? answer.data[i / 8] >> i % 8 & 1 : answer.data[2 * i] << 8 | answer.data[2 * i + 1];
        words[i] = (uint16_t)word;
    }
    return 0;
}

static struct reader make_reader(struct scan_run *r, const struct scan_finding *f)
{
    int64_t wait_ms = 4 * (int64_t)f->reply_ms + 150; /* it has shown how fast it is */
    return (struct reader){.r = r,
                           .ask = {.request = {.unit = f->how.unit},
                                   .line = f->how.line,
                                   .timeout_ms = wait_ms < 1000 ? wait_ms : 1000}};
}

static void note_found(struct scan_run *r, const struct modbus_scan_try *t, uint32_t reply_ms)
{
    char text[64];
    if (r->findings.count == SCAN_FINDINGS_MAX || is_known(r, t))
        return;
    struct scan_finding *f = &r->findings.items[r->findings.count++];
    *f = (struct scan_finding){.how = *t, .unit = t->any_address ? 0 : t->unit, .reply_ms = reply_ms};
    r->progress.found = r->findings.count;
    scan_progress_clear(&r->progress);
    fprintf(stderr, _("scan: found a device at %s\n"), scan_try_text(t, r->place.protocol, text));
    if (!t->any_address)
        return;
    struct reader reader = make_reader(r, f);
    struct scan_device d = {.read = read_words, .context = &reader};
    f->unit = scan_own_unit(&d, &r->profiles);
    r->done = f->unit > 0; /* a single device, and now we know it */
}

static void try_one(struct scan_run *r, const struct modbus_scan_try *t)
{
    struct modbus_scan_result result;
    modbus_scan_try(r->scan, t, &result);
    switch (result.outcome) {
    case MODBUS_SCAN_NOBODY:
        break;
    case MODBUS_SCAN_EMPTY:
        r->saw_box = true;
        break;
    case MODBUS_SCAN_FOUND:
        r->saw_box = true;
        note_found(r, t, result.reply_ms);
        break;
    case MODBUS_SCAN_GARBLED:
        if (r->findings.garbled++ == 0)
            r->findings.first_garbled = *t;
        break;
    case MODBUS_SCAN_NO_PORT:
        scan_progress_clear(&r->progress);
        fprintf(stderr, "fieldgate scan: %s\n", result.note.text);
        r->failed = true;
        break;
    }
    if (result.has_slow && !r->failed)
        try_one(r, &result.slow);
}

/* Some boxes answer to every number: the first few tell. */
static void notice_every_unit(struct scan_run *r, const struct modbus_scan_try *t)
{
    if (r->place.protocol == MODBUS_RTU || r->every == SIZE_MAX)
        return;
    if (!is_known(r, t)) {
        r->every = SIZE_MAX; /* one did not answer */
        return;
    }
    r->every = r->findings.count;
    if (r->every < EVERY_UNIT_AFTER)
        return;
    r->findings.count = 1;
    r->findings.items[0].every_unit = true;
    r->done = true;
}

static bool goes_on(struct scan_run *r)
{
    return !r->failed && !r->done && !is_stopped(r);
}

static void run_tries(struct scan_run *r, const struct modbus_scan_try *tries, size_t count)
{
    for (size_t i = 0; i < count && goes_on(r); i++) {
        scan_hold_renew(&r->hold);
        scan_progress_step(&r->progress, &tries[i], r->place.protocol);
        if (!modbus_scan_fits(&tries[i], r->place.protocol))
            continue;
        if (!is_known(r, &tries[i]))
            try_one(r, &tries[i]);
        notice_every_unit(r, &tries[i]);
        r->progress.done_ms += modbus_scan_cost_ms(&tries[i], r->place.protocol);
    }
}

static int64_t cost_of(const struct modbus_scan_plan *plan, enum modbus_protocol protocol)
{
    int64_t sum = 0;
    for (size_t i = 0; i < plan->count; i++)
        sum += modbus_scan_cost_ms(&plan->tries[i], protocol);
    return sum;
}

/* One way of speaking after the other, the likely units first: a box that speaks the other one is silent. */
static void search_host(struct scan_run *r, const struct modbus_scan_plan *plan)
{
    static const enum modbus_protocol ways[] = {MODBUS_TCP, MODBUS_RTU_OVER_TCP};
    size_t from[] = {0, plan->likely}, to[] = {plan->likely, plan->count};
    for (size_t part = 0; part < 2; part++)
        for (size_t w = 0; w < 2 && goes_on(r); w++) {
            if (r->place.protocol_known && r->place.protocol != ways[w])
                continue;
            r->place.protocol = ways[w];
            if (open_scan(r) < 0)
                return;
            run_tries(r, plan->tries + from[part], to[part] - from[part]);
            r->place.protocol_known |= r->saw_box;
        }
}

void scan_search(struct scan_run *r, const struct modbus_scan_plan *plan)
{
    bool both = !r->place.protocol_known;
    scan_progress_begin(&r->progress, cost_of(plan, r->place.protocol) * (both ? 2 : 1));
    if (r->place.protocol == MODBUS_RTU) {
        if (open_scan(r) == 0)
            run_tries(r, plan->tries, plan->count);
    } else {
        search_host(r, plan);
    }
    scan_progress_clear(&r->progress);
    if (r->stopped)
        fprintf(stderr, _("scan: stopped; this is what was found so far\n"));
}

void scan_guess_all(struct scan_run *r)
{
    r->stopped = false; /* a second Ctrl-C ends this, too */
    for (size_t i = 0; i < r->findings.count && r->scan && !is_stopped(r); i++) {
        struct scan_finding *f = &r->findings.items[i];
        struct reader reader = make_reader(r, f);
        struct scan_device d = {.unit = f->unit, .line = f->how.line, .read = read_words, .context = &reader};
        int count = scan_guess(&d, &r->profiles, f->guesses);
        f->guess_count = count > 0 ? count : 0;
    }
}
