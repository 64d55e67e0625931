/* SPDX-License-Identifier: Apache-2.0 */
#include "store_salvage.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "store_file.h"
#include "store_group.h"
#include "store_load.h"
#include "store_news.h"
#include "store_opening.h"
#include "store_salvage_job.h"
#include "store_writer.h"

int store_salvage(struct store *s, uint64_t given, struct buf *ret_kept_as, struct err_note *note)
{
    struct buf fresh = BUF_INIT;
    buf_addf(&fresh, "%s-salvaged", s->path);
    int err = buf_ok(&fresh) ? 0 : FG_ENOMEM;
    if (!err)
        err = store_salvage_job_ask(s->salvage, &s->sizes, &s->side, given, &s->uplinks_unknown, note);
    if (!err)
        err = store_file_set_aside(s->path, clock_wall_ms(), ret_kept_as, note);
    if (!err)
        err = store_file_rename(fresh.data, s->path);
    if (!err)
        store_news_salvaged(s->news, ret_kept_as->data);
    buf_fini(&fresh);
    return err;
}

int store_salvage_resume(const char *path)
{
    struct buf fresh = BUF_INIT;
    buf_addf(&fresh, "%s-salvaged", path);
    int err = buf_ok(&fresh) ? store_file_rename(fresh.data, path) : FG_ENOMEM;
    buf_fini(&fresh);
    return err;
}

static void take_event_back(struct store *s)
{
    struct store_entry head;
    struct buf *data = &s->group.data;
    memcpy(&head, data->data, sizeof head);
    size_t len = sizeof head + head.body_len + head.extra_len;
    memmove(data->data, data->data + len, data->len - len);
    data->len -= len;
    s->group.count--;
}

/* The tables in memory are newer than what was salvaged: only what no row holds any more is taken out. */
static int reload(struct store *s, struct store_opening *o)
{
    int64_t opened = s->opened_mono_ms, run_before = s->run_before_ms;
    s->stream_count = s->layout_count = 0;
    int err = store_db_open(&s->db, s->path, &s->sizes, &s->disk_note);
    if (!err)
        err = store_load_log(s);
    s->opened_mono_ms = opened;
    s->run_before_ms = run_before;
    for (size_t i = 0; i < s->uplink_count && !err; i++) {
        s->uplinks[i].fresh = s->uplinks[i].dirty = true;
        err = store_drop_vanished(s, i);
    }
    if (err)
        return err;
    s->holes_dirty = s->losses_dirty = true;
    o->new_layout = s->layout_count == 0 || s->layouts[s->layout_count - 1].id != s->layout;
    if (o->new_layout)
        err = store_add_layout(s, s->newest + 1, s->layout);
    o->reason = "damaged";
    return err ? err : store_opening_begin_stream(s, o);
}

static int begin_again(struct store *s, struct store_opening *o)
{
    store_random_hex(s->side.token, sizeof s->side.token);
    s->side.inode = store_file_inode(s->path);
    s->side.committed = s->newest;
    s->side.oldest = s->oldest;
    s->side.reserved = s->newest + s->group.count + STORE_RESERVE;
    int err = store_opening_event_in_front(s, o);
    if (err)
        return err;
    err = store_side_write(s->path, &s->side);
    if (!err)
        err = store_commit(s, store_opening_write, o);
    if (err)
        take_event_back(s);
    return err;
}

int store_repair(struct store *s)
{
    struct store_options options = {.layout = s->layout_text, .layout_len = s->layout_len};
    struct store_opening o = {.options = &options};
    store_db_close(&s->db);
    int err = store_salvage(s, s->newest, &o.kept_as, &s->disk_note);
    if (!err)
        err = reload(s, &o);
    if (!err)
        err = begin_again(s, &o);
    /* Without a connection everything fails softly, and the writer comes here again. */
    if (err)
        store_db_close(&s->db);
    store_opening_fini(&o);
    return err;
}
