/* SPDX-License-Identifier: Apache-2.0 */
/* What `fieldgate scan` shows: see cmd_scan.h. Findings go to stdout as YAML and comments, progress to
 * stderr. */
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "cmd_scan.h"
#include "config_number.h"
#include "text.h"

enum { REDRAW_MS = 200, SAY_MS = 10000, EVERY_MS = 60000 };

const char *scan_try_text(const struct modbus_scan_try *t, enum modbus_protocol protocol, char ret[64])
{
    if (protocol == MODBUS_RTU)
        snprintf(ret, 64, "%d %s unit %d", t->line.baud, t->line.format, t->unit);
    else
        snprintf(ret, 64, "unit %d", t->unit);
    return ret;
}

/* ---- progress ---- */

void scan_progress_begin(struct scan_progress *p, int64_t cost_ms)
{
    int64_t now = clock_mono_ms();
    *p = (struct scan_progress){.terminal = isatty(STDERR_FILENO) == 1,
                                .began_mono_ms = now,
                                .said_mono_ms = now,
                                .cost_ms = cost_ms};
}

void scan_progress_step(struct scan_progress *p, const struct modbus_scan_try *t,
                        enum modbus_protocol protocol)
{
    int64_t now = clock_mono_ms(), took = now - p->began_mono_ms;
    char text[64];
    if (now - p->said_mono_ms < (p->terminal ? REDRAW_MS : SAY_MS))
        return;
    p->said_mono_ms = now;
    /* What was estimated, corrected by how long the part behind us really took. */
    int64_t left = p->cost_ms - p->done_ms;
    if (p->done_ms > 2000)
        left = (int64_t)((double)left * (double)took / (double)p->done_ms);
    int percent = p->cost_ms > 0 ? (int)(100 * p->done_ms / p->cost_ms) : 100;
    fprintf(stderr, _("%sscan: %3d %%, at %s, %zu found, about %lld:%02lld min left%s"),
            p->terminal ? "\r\033[K" : "", percent, scan_try_text(t, protocol, text), p->found,
            (long long)(left / 60000), (long long)(left / 1000 % 60), p->terminal ? "" : "\n");
    fflush(stderr);
}

void scan_progress_clear(struct scan_progress *p)
{
    if (p->terminal) {
        fprintf(stderr, "\r\033[K");
        fflush(stderr);
    }
}

/* ---- findings ---- */

static void print_finding(const struct scan_place *place, const struct scan_finding *f)
{
    char text[64];
    printf("# %s", scan_try_text(&f->how, place->protocol, text));
    if (f->how.any_address && f->unit > 0)
        printf(_(": an address for all; the device's own number is %d"), f->unit);
    else if (f->how.any_address)
        printf(_(": an address for all; the device's own number is not known"));
    if (f->every_unit)
        printf(_(": the box answers whatever the unit number is"));
    printf(_(", answers in %u ms\n"), f->reply_ms);
    if (f->guess_count == 0)
        printf(_("#   no known model; look into its manual and write its points\n"));
    for (int i = 0; i < f->guess_count; i++) {
        const struct scan_guess *g = &f->guesses[i];
        printf(_("#   score %d of 100: %s (%s): %zu of %zu points plausible%s\n"), g->score, g->profile->name,
               g->profile->title, g->good, g->count, g->identified ? _(", its identification fits") : "");
    }
}

static void print_bus(const struct scan_place *place, const struct modbus_line *line)
{
    static const char *const words[] = {
        [MODBUS_RTU] = "rtu", [MODBUS_TCP] = "tcp", [MODBUS_RTU_OVER_TCP] = "rtu_over_tcp"};
    if (place->bus) /* it stands in the configuration */
        return;
    printf("buses:\n  - name: field\n    protocol: %s\n", words[place->protocol]);
    if (place->protocol == MODBUS_RTU)
        printf("    port: %s\n    baud: %d\n    format: %s\n", place->where, line->baud, line->format);
    else
        printf("    host: \"%s\"\n    tcp_port: %d\n", place->where, place->tcp_port);
}

static void print_every(const struct config_profile *p)
{
    struct buf text = BUF_INIT;
    config_duration_show(p && p->min_every_ms > EVERY_MS ? p->min_every_ms : EVERY_MS, &text);
    printf("    every: %s\n", buf_ok(&text) ? text.data : "60s");
    buf_fini(&text);
}

static void print_device(const struct scan_place *place, const struct scan_finding *f,
                         const struct modbus_line *line, size_t number)
{
    const struct scan_guess *g = f->guess_count > 0 ? &f->guesses[0] : NULL;
    int unit = f->unit > 0 ? f->unit : f->how.unit;
    printf("  - name: %.48s-%zu\n", g ? g->profile->name : "device", number);
    printf("    bus: %s\n    unit: %d\n", place->bus ? place->bus : "field", unit);
    if (place->protocol == MODBUS_RTU &&
        (f->how.line.baud != line->baud || strcmp(f->how.line.format, line->format) != 0))
        printf("    line: {baud: %d, format: %s}\n", f->how.line.baud, f->how.line.format);
    if (g)
        printf(_("    profile: %s    # a guess, score %d of 100: compare with its label\n"), g->profile->name,
               g->score);
    print_every(g ? g->profile : NULL);
    if (!g)
        printf(_("    points:    # from its manual; this one answered\n"
                 "      - {name: value, register: %s, address: %d}\n"),
               f->how.function == 4 ? "input" : "holding", f->how.address);
}

void scan_print(const struct scan_place *place, const struct scan_findings *f)
{
    char text[64];
    const struct modbus_line *line = &place->line;
    if (!place->bus && f->count > 0)
        line = &f->items[0].how.line;
    for (size_t i = 0; i < f->count; i++)
        print_finding(place, &f->items[i]);
    if (f->garbled > 0)
        printf(
            _("# something answered unintelligibly %zu time(s), first at %s: two devices with one number, a "
              "device of another speed, or a bad wire\n"),
            f->garbled, scan_try_text(&f->first_garbled, place->protocol, text));
    if (f->count == 0)
        return;
    printf(
        _("\n# to paste into the configuration; then `fieldgate check`, `fieldgate apply`, `fieldgate probe "
          "NAME`\n"));
    print_bus(place, line);
    printf("devices:\n");
    for (size_t i = 0; i < f->count; i++)
        print_device(place, &f->items[i], line, i + 1);
}
