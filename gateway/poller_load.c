/* SPDX-License-Identifier: Apache-2.0 */
#include "poller_load.h"

#include <stdio.h>
#include <stdlib.h>

#include "log.h"
#include "text.h"

/* The sums leave out scheduling, and what the adapter adds. */
#define FULL_PERMILLE 950
#define SUM_EVERY_MS 60000
#define WELL_AFTER_MS 600000
static const struct damp_limits LINES = {4, 8 * 3600000};

int poller_load_init(struct poller_load *l, const char *bus, struct driver *driver, size_t count,
                     size_t most_points)
{
    *l = (struct poller_load){.bus = bus, .driver = driver, .count = count};
    l->devices = calloc(count + 1, sizeof(*l->devices));
    l->asleep = calloc(count + 1, sizeof(*l->asleep));
    l->due = calloc(most_points + 1, sizeof(*l->due));
    return l->devices && l->asleep && l->due ? 0 : FG_ENOMEM;
}

void poller_load_fini(struct poller_load *l)
{
    free(l->devices);
    free(l->asleep);
    free(l->due);
}

void poller_load_device(struct poller_load *l, size_t index, const struct busload_device *device)
{
    l->devices[index] = *device;
}

static int64_t cost_us(void *context, size_t device, const bool *due)
{
    const struct poller_load *l = context;
    return l->asleep[device] ? 0 : l->driver->ops->cost_us(l->driver, device, due);
}

static void say_overload(const struct poller_load *l, const struct busload *load, const char *changes)
{
    const char *advice = _("set a higher baud, or spread the devices over two buses");
    char fits[200], who[128];
    snprintf(who, sizeof who, "%s%s", l->bus, changes);
    if (load->fit_ms >= 1000)
        snprintf(fits, sizeof(fits), _("every: %llds or longer would fit; or %s"),
                 (long long)load->fit_ms / 1000, advice);
    else if (load->fit_ms > 0)
        snprintf(fits, sizeof(fits), _("every: %lldms or longer would fit; or %s"), (long long)load->fit_ms,
                 advice);
    else
        snprintf(fits, sizeof(fits), "%s", advice);
    log_line(
        LOG_PRI_WARNING, "FG-BUS-OVERLOAD",
        _("bus=%s load=%lld%%: the line has too little time for all its devices, periods are missed; %s"),
        who, (long long)(load->permille + 5) / 10, fits);
}

void poller_load_note(struct poller_load *l, uint32_t missed, int64_t now_mono_ms)
{
    char changes[DAMP_CHANGES], who[128];
    bool due = l->summed_mono_ms == 0 || now_mono_ms - l->summed_mono_ms >= SUM_EVERY_MS;
    if (missed > 0)
        l->missed_mono_ms = now_mono_ms;
    bool well = now_mono_ms - l->missed_mono_ms >= WELL_AFTER_MS;
    if (well && damp_switch_tell(&l->overload, &LINES, false, now_mono_ms, changes)) {
        snprintf(who, sizeof who, "%s%s", l->bus, changes);
        log_line(LOG_PRI_NOTICE, "FG-BUS-LOAD-OK", _("bus=%s: the line keeps its schedule again"), who);
    }
    if (missed == 0 || l->overload.said || !due)
        return;
    l->summed_mono_ms = now_mono_ms;
    struct busload load = busload_compute(l->devices, l->count, cost_us, l, l->due, FULL_PERMILLE);
    if (load.permille >= FULL_PERMILLE && damp_switch_tell(&l->overload, &LINES, true, now_mono_ms, changes))
        say_overload(l, &load, changes);
}
