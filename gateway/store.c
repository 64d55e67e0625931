/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "store_clock.h"
#include "store_file.h"
#include "store_loss.h"
#include "store_memory.h"
#include "store_news.h"
#include "store_opening.h"
#include "store_salvage_job.h"
#include "store_writer.h"

/* Some 5,000 samples of 8 readings: what pollers may be ahead of a slow disk. */
#define QUEUE_BYTES (512 * 1024)
/* A few hundred milliseconds, on a slow card a second: the gateway is to poll within two, however large the
 * file. */
#define SALVAGE_AT_ONCE_BYTES (INT64_C(8) * 1024 * 1024)

static int copy_uplinks(struct store *s, const struct store_options *options)
{
    s->uplinks = calloc(options->uplink_count + 1, sizeof *s->uplinks);
    if (!s->uplinks)
        return FG_ENOMEM;
    s->uplink_count = options->uplink_count;
    s->seen_uplinks = calloc(options->uplink_count + 1, sizeof *s->seen_uplinks);
    if (!s->seen_uplinks)
        return FG_ENOMEM;
    for (size_t i = 0; i < s->uplink_count; i++) {
        s->uplinks[i].name = strdup(options->uplinks[i].name);
        s->uplinks[i].begins_now = options->uplinks[i].start_now;
        s->uplinks[i].max_age_ms = options->uplinks[i].max_age_ms;
        if (!s->uplinks[i].name)
            return FG_ENOMEM;
    }
    return store_loss_init(s);
}

static int init(struct store *s, const struct store_options *options)
{
    pthread_condattr_t monotonic;
    s->lock_fd = -1;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->closing_cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&s->append_lock, NULL);
    pthread_mutex_init(&s->seen_lock, NULL);
    store_turn_init(&s->turn);
    s->max_bytes = options->max_bytes;
    s->commit_every_ms = options->commit_every_ms;
    s->keep_delivered_ms = options->keep_delivered_ms;
    s->on_commit = options->on_commit;
    s->on_commit_context = options->on_commit_context;
    store_clock_init(s, options);
    store_memory_init(s, options);
    s->started_wall_ms = clock_wall_ms();
    s->news = store_news_new();
    if (!s->news)
        return FG_ENOMEM;
    s->software = strdup(options->software ? options->software : "");
    s->machine = options->machine_id ? strdup(options->machine_id) : NULL;
    s->path = strdup(options->path);
    if (s->path)
        s->salvage = store_salvage_job_new(
            s->path, options->salvage_at_once_bytes ? options->salvage_at_once_bytes : SALVAGE_AT_ONCE_BYTES);
    s->queue = queue_new(QUEUE_BYTES);
    s->layout_len = options->layout_len;
    s->layout_text = strndup(options->layout, options->layout_len);
    bool machine = s->machine || !options->machine_id;
    return s->path && s->salvage && s->queue && s->layout_text && s->software && machine
               ? copy_uplinks(s, options)
               : FG_ENOMEM;
}

static void destroy(struct store *s)
{
    store_salvage_job_free(s->salvage);
    store_db_close(&s->db);
    store_memory_fini(s);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    for (size_t i = 0; i < s->uplink_count; i++) {
        free(s->uplinks[i].name);
        seqset_fini(&s->uplinks[i].waiting);
        seqset_fini(&s->uplinks[i].was_waiting);
        seqset_fini(&s->uplinks[i].lost);
    }
    free(s->uplinks);
    free(s->seen_uplinks);
    free(s->losses);
    free(s->was_losses);
    free(s->streams);
    free(s->layouts);
    seqset_fini(&s->holes);
    seqset_fini(&s->was_holes);
    buf_fini(&s->body);
    buf_fini(&s->extra);
    buf_fini(&s->group.data);
    queue_free(s->queue);
    store_turn_fini(&s->turn);
    pthread_mutex_destroy(&s->append_lock);
    pthread_mutex_destroy(&s->seen_lock);
    pthread_cond_destroy(&s->closing_cond);
    store_news_free(s->news);
    free(s->layout_text);
    free(s->software);
    free(s->machine);
    free(s->path);
    free(s);
}

/* The first transaction of this run, and the side file that goes with it. */
static int begin(struct store *s, struct store_opening *o, struct err_note *note)
{
    int err = store_opening_find(s, o, note);
    if (err)
        return err;
    err = store_opening_tell(s, o);
    if (!err)
        err = store_commit(s, store_opening_write, o);
    if (err)
        return err_note(note, err, "%s", s->disk_note.text);
    store_news_stream(s->news, o->reason, s->side.stream);
    s->side.previous[0] = 0;
    s->side.clean = false;
    err = store_side_write(s->path, &s->side);
    if (err)
        return err_note(note, err, "store: %s-stream cannot be written; check space and permissions",
                        s->path);
    return 0;
}

static int run_writer(struct store *s)
{
    if (pthread_create(&s->writer, NULL, store_writer_run, s) != 0)
        return FG_ENOMEM;
    s->writer_started = true;
    pthread_setname_np(s->writer, "fg-store");
    return 0;
}

/* A disk that refuses does not keep a gateway from measuring. */
static int begin_in_memory(struct store *s, const struct store_options *options, int err,
                           struct err_note *note)
{
    int again = store_memory_start(s, options, err);
    if (again)
        return err;
    s->disk_note = *note;
    return 0;
}

/* There are figures from the beginning, should the first commit hang. */
static void look(struct store *s)
{
    struct store_status ignored;
    struct store_uplink_status ignored_too;
    store_status(s, &ignored);
    for (size_t i = 0; i < s->uplink_count; i++)
        store_uplink_status(s, i, &ignored_too);
}

/* Nobody asks how much memory SQLite has, and counting it locks four times for each row: its manual advises
 * against it. */
void store_begin(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

int store_open(const struct store_options *options, struct store **ret, struct err_note *note)
{
    struct store_opening opening = {.options = options};
    struct err_note ignored = {{0}};
    note = note ? note : &ignored;
    struct store *s = calloc(1, sizeof *s);
    if (!s)
        return FG_ENOMEM;
    int err = init(s, options);
    if (!err)
        err = store_sizes(options->max_bytes, &s->sizes, note);
    if (!err)
        err = store_file_lock(s->path, &s->lock_fd, note);
    if (!err)
        err = begin(s, &opening, note);
    if (err)
        err = begin_in_memory(s, options, err, note);
    if (!err)
        look(s);
    if (!err)
        err = run_writer(s);
    store_opening_fini(&opening);
    if (err)
        destroy(s);
    else
        *ret = s;
    return err;
}

int store_close(struct store *s, struct store_lost *ret_lost)
{
    if (!s)
        return 0;
    pthread_mutex_lock(&s->append_lock);
    s->closing = true;
    pthread_cond_signal(&s->closing_cond);
    pthread_mutex_unlock(&s->append_lock);
    queue_close(s->queue);
    if (s->writer_started)
        pthread_join(s->writer, NULL);
    int err = s->side.clean ? 0 : FG_EIO; /* the writer marks a clean end when everything is in the file */
    if (ret_lost)
        *ret_lost = s->lost;
    destroy(s);
    return err;
}

static int push(struct store *s, const struct store_entry *head, const char *text)
{
    size_t len = head->body_len + head->extra_len;
    int err = queue_push(s->queue, head, sizeof *head, text, len);
    struct store_refusals *r = &s->refusals;
    if (err != FG_EFULL)
        return err;
    if (r->samples + r->events == 0)
        r->first_ts = head->ts_ms;
    r->last_ts = head->ts_ms;
    if (head->device == STORE_EVENT) {
        r->events++;
    } else {
        r->samples++;
        s->queue_dropped++;
    }
    return err;
}

int store_append(struct store *s, const struct sample *sample)
{
    struct store_entry head = {.ts_ms = sample->wall_ms,
                               .device = sample->device,
                               .flags = sample->clock_trusted ? 0 : STORE_FLAG_UNTRUSTED};
    pthread_mutex_lock(&s->append_lock);
    buf_reset(&s->body);
    buf_reset(&s->extra);
    sample_encode_body(sample, &s->body);
    sample_encode_extra(sample, s->boot_id, &s->extra);
    head.body_len = (uint32_t)s->body.len;
    head.extra_len = (uint32_t)s->extra.len;
    if (s->extra.len > 0)
        buf_add(&s->body, s->extra.data, s->extra.len);
    int err = buf_ok(&s->body) && buf_ok(&s->extra) ? push(s, &head, s->body.data) : FG_ENOMEM;
    pthread_mutex_unlock(&s->append_lock);
    return err;
}

int store_append_event(struct store *s, int64_t wall_ms, const char *body)
{
    static const char begins[] = "{\"event\":\"";
    if (strncmp(body, begins, sizeof begins - 1) != 0)
        return FG_EINVALID;
    struct store_entry head = {.ts_ms = wall_ms, .device = STORE_EVENT, .body_len = (uint32_t)strlen(body)};
    pthread_mutex_lock(&s->append_lock);
    buf_reset(&s->body);
    head.flags = store_clock_mark(s, &s->extra);
    head.extra_len = (uint32_t)s->extra.len;
    buf_add(&s->body, body, head.body_len);
    if (s->extra.len > 0)
        buf_add(&s->body, s->extra.data, s->extra.len);
    int err = buf_ok(&s->body) && buf_ok(&s->extra) ? push(s, &head, s->body.data) : FG_ENOMEM;
    pthread_mutex_unlock(&s->append_lock);
    return err;
}

const struct pulse *store_pulse(const struct store *s)
{
    return &s->pulse;
}
