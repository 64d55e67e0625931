/* SPDX-License-Identifier: Apache-2.0 */
/* How much of a link a configuration needs: see config.h. */
#include <string.h>

#include "config_load.h"
#include "config_rule.h"
#include "config_value.h"
#include "text.h"

/* Bytes in a full message of docs/MQTT.md: a sample beside its device's name and its points, a point beside
 * its name. Measured in docs/BENCHMARKS.md: within 3 % for the shipped soil and air profiles. */
enum { SAMPLE_BYTES = 59, POINT_BYTES = 9 };
/* What statistics add to a point, and a rule to a sample: `suppressed`, and `from` where it sums up. */
enum { STATS_BYTES = 38, SUPPRESSED_BYTES = 16, FROM_BYTES = 20 };
/* What gzip leaves of slow readings is an eighth; of restless ones, more. */
enum { GZIP_LEAVES = 6 };

/* How often something is sent of a point, and how many bytes it then takes. */
struct flow {
    int64_t every_ms, bytes;
    bool held; /* less often than it is read */
    bool summed;
};

static struct flow flow_of(const struct config_device *d, size_t point, enum config_traffic which)
{
    const struct point *p = &d->points[point];
    const struct config_rule rule = config_rule(d, point);
    struct flow f = {.every_ms = rule.every_ms, .bytes = (int64_t)strlen(p->name) + POINT_BYTES};
    if (which != CONFIG_TRAFFIC_WITHOUT_RULES && rule.kind == CONFIG_RULE_AGGREGATE) {
        f.every_ms = rule.window_ms;
        f.bytes += p->counter ? 0 : STATS_BYTES;
        f.summed = true;
    } else if (which == CONFIG_TRAFFIC_LEAST && rule.kind == CONFIG_RULE_REPORT &&
               rule.at_least_ms > rule.every_ms) {
        f.every_ms = rule.at_least_ms;
    }
    f.held = f.every_ms > rule.every_ms;
    if (f.every_ms < 1)
        f.every_ms = 1;
    return f;
}

/* Millionths of a byte a second. */
static int64_t device_rate(const struct config_device *d, enum config_traffic which)
{
    bool held = false, summed = false;
    int64_t rate = 0, shortest_ms = INT64_MAX, sample = (int64_t)strlen(d->name) + SAMPLE_BYTES;
    for (size_t i = 0; i < d->point_count; i++) {
        const struct flow f = flow_of(d, i, which);
        rate += f.bytes * 1000000000 / f.every_ms;
        held |= f.held;
        summed |= f.summed;
        if (f.every_ms < shortest_ms)
            shortest_ms = f.every_ms;
    }
    sample += (held ? SUPPRESSED_BYTES : 0) + (summed ? FROM_BYTES : 0);
    return rate + sample * 1000000000 / shortest_ms;
}

int64_t config_traffic(const struct config *c, size_t uplink, enum config_traffic which)
{
    int64_t rate = 0;
    for (size_t i = 0; i < c->device_count; i++)
        if (c->devices[i].enabled && c->devices[i].point_count > 0)
            rate += device_rate(&c->devices[i], which);
    return rate / 1000 / (c->uplinks[uplink].gzip ? GZIP_LEAVES : 1);
}

static void show_rate(int64_t bytes_per_s, struct buf *out)
{
    struct config_key key = {.kind = CONFIG_RATE, .width = sizeof bytes_per_s};
    config_value_show(&key, &bytes_per_s, out);
}

static void warn(const struct config_loader *l, size_t uplink, int64_t arrives)
{
    const struct config_uplink *u = &l->config->uplinks[uplink];
    struct config_at list = {.key = "uplinks"}, entry = {.up = &list, .index = uplink},
                     backlog = {.up = &entry, .key = "backlog"}, at = {.up = &backlog, .key = "max_rate"};
    const struct yaml_node *map = config_place(config_item(l->root, "uplinks", uplink), "backlog");
    const struct yaml_node *place = config_place(map, "max_rate");
    struct buf now = BUF_INIT, need = BUF_INIT, ample = BUF_INIT;
    show_rate(u->max_rate, &now);
    show_rate(arrives, &need);
    show_rate((arrives * 3 / 1024 + 1) * 1024, &ample);
    const bool whole = buf_ok(&now) && buf_ok(&need) && buf_ok(&ample);
    if (whole && u->order == CONFIG_OLDEST_FIRST)
        config_warning(
            &l->file, place, &at,
            _("%s is not above the %s or so that the devices make, so with oldest_first the newest "
              "readings fall behind for ever after an outage; write %s or more, or ask less often "
              "(every:)"),
            now.data, need.data, ample.data);
    else if (whole)
        config_warning(
            &l->file, place, &at,
            _("%s is not above the %s or so that the devices make, so what an outage of a day leaves "
              "takes %lld h to send; write %s or more, or ask less often (every:)"),
            now.data, need.data, (long long)((24 * arrives + u->max_rate / 2) / u->max_rate), ample.data);
    buf_fini(&now);
    buf_fini(&need);
    buf_fini(&ample);
}

void config_check_traffic(const struct config_loader *l)
{
    for (size_t i = 0; i < l->config->uplink_count; i++) {
        const int64_t arrives = config_traffic(l->config, i, CONFIG_TRAFFIC_MOST) / 1000;
        if (l->config->uplinks[i].max_rate > 0 && l->config->uplinks[i].max_rate <= arrives)
            warn(l, i, arrives);
    }
}
