/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.prom: see status.h. Names follow the conventions of Prometheus; `promtool check metrics` holds them
 * to it. */
#include <string.h>

#include "prom.h"
#include "status.h"
#include "status_bus.h"

/* A metric of the whole gateway. */
static void add_one(struct buf *out, const char *name, const char *type, const char *help, int64_t value)
{
    prom_head(out, name, type, help);
    prom_add(out, name, NULL, value);
}

static void store_metrics(const struct status_view *v, const struct store_status *s, struct buf *out)
{
    add_one(out, "fieldgate_store_bytes", "gauge", "Size of the buffer on disk.", s->bytes);
    add_one(out, "fieldgate_store_max_bytes", "gauge", "Configured cap of the buffer.", s->max_bytes);
    add_one(out, "fieldgate_store_commits_total", "counter", "Transactions committed since start.",
            (int64_t)s->commits);
    add_one(out, "fieldgate_store_in_memory", "gauge",
            "Records that are in memory only, because the disk refuses writes.", (int64_t)s->in_memory);
    add_one(out, "fieldgate_store_failing", "gauge", "1 while the disk refuses writes.", s->disk_failing);
    add_one(out, "fieldgate_store_stalled_seconds", "gauge",
            "How long the disk has not finished what it was asked; 0: it works.", s->stalled_ms / 1000);
    add_one(out, "fieldgate_store_durable", "gauge", "1 while new records go to the disk, 0: to memory.",
            s->durable);
    add_one(out, "fieldgate_store_queue_dropped_samples_total", "counter",
            "Samples lost since start because the disk was too slow.", (int64_t)s->queue_dropped);
    int64_t room_ms = status_room_ms(s, v->records_per_day);
    if (room_ms >= 0) {
        add_one(out, "fieldgate_store_room_seconds", "gauge",
                "Time until undelivered records must go, at the present rate, when nothing is delivered.",
                room_ms / 1000);
    }
}

enum uplink_metric {
    UPLINK_UP,
    UPLINK_ACCEPTED,
    UPLINK_DELIVERED,
    UPLINK_WAITING,
    UPLINK_DROPPED,
    UPLINK_BYTES,
    UPLINK_UNHEARD,
    UPLINK_UNHEARD_RECORDS
};

static uint64_t uplink_metric(const struct status_uplink *u, enum uplink_metric which)
{
    const struct uplink_status *s = &u->link;
    const struct store_uplink_status *n = &u->records;
    switch (which) {
    case UPLINK_UP:
        return s->connected;
    case UPLINK_ACCEPTED:
        return n->accepted;
    case UPLINK_DELIVERED:
        return n->delivered;
    case UPLINK_WAITING:
        return n->waiting;
    case UPLINK_DROPPED:
        return n->dropped;
    case UPLINK_BYTES:
        return s->bytes;
    case UPLINK_UNHEARD:
        return s->unheard[UPLINK_LIVE] || s->unheard[UPLINK_BACKLOG];
    case UPLINK_UNHEARD_RECORDS:
        return s->unheard_records;
    }
    return 0;
}

static void uplink_metrics(const struct status_view *v, const struct status_uplink *u, struct buf *out)
{
    static const struct {
        const char *name, *type, *help;
        enum uplink_metric which;
    } metrics[] = {
        {"fieldgate_uplink_up", "gauge", "1 while connected to a broker.", UPLINK_UP},
        {"fieldgate_uplink_accepted_records", "gauge", "Records the uplink is answerable for.",
         UPLINK_ACCEPTED},
        {"fieldgate_uplink_delivered_records", "gauge", "Records acknowledged by the broker.",
         UPLINK_DELIVERED},
        {"fieldgate_uplink_waiting_records", "gauge", "Records not yet acknowledged.", UPLINK_WAITING},
        {"fieldgate_uplink_dropped_records", "gauge", "Records given up, each named by a loss event.",
         UPLINK_DROPPED},
        {"fieldgate_uplink_sent_bytes_total", "counter", "Acknowledged payload bytes since start.",
         UPLINK_BYTES},
        {"fieldgate_uplink_unheard", "gauge",
         "1 while the broker takes data and says that nobody is subscribed to it.", UPLINK_UNHEARD},
        {"fieldgate_uplink_unheard_records_total", "counter",
         "Delivered records since start that the broker threw away because nobody was subscribed.",
         UPLINK_UNHEARD_RECORDS},
    };
    for (size_t m = 0; m < sizeof metrics / sizeof metrics[0]; m++) {
        prom_head(out, metrics[m].name, metrics[m].type, metrics[m].help);
        for (size_t i = 0; i < v->uplink_count; i++)
            prom_add(out, metrics[m].name, (struct prom_label[]){{"uplink", v->config->uplinks[i].name}, {0}},
                     (int64_t)uplink_metric(&u[i], metrics[m].which));
    }
}

static void loss_metrics(const struct status_view *v, const struct status_uplink *u, struct buf *out)
{
    static const char NAME[] = "fieldgate_uplink_dropped_by_reason_records";
    prom_head(out, NAME, "gauge", "Records given up, by reason.");
    for (size_t i = 0; i < v->uplink_count; i++)
        for (int r = 0; r < STORE_LOSS_REASONS; r++)
            prom_add(out, NAME,
                     (struct prom_label[]){{"uplink", v->config->uplinks[i].name},
                                           {"reason", store_loss_word((enum store_loss_reason)r)},
                                           {0}},
                     (int64_t)u[i].records.dropped_by[r]);
}

/* Only of uplinks that take commands. */
static void command_metrics(const struct status_view *v, const struct status_uplink *u, struct buf *out)
{
    static const char NAME[] = "fieldgate_uplink_commands_total";
    prom_head(out, NAME, "counter", "Commands from the broker since start, by what became of them.");
    for (size_t i = 0; i < v->uplink_count; i++) {
        const char *uplink = v->config->uplinks[i].name;
        const struct uplink_commands *c = &u[i].link.commands;
        if (v->config->uplinks[i].command_count == 0)
            continue;
        for (int r = 0; r < COMMAND_RESULTS; r++)
            prom_add(out, NAME,
                     (struct prom_label[]){
                         {"uplink", uplink}, {"result", command_result_word((enum command_result)r)}, {0}},
                     (int64_t)c->results[r]);
        prom_add(out, NAME, (struct prom_label[]){{"uplink", uplink}, {"result", "unanswered"}, {0}},
                 (int64_t)c->unanswered);
    }
}

enum device_metric {
    DEVICE_UP,
    DEVICE_POLLS,
    DEVICE_FAILED,
    DEVICE_MISSED,
    DEVICE_SUPPRESSED,
    DEVICE_AGGREGATES
};

static uint64_t device_metric(const struct status_device *d, enum device_metric which)
{
    const struct poller_device_status *s = &d->polls;
    switch (which) {
    case DEVICE_UP:
        return strcmp(s->state, "ok") == 0;
    case DEVICE_POLLS:
        return s->polls;
    case DEVICE_FAILED:
        return s->failed;
    case DEVICE_MISSED:
        return s->missed;
    case DEVICE_SUPPRESSED:
        return d->report.suppressed;
    case DEVICE_AGGREGATES:
        return d->report.aggregates;
    }
    return 0;
}

static void device_metrics(const struct status_figures *f, struct buf *out)
{
    static const struct {
        const char *name, *type, *help;
        enum device_metric which;
    } metrics[] = {
        {"fieldgate_device_up", "gauge", "1 while the device answers.", DEVICE_UP},
        {"fieldgate_device_polls_total", "counter", "Polls since start.", DEVICE_POLLS},
        {"fieldgate_device_failed_polls_total", "counter", "Polls without any data.", DEVICE_FAILED},
        {"fieldgate_device_missed_periods_total", "counter", "Periods skipped.", DEVICE_MISSED},
        {"fieldgate_device_suppressed_samples_total", "counter", "Samples held back by a rule.",
         DEVICE_SUPPRESSED},
        {"fieldgate_device_aggregate_records_total", "counter", "Records made of windows.",
         DEVICE_AGGREGATES},
    };
    for (size_t m = 0; m < sizeof metrics / sizeof metrics[0]; m++) {
        prom_head(out, metrics[m].name, metrics[m].type, metrics[m].help);
        for (size_t i = 0; i < f->bus_count; i++)
            for (size_t d = 0; d < f->buses[i].device_count; d++) {
                const struct status_device *device = &f->buses[i].devices[d];
                prom_add(
                    out, metrics[m].name,
                    (struct prom_label[]){{"bus", f->buses[i].name}, {"device", device->options->name}, {0}},
                    (int64_t)device_metric(device, metrics[m].which));
            }
    }
}

void status_metrics(const struct status_view *v, const struct status_figures *f, struct buf *out)
{
    prom_head(out, "fieldgate_info", "gauge", "Version of the running gateway.");
    prom_add(out, "fieldgate_info",
             (struct prom_label[]){{"gateway", v->gateway_id}, {"version", FG_VERSION}, {0}}, 1);
    add_one(out, "fieldgate_clock_trusted", "gauge", "1 while the wall clock can be believed.",
            v->clock_trusted);
    add_one(out, "fieldgate_start_time_seconds", "gauge",
            "When the gateway was started, as its clock said then.", v->started_wall_ms / 1000);
    if (v->written_bytes >= 0) {
        add_one(out, "fieldgate_written_bytes_total", "counter",
                "Bytes written to media since start, as the kernel counts them.", v->written_bytes);
    }
    store_metrics(v, &f->store, out);
    uplink_metrics(v, f->uplinks, out);
    loss_metrics(v, f->uplinks, out);
    command_metrics(v, f->uplinks, out);
    device_metrics(f, out);
    status_bus_metrics(f, out);
}
