/* SPDX-License-Identifier: Apache-2.0 */
#include "store_memory.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "heap.h"
#include "store_adopt.h"
#include "store_clock.h"
#include "store_file.h"
#include "store_group.h"
#include "store_load.h"
#include "store_opening.h"
#include "store_progress.h"
#include "store_record.h"
#include "store_salvage_job.h"
#include "store_space.h"
#include "store_writer.h"

#define AFTER_MS 2000 /* live data may be 5 s late at most */
/* In parts of AFTER_MS: when the disk is asked first, at the latest each time, and that a disk which fails
 * again so soon is asked as rarely as before. */
#define RETRY_FIRST(after_ms) ((after_ms) / 2)
#define RETRY_MOST(after_ms) ((after_ms)*5)
#define RELAPSE(after_ms) ((after_ms)*30)
/* Hours of readings of a farm, and little beside what a small box has. */
#define MEMORY_BYTES (INT64_C(8) * 1024 * 1024)
#define MOVE_RECORDS 4096
#define MOVE_MORE_PAGES 16 /* for the small tables */
/* Going back to a disk with a few free pages would only mean to fail again, with one more stream each time.
 */
#define ROOM_BYTES (256 * 1024)
#define SALVAGE_LOOK_MS 200 /* while a damaged file is being saved */
/* Above all numbers that a file may hold which cannot be read and has no side file. JavaScript still has them
 * exact.
 */
#define FIRST_UNKNOWN (UINT64_C(1) << 40)
#define LAYOUT_UNKNOWN 1000000
/* At the start the numbers of memory leave this room behind the last that the side file has reserved. */
#define START_GAP 1000

static const char FAILING[] = "disk_failing", DAMAGED[] = "damaged";

/* ---- where a record is ---- */

struct store_db *store_db_at(struct store *s, uint64_t seq)
{
    bool in_memory = s->memory.on && seq >= s->memory.first;
    return !s->memory.on || in_memory != s->memory.turned ? &s->db : &s->memory.other;
}

uint64_t store_db_end(const struct store *s, uint64_t seq)
{
    return s->memory.on && seq < s->memory.first ? s->memory.first - 1 : UINT64_MAX;
}

bool store_is_away(const struct store *s, uint64_t seq)
{
    return s->memory.on && seq < s->memory.first && !s->memory.other.db;
}

bool store_is_durable(const struct store *s, uint64_t seq)
{
    return !s->memory.on || seq < s->memory.first;
}

uint64_t store_part_first(const struct store *s)
{
    bool in_memory = s->memory.on && !s->memory.turned;
    return in_memory && s->memory.first > s->oldest ? s->memory.first : s->oldest;
}

uint64_t store_part_last(const struct store *s)
{
    return s->memory.turned ? s->memory.first - 1 : s->newest;
}

uint64_t store_memory_records(const struct store *s)
{
    uint64_t first = s->memory.first;
    return s->memory.on && first <= s->newest
               ? s->newest + 1 - first - seqset_count(&s->holes, first, s->newest)
               : 0;
}

/* ---- beginning ---- */

void store_memory_init(struct store *s, const struct store_options *options)
{
    int64_t bytes = options->memory_bytes ? options->memory_bytes : MEMORY_BYTES;
    s->memory.after_ms = options->memory_after_ms ? options->memory_after_ms : AFTER_MS;
    store_sizes_in_memory(bytes < options->max_bytes ? bytes : options->max_bytes, &s->memory.sizes);
}

void store_memory_fini(struct store *s)
{
    store_db_close(&s->memory.other);
    buf_fini(&s->memory.kept_as);
}

static void turn_over(struct store *s)
{
    struct store_memory *m = &s->memory;
    struct store_db db = s->db;
    struct store_sizes sizes = s->sizes;
    s->db = m->other;
    s->sizes = m->other_sizes;
    m->other = db;
    m->other_sizes = sizes;
    m->turned = !m->turned;
}

static void ask_later(struct store *s)
{
    struct store_memory *m = &s->memory;
    m->retry_wait_ms = m->retry_wait_ms ? m->retry_wait_ms * 2 : RETRY_FIRST(m->after_ms);
    if (m->retry_wait_ms > RETRY_MOST(m->after_ms))
        m->retry_wait_ms = RETRY_MOST(m->after_ms);
    m->retry_mono_ms = clock_mono_ms() + m->retry_wait_ms;
}

static int open_database(struct store *s, struct store_db *ret)
{
    int err = store_db_open_memory(ret, &s->memory.sizes, NULL);
    if (!err)
        err = store_opening_write_layout(s, ret);
    if (err)
        store_db_close(ret);
    return err;
}

/* The stream is added, its event stands in the group, and `memory` is open. */
static void go_over(struct store *s, const struct store_db *memory, uint64_t first)
{
    struct store_memory *m = &s->memory;
    int64_t now = clock_mono_ms();
    m->other = s->db;
    m->other_sizes = s->sizes;
    s->db = *memory;
    s->sizes = m->sizes;
    m->on = true;
    m->turned = m->announced = false;
    m->first = m->began = first;
    m->since_wall_ms = clock_wall_ms();
    if (!m->ended_mono_ms || now - m->ended_mono_ms > RELAPSE(m->after_ms))
        m->retry_wait_ms = 0;
    ask_later(s);
    s->marked = false;
}

static int begin(struct store *s, const char *reason)
{
    struct store_opening o = {.reason = reason};
    struct store_side was = s->side;
    struct store_db memory;
    int err = open_database(s, &memory);
    if (err)
        return err;
    size_t streams = s->stream_count;
    err = store_opening_begin_stream(s, &o);
    if (!err)
        err = store_opening_event_in_front(s, &o);
    if (err) {
        s->stream_count = streams;
        s->side = was;
        store_db_close(&memory);
        return err;
    }
    s->memory.apart = s->memory.new_layout = s->memory.damaged = false;
    s->memory.reason = reason;
    go_over(s, &memory, s->newest + 1);
    /* Where even this cannot be written, a kill goes unnoticed: the file's stream goes on then. */
    was.memory = true;
    (void)store_side_overwrite(s->path, &was);
    return 0;
}

int store_memory_begin(struct store *s)
{
    return begin(s, FAILING);
}

int store_memory_begin_repair(struct store *s)
{
    int err = begin(s, DAMAGED);
    if (err)
        return err;
    s->disk_failing = s->memory.damaged = true;
    s->memory.retry_mono_ms = clock_mono_ms();
    return 0;
}

/* ---- beginning at the start ---- */

/* Whatever was read of the file is forgotten. */
static void forget_file(struct store *s)
{
    store_db_close(&s->db);
    s->stream_count = s->layout_count = s->loss_count = 0;
    seqset_clear(&s->holes);
    store_group_reset(&s->group);
    s->holes_dirty = s->losses_dirty = s->uplinks_unknown = false;
    s->run_before_ms = 0;
    for (size_t i = 0; i < s->uplink_count; i++) {
        struct store_uplink_state *u = &s->uplinks[i];
        seqset_clear(&u->waiting);
        seqset_clear(&u->lost);
        u->delivered = u->dropped = u->absent = 0;
        memset(u->dropped_by, 0, sizeof u->dropped_by);
        u->dirty = true;
    }
}

/* Numbers and layout that nothing in the file can have. */
static void begin_above(struct store *s)
{
    bool unreadable = store_side_read(s->path, &s->side) != 0;
    bool exists = unreadable || store_file_inode(s->path) != 0;
    if (s->side.known) {
        s->newest = s->side.reserved + START_GAP;
        s->layout = s->side.layout + 1;
    } else {
        s->newest = exists ? FIRST_UNKNOWN : 0;
        s->layout = exists ? LAYOUT_UNKNOWN : 1;
    }
    s->oldest = s->newest + 1;
    s->opened_mono_ms = store_clock_mono_ms(s);
    for (size_t i = 0; i < s->uplink_count; i++) {
        s->uplinks[i].id = (int64_t)i + 1;
        s->uplinks[i].start = s->oldest;
    }
}

int store_memory_start(struct store *s, const struct store_options *options, int err)
{
    const bool damaged = store_salvage_job_runs(s->salvage), disk = err == FG_EFULL || err == FG_EIO;
    struct store_opening o = {.options = options, .reason = damaged ? DAMAGED : FAILING, .was_clean = true};
    struct store_db memory;
    if ((!disk && !damaged) || store_file_misplaced(s->path))
        return FG_EINVALID;
    forget_file(s);
    begin_above(s);
    struct store_side was = s->side;
    o.first = s->oldest;
    err = store_add_layout(s, s->oldest, s->layout);
    if (!err)
        err = open_database(s, &memory);
    if (err)
        return err;
    s->memory.apart = s->memory.new_layout = true;
    s->memory.reason = o.reason;
    go_over(s, &memory, s->oldest);
    s->disk_failing = true;
    err = store_opening_begin_stream(s, &o);
    if (!err)
        err = store_opening_tell(s, &o);
    was.memory = true;
    if (was.known)
        (void)store_side_overwrite(s->path, &was);
    return err ? err : store_commit(s, NULL, NULL);
}

/* ---- going back ---- */

static int enough_room(struct store *s)
{
    int64_t pages;
    int err = store_db_get_int(&s->db, STMT_PAGE_COUNT, 0, &pages);
    if (!err && store_file_room(s->path) < pages * STORE_PAGE_SIZE + ROOM_BYTES)
        err = FG_EFULL;
    if (err)
        store_failure(s, NULL, err);
    return err;
}

/* The side file is the first to know the stream: if the power goes in between, it does not fit the file, and
 * a new stream begins. */
static int claim(struct store *s, bool memory)
{
    struct store_side side = s->side;
    side.memory = memory;
    side.committed = s->memory.first - 1;
    side.reserved = s->newest + STORE_RESERVE;
    side.oldest = s->oldest;
    side.layout = s->layout;
    int err = store_side_write(s->path, &side);
    if (err)
        store_failure(s, NULL, err);
    else
        s->side = side;
    return err;
}

static int copy_records(struct store *s)
{
    struct store_memory *m = &s->memory;
    sqlite3_stmt *from = m->other.stmt[STMT_RANGE];
    size_t bytes = 0;
    int rc = SQLITE_DONE, err = 0;
    uint64_t last = m->first - 1;
    sqlite3_bind_int64(from, 1, (int64_t)m->first);
    sqlite3_bind_int64(from, 2, (int64_t)s->newest);
    for (int n = 0; !err && n < MOVE_RECORDS && bytes < s->sizes.group_bytes / 2; n++) {
        struct store_row row;
        if ((rc = sqlite3_step(from)) != SQLITE_ROW)
            break;
        err = store_record_read(from, &row);
        if (!err)
            err = store_record_insert(&s->db, &row);
        bytes += sizeof(struct store_entry) + row.body_len + row.extra_len;
        last = row.seq;
    }
    sqlite3_reset(from);
    if (!err)
        err = store_db_error(rc);
    m->first = (rc == SQLITE_DONE ? s->newest : last) + 1;
    return err;
}

/* The age of what moved goes with it. */
static int copy_marks(struct store *s)
{
    sqlite3_stmt *from = s->memory.other.stmt[STMT_MARKS];
    int rc = SQLITE_DONE, err = 0;
    sqlite3_bind_int64(from, 1, (int64_t)s->memory.first);
    while (!err && (rc = sqlite3_step(from)) == SQLITE_ROW) {
        int64_t mark[] = {sqlite3_column_int64(from, 0), sqlite3_column_int64(from, 1)};
        err = store_db_run_ints(&s->db, STMT_MARK_ADD, mark, 2);
    }
    sqlite3_reset(from);
    return err ? err : store_db_error(rc);
}

/* In a transaction of the file. */
static int write_part(struct store *s)
{
    const struct store_options options = {.layout = s->layout_text, .layout_len = s->layout_len};
    struct store_opening o = {
        .options = &options, .reason = s->memory.reason, .new_layout = s->memory.new_layout};
    int64_t pages = (int64_t)(s->sizes.group_bytes / STORE_PAGE_SIZE) + MOVE_MORE_PAGES;
    int err = s->memory.announced ? 0 : store_opening_write(s, &o);
    if (!err)
        err = store_clock_write_again(s);
    if (!err)
        err = store_space_make(s, pages);
    if (!err)
        err = copy_records(s);
    if (!err)
        err = copy_marks(s);
    for (size_t i = 0; i < s->uplink_count; i++)
        s->uplinks[i].dirty = true;
    s->holes_dirty = s->losses_dirty = true;
    if (!err)
        err = store_progress_write(s);
    return err ? err : store_db_run(&s->db, STMT_COMMIT);
}

static int move_some(struct store *s)
{
    const uint64_t first = s->memory.first;
    s->snapshot_taken = false;
    turn_over(s);
    int err = store_db_run(&s->db, STMT_BEGIN);
    if (!err)
        err = write_part(s);
    if (err) {
        store_failure(s, &s->db, err);
        if (s->db.db && !sqlite3_get_autocommit(s->db.db))
            store_db_run(&s->db, STMT_ROLLBACK);
        store_snapshot_restore(s);
        s->memory.first = first;
    } else {
        store_progress_written(s, clock_mono_ms());
        s->memory.announced = true;
        for (size_t i = 0; i < s->uplink_count; i++)
            s->uplinks[i].fresh = false;
        s->commits++;
    }
    turn_over(s);
    return err;
}

static void tell_end(struct store *s)
{
    struct buf text = BUF_INIT;
    buf_addf(&text,
             "{\"event\":\"disk_recovered\",\"since\":%" PRId64 ",\"first\":%" PRIu64 ",\"last\":%" PRIu64,
             s->memory.since_wall_ms, s->memory.began, s->newest);
    store_opening_kept_as(&s->memory.kept_as, &text);
    buf_addc(&text, '}');
    buf_reset(&s->memory.kept_as);
    if (buf_ok(&text))
        (void)store_clock_event(s, text.data, text.len);
    buf_fini(&text);
}

static int end(struct store *s)
{
    struct store_memory *m = &s->memory;
    int err = claim(s, false);
    if (err)
        return err;
    turn_over(s);
    store_db_close(&m->other);
    heap_give_back(); /* what the records took lies below things that stay: by itself it would stay, too */
    m->on = m->turned = m->apart = m->damaged = false;
    m->ended_mono_ms = clock_mono_ms();
    s->marked = false;
    s->disk_failing = false;
    s->failing_mono_ms = s->read_failing_mono_ms = 0;
    s->disk_note.text[0] = 0;
    tell_end(s);
    return 0;
}

static bool lasts(int64_t since_mono_ms)
{
    return since_mono_ms && clock_mono_ms() - since_mono_ms >= STORE_PATIENCE_MS;
}

void store_memory_try(struct store *s)
{
    struct store_memory *m = &s->memory;
    int err = 0;
    if (store_salvage_job_runs(s->salvage)) {
        m->retry_mono_ms = clock_mono_ms() + SALVAGE_LOOK_MS;
        return;
    }
    if (m->apart)
        err = store_adopt(s);
    else if (!m->other.db || m->damaged)
        err = store_adopt_repaired(s);
    if (!err && !m->announced)
        err = enough_room(s);
    if (!err && !m->announced)
        err = claim(s, true);
    if (!err)
        err = move_some(s);
    if (!err && m->first > s->newest)
        err = end(s);
    /* A sector that cannot be written or read for so long is dead: damage like any other. */
    m->damaged = m->damaged || err == FG_ECORRUPT || (err == FG_EIO && lasts(s->failing_mono_ms)) ||
                 lasts(s->read_failing_mono_ms);
    if (err)
        ask_later(s);
    else
        m->retry_mono_ms = clock_mono_ms();
}

int64_t store_memory_due_mono_ms(const struct store *s)
{
    return s->memory.on ? s->memory.retry_mono_ms : INT64_MAX;
}
