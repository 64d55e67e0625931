/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fill_store - days of an offline gateway in seconds: fills the store of a configuration through store.h, on
 * a clock of its own.
 *
 *     fill_store CONFIG FIRST_TS DAYS PERIOD_S [AT_RISK]
 *
 * Poll n of device d is taken at FIRST_TS + n * PERIOD_S * 1000 + (d * 37 + n * 11) % 1000 ms, and its point
 * p reads fill_value(d, p, n) tenths: whoever judges what arrives needs nothing from here but these two
 * rules.
 *
 * Each day is another process. With AT_RISK it ends like a power cut: AT_RISK more rounds of polls are handed
 * to the store behind what it has confirmed, and the process kills itself at that moment; the next day is
 * another boot. Those rounds may or may not be found later; all others must be. Without AT_RISK a day ends in
 * order and all are one boot.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../gateway/clock.h"
#include "../../gateway/config.h"
#include "../../gateway/store.h"

#define POINTS_MAX 256
#define AHEAD 512 /* samples handed over before the store is waited for */

struct fill {
    struct config *config;
    struct buf layout;
    struct store_uplink uplinks[128];
    struct store *store;
    int64_t first_ms, period_ms;
    uint64_t rounds; /* a day */
    unsigned at_risk;
    _Atomic int64_t wall_ms;
    int64_t boot_ms; /* wall time at which this boot began */
};

static void give_up(const char *what, const char *why)
{
    fprintf(stderr, "fill_store: %s: %s\n", what, why);
    exit(1);
}

/* A day's rise and fall, and the last digit's restlessness. */
static uint64_t fill_value(uint64_t device, uint64_t point, uint64_t n)
{
    uint64_t slow = (n + 97 * point) % 1440;
    uint64_t noise = (uint32_t)(n * 2654435761u + point * 40503u + device * 97u) >> 30;
    return 200 + 37 * device + 11 * point + (slow < 720 ? slow : 1440 - slow) / 7 + noise;
}

static int64_t wall_ms(void *context)
{
    return atomic_load(&((struct fill *)context)->wall_ms);
}

static int64_t mono_ms(void *context)
{
    return wall_ms(context) - ((struct fill *)context)->boot_ms;
}

static void open_store(struct fill *f, const struct store_time *time)
{
    const struct config *c = f->config;
    struct err_note note = {""};
    for (size_t i = 0; i < c->uplink_count; i++)
        f->uplinks[i] = (struct store_uplink){.name = c->uplinks[i].name};
    const struct store_options options = {.path = c->store.path,
                                          .max_bytes = c->store.max_size,
                                          .commit_every_ms = 1,
                                          .keep_delivered_ms = c->store.keep_delivered_ms,
                                          .layout = f->layout.data,
                                          .layout_len = f->layout.len,
                                          .software = "fill_store",
                                          .uplinks = f->uplinks,
                                          .uplink_count = c->uplink_count,
                                          .clock_trusted = true,
                                          .time = time};
    if (store_open(&options, &f->store, &note) < 0)
        give_up(c->store.path, note.text);
}

static void append(struct fill *f, size_t device, uint64_t n)
{
    static struct reading readings[POINTS_MAX];
    const size_t count = f->config->devices[device].point_count;
    for (size_t p = 0; p < count; p++)
        readings[p] =
            (struct reading){.quality = QUALITY_GOOD,
                             .value = {.kind = VALUE_NUMBER,
                                       .number = {.magnitude = fill_value(device, p, n), .exponent = -1}}};
    const int64_t ts = f->first_ms + (int64_t)n * f->period_ms + (int64_t)((device * 37 + n * 11) % 1000);
    const struct sample sample = {.device = (uint32_t)device,
                                  .wall_ms = ts,
                                  .mono_ms = ts - f->boot_ms,
                                  .clock_trusted = true,
                                  .count = count,
                                  .readings = readings};
    atomic_store(&f->wall_ms, ts);
    int err = store_append(f->store, &sample);
    if (err < 0)
        give_up("store_append", err_text(err));
}

static void wait_for(struct fill *f, uint64_t newest)
{
    const int64_t until = clock_mono_ms() + 60000;
    while (store_newest(f->store) < newest) {
        if (clock_mono_ms() > until)
            give_up("store", "nothing was committed in a minute");
        clock_sleep_until_us(clock_mono_us() + 200);
    }
}

static void one_day(struct fill *f, uint64_t day)
{
    char boot[33];
    uint64_t n = day * f->rounds, newest, appended = 0;
    const size_t devices = f->config->device_count;
    snprintf(boot, sizeof boot, "%032" PRIx64, f->at_risk ? day + 1 : 1);
    f->boot_ms = f->first_ms + (int64_t)(f->at_risk ? n : 0) * f->period_ms - 5000;
    atomic_store(&f->wall_ms, f->first_ms + (int64_t)n * f->period_ms);
    const struct store_time time = {wall_ms, mono_ms, f, boot};
    open_store(f, &time);
    newest = store_newest(f->store);
    for (const uint64_t end = n + f->rounds - f->at_risk; n < end; n++) {
        for (size_t d = 0; d < devices; d++, appended++)
            append(f, d, n);
        if (appended % AHEAD < devices)
            wait_for(f, newest + appended);
    }
    wait_for(f, newest + appended);
    for (unsigned i = 0; i < f->at_risk; i++, n++)
        for (size_t d = 0; d < devices; d++)
            append(f, d, n);
    if (f->at_risk)
        kill(getpid(), SIGKILL);
    if (store_close(f->store, NULL) < 0)
        give_up(f->config->store.path, "not closed in order");
    _exit(0);
}

static bool run_day(struct fill *f, uint64_t day)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        one_day(f, day);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return false;
    return f->at_risk ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL
                      : WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void load(struct fill *f, const char *path)
{
    const struct config_options options = {.path = path, .secrets_optional = true};
    struct config_problems problems = {0};
    struct buf text = BUF_INIT;
    if (config_load(&options, &f->config, &problems) < 0) {
        config_problems_print(&problems, &text);
        give_up("configuration", text.data ? text.data : "");
    }
    config_problems_free(&problems);
    config_layout(f->config, &f->layout);
    bool fits = f->config->uplink_count <= sizeof f->uplinks / sizeof *f->uplinks;
    for (size_t i = 0; i < f->config->device_count; i++)
        fits = fits && f->config->devices[i].enabled && f->config->devices[i].point_count <= POINTS_MAX;
    if (!fits || !buf_ok(&f->layout))
        give_up(path, "too many uplinks or points, or a device that is not enabled");
}

int main(int argc, char **argv)
{
    struct fill f = {0};
    if (argc < 5 || argc > 6)
        return 64;
    const uint64_t days = strtoull(argv[3], NULL, 10);
    f.first_ms = strtoll(argv[2], NULL, 10);
    f.period_ms = strtoll(argv[4], NULL, 10) * 1000;
    f.at_risk = argc > 5 ? (unsigned)strtoul(argv[5], NULL, 10) : 0;
    if (f.period_ms <= 0 || f.first_ms <= 0)
        return 64;
    f.rounds = (uint64_t)(86400000 / f.period_ms);
    if (f.at_risk >= f.rounds)
        return 64;
    load(&f, argv[1]);
    for (uint64_t day = 0; day < days; day++)
        if (!run_day(&f, day))
            give_up("a day", "did not end as it should");
    buf_fini(&f.layout);
    config_free(f.config);
    return 0;
}
