/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.prom: see status.h. Names follow the conventions of Prometheus; `promtool check metrics` holds them
 * to it. */
#include <string.h>

#include "status.h"
#include "status_bus.h"

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void store_metrics(const struct status_view *v, const struct store_status *s, struct buf *out)
{
    head(out, "fieldgate_store_bytes", "gauge", "Size of the buffer on disk.");
    buf_addf(out, "fieldgate_store_bytes %lld\n", (long long)s->bytes);
    head(out, "fieldgate_store_max_bytes", "gauge", "Configured cap of the buffer.");
    buf_addf(out, "fieldgate_store_max_bytes %lld\n", (long long)s->max_bytes);
    head(out, "fieldgate_store_commits_total", "counter", "Transactions committed since start.");
    buf_addf(out, "fieldgate_store_commits_total %llu\n", (unsigned long long)s->commits);
    head(out, "fieldgate_store_in_memory", "gauge",
         "Records that are in memory only, because the disk refuses writes.");
    buf_addf(out, "fieldgate_store_in_memory %llu\n", (unsigned long long)s->in_memory);
    head(out, "fieldgate_store_failing", "gauge", "1 while the disk refuses writes.");
    buf_addf(out, "fieldgate_store_failing %d\n", s->disk_failing);
    head(out, "fieldgate_store_stalled_seconds", "gauge",
         "How long the disk has not finished what it was asked; 0: it works.");
    buf_addf(out, "fieldgate_store_stalled_seconds %lld\n", (long long)(s->stalled_ms / 1000));
    head(out, "fieldgate_store_durable", "gauge", "1 while new records go to the disk, 0: to memory.");
    buf_addf(out, "fieldgate_store_durable %d\n", s->durable);
    head(out, "fieldgate_store_queue_dropped_samples_total", "counter",
         "Samples lost since start because the disk was too slow.");
    buf_addf(out, "fieldgate_store_queue_dropped_samples_total %llu\n", (unsigned long long)s->queue_dropped);
    int64_t room_ms = status_room_ms(s, v->records_per_day);
    if (room_ms >= 0) {
        head(out, "fieldgate_store_room_seconds", "gauge",
             "Time until undelivered records must go, at the present rate, when nothing is delivered.");
        buf_addf(out, "fieldgate_store_room_seconds %lld\n", (long long)(room_ms / 1000));
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
        head(out, metrics[m].name, metrics[m].type, metrics[m].help);
        for (size_t i = 0; i < v->uplink_count; i++)
            buf_addf(out, "%s{uplink=\"%s\"} %llu\n", metrics[m].name, v->config->uplinks[i].name,
                     (unsigned long long)uplink_metric(&u[i], metrics[m].which));
    }
}

static void loss_metrics(const struct status_view *v, const struct status_uplink *u, struct buf *out)
{
    static const char NAME[] = "fieldgate_uplink_dropped_by_reason_records";
    head(out, NAME, "gauge", "Records given up, by reason.");
    for (size_t i = 0; i < v->uplink_count; i++)
        for (int r = 0; r < STORE_LOSS_REASONS; r++)
            buf_addf(out, "%s{uplink=\"%s\",reason=\"%s\"} %llu\n", NAME, v->config->uplinks[i].name,
                     store_loss_word((enum store_loss_reason)r),
                     (unsigned long long)u[i].records.dropped_by[r]);
}

/* Only of uplinks that take commands. */
static void command_metrics(const struct status_view *v, const struct status_uplink *u, struct buf *out)
{
    static const char NAME[] = "fieldgate_uplink_commands_total";
    head(out, NAME, "counter", "Commands from the broker since start, by what became of them.");
    for (size_t i = 0; i < v->uplink_count; i++) {
        const char *uplink = v->config->uplinks[i].name;
        const struct uplink_commands *c = &u[i].link.commands;
        if (v->config->uplinks[i].command_count == 0)
            continue;
        for (int r = 0; r < COMMAND_RESULTS; r++)
            buf_addf(out, "%s{uplink=\"%s\",result=\"%s\"} %llu\n", NAME, uplink,
                     command_result_word((enum command_result)r), (unsigned long long)c->results[r]);
        buf_addf(out, "%s{uplink=\"%s\",result=\"unanswered\"} %llu\n", NAME, uplink,
                 (unsigned long long)c->unanswered);
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

static uint64_t device_metric(const struct poller_device_status *s, const struct gateway_report_status *r,
                              enum device_metric which)
{
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
        return r->suppressed;
    case DEVICE_AGGREGATES:
        return r->aggregates;
    }
    return 0;
}

static void device_metrics(const struct status_view *v, struct buf *out)
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
        head(out, metrics[m].name, metrics[m].type, metrics[m].help);
        for (size_t i = 0; i < v->poller_count; i++)
            for (size_t d = 0; d < poller_device_count(v->pollers[i]); d++) {
                struct poller_device_status s;
                struct gateway_report_status r;
                poller_device_status(v->pollers[i], d, &s);
                gateway_reports_status(v->reports, poller_device(v->pollers[i], d)->layout_index, &r);
                buf_addf(out, "%s{bus=\"%s\",device=\"%s\"} %llu\n", metrics[m].name,
                         poller_bus(v->pollers[i]), poller_device(v->pollers[i], d)->name,
                         (unsigned long long)device_metric(&s, &r, metrics[m].which));
            }
    }
}

void status_metrics(const struct status_view *v, const struct status_figures *f, struct buf *out)
{
    head(out, "fieldgate_info", "gauge", "Version of the running gateway.");
    buf_addf(out, "fieldgate_info{gateway=\"%s\",version=\"%s\"} 1\n", v->gateway_id, FG_VERSION);
    head(out, "fieldgate_clock_trusted", "gauge", "1 while the wall clock can be believed.");
    buf_addf(out, "fieldgate_clock_trusted %d\n", v->clock_trusted);
    head(out, "fieldgate_start_time_seconds", "gauge",
         "When the gateway was started, as its clock said then.");
    buf_addf(out, "fieldgate_start_time_seconds %lld\n", (long long)(v->started_wall_ms / 1000));
    if (v->written_bytes >= 0) {
        head(out, "fieldgate_written_bytes_total", "counter",
             "Bytes written to media since start, as the kernel counts them.");
        buf_addf(out, "fieldgate_written_bytes_total %lld\n", (long long)v->written_bytes);
    }
    store_metrics(v, &f->store, out);
    uplink_metrics(v, f->uplinks, out);
    loss_metrics(v, f->uplinks, out);
    command_metrics(v, f->uplinks, out);
    device_metrics(v, out);
    status_bus_metrics(v->pollers, v->poller_count, out);
}
