/* SPDX-License-Identifier: Apache-2.0 */
/* Having a bus to ourselves while a gateway runs that owns it: see cmd_scan.h. */
#include "clock.h"
#include "cmd_scan.h"
#include "control_client.h"
#include "text.h"

/* Short, so that a scan that dies costs little; renewed long before it ends. */
enum { PAUSE_MS = 60000, RENEW_MS = 15000 };

static int ask_pause(struct scan_hold *h, struct err_note *note)
{
    cJSON *answer = NULL;
    int err = control_command(h->runtime_dir, "pause", "bus", h->bus, PAUSE_MS, &answer, note);
    cJSON_Delete(answer);
    h->renew_at_mono_ms = clock_mono_ms() + RENEW_MS;
    return err;
}

int scan_hold_begin(struct scan_hold *h, const char *runtime_dir, const char *bus, struct err_note *note)
{
    *h = (struct scan_hold){.runtime_dir = runtime_dir, .bus = bus};
    if (!bus)
        return 0;
    int err = ask_pause(h, note);
    if (err == 0)
        return 0;
    h->bus = NULL;
    return err == FG_ECLOSED || err == FG_ENOTFOUND ? 0 : err;
}

void scan_hold_renew(struct scan_hold *h)
{
    struct err_note note = {0};
    if (!h->bus || clock_mono_ms() < h->renew_at_mono_ms)
        return;
    if (ask_pause(h, &note) < 0 && !h->failed) {
        h->failed = true;
        fprintf(stderr, _("fieldgate scan: the pause of the bus cannot be renewed: %s\n"), note.text);
    }
}

void scan_hold_end(struct scan_hold *h)
{
    struct err_note note = {0};
    cJSON *answer = NULL;
    if (!h->bus)
        return;
    if (control_command(h->runtime_dir, "resume", "bus", h->bus, 0, &answer, &note) < 0)
        fprintf(stderr, _("fieldgate scan: %s; the gateway goes on by itself within a minute\n"), note.text);
    cJSON_Delete(answer);
    h->bus = NULL;
}
