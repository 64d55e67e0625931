/* SPDX-License-Identifier: Apache-2.0 */
#include "store_clock.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "store_group.h"
#include "store_load.h"
#include "store_memory.h"
#include "store_record.h"

#define CORRECT_AT_ONCE 1024 /* numbers looked at in one transaction */

int64_t store_clock_mono_ms(const struct store *s)
{
    const struct store_time *t = &s->clock.time;
    return t->mono_ms ? t->mono_ms(t->context) : clock_mono_ms();
}

static int64_t wall_ms(const struct store *s)
{
    const struct store_time *t = &s->clock.time;
    return t->wall_ms ? t->wall_ms(t->context) : clock_wall_ms();
}

void store_clock_init(struct store *s, const struct store_options *options)
{
    struct store_clock *c = &s->clock;
    c->holds = options->hold_untrusted;
    c->hold_ms = options->hold_ms;
    if (options->time)
        c->time = *options->time;
    atomic_store(&c->trusted, options->clock_trusted);
    if (c->time.boot_id)
        snprintf(s->boot_id, sizeof s->boot_id, "%s", c->time.boot_id);
    else
        clock_boot_id(s->boot_id);
    c->set_wall_ms = wall_ms(s);
    c->set_mono_ms = store_clock_mono_ms(s);
}

/* ---- what the database remembers ---- */

int store_clock_load(struct store *s, bool *ret_other_boot)
{
    struct store_clock *c = &s->clock;
    char boot[sizeof s->boot_id];
    int64_t from, base_known;
    int err = store_load_meta_text(s, "boot", boot, sizeof boot);
    *ret_other_boot = !err && boot[0] && strcmp(boot, s->boot_id) != 0;
    if (err || strcmp(boot, s->boot_id) != 0)
        return err;
    err = store_load_meta_int(s, "clock_from", &from);
    if (!err)
        err = store_load_meta_int(s, "clock_link_ms", &c->link_mono_ms);
    if (!err)
        err = store_load_meta_int(s, "clock_base_known", &base_known);
    if (!err)
        err = store_load_meta_int(s, "clock_base_ms", &c->base_ms);
    if (err)
        return err;
    c->from = from > 0 && (uint64_t)from <= s->newest ? (uint64_t)from : 0;
    c->base_known = base_known != 0;
    return 0;
}

static int write_state(struct store *s, uint64_t from)
{
    const struct store_clock *c = &s->clock;
    int err = store_db_meta_set_int(&s->db, "clock_from", (int64_t)from);
    if (!err)
        err = store_db_meta_set_int(&s->db, "clock_link_ms", c->link_mono_ms);
    if (!err)
        err = store_db_meta_set_int(&s->db, "clock_base_known", c->base_known);
    if (!err)
        err = store_db_meta_set_int(&s->db, "clock_base_ms", c->base_ms);
    return err;
}

int store_clock_write_again(struct store *s)
{
    return s->clock.holds ? write_state(s, s->clock.from) : 0;
}

int store_clock_write_all(struct store *s)
{
    s->clock.dirty = true; /* the same transaction writes the rest, when it knows the group */
    return store_db_meta_set(&s->db, "boot", s->boot_id);
}

/* ---- correcting ---- */

static int retime(struct store *s, uint64_t seq, struct buf *extra)
{
    struct store_db *d = store_db_at(s, seq);
    sqlite3_stmt *stmt = d->stmt[STMT_ONE];
    struct store_row row;
    int64_t then;
    sqlite3_bind_int64(stmt, 1, (int64_t)seq);
    int rc = sqlite3_step(stmt);
    bool ours = rc == SQLITE_ROW && store_record_read(stmt, &row) == 0 && (row.flags & STORE_FLAG_UNTRUSTED);
    buf_reset(extra);
    ours = ours && sample_correct_extra(row.extra, row.extra_len, s->boot_id, &then, extra);
    if (!ours || !buf_ok(extra)) {
        sqlite3_reset(stmt);
        /* A damaged place costs its records when they are read. */
        int err = buf_ok(extra) ? store_db_error(rc) : FG_ENOMEM;
        return err == FG_ECORRUPT ? 0 : err;
    }
    row.ts_ms = s->clock.set_wall_ms - (s->clock.set_mono_ms - then);
    row.flags &= ~(uint32_t)STORE_FLAG_UNTRUSTED;
    row.extra = extra->data;
    row.extra_len = extra->len;
    return store_record_retime(d, stmt, &row);
}

/* *ret: the first number that is not corrected yet; 0 when all are. */
static int correct(struct store *s, uint64_t *ret)
{
    struct buf extra = BUF_INIT;
    uint64_t seq = s->clock.from > s->oldest ? s->clock.from : s->oldest;
    int err = 0;
    for (int n = 0; n < CORRECT_AT_ONCE && seq <= s->newest && !err; n++, seq++)
        err = retime(s, seq, &extra);
    buf_fini(&extra);
    *ret = seq <= s->newest ? seq : 0;
    return err;
}

/* ---- holding and releasing ---- */

static bool is_released(const struct store *s)
{
    const struct store_clock *c = &s->clock;
    return c->link_up && store_clock_mono_ms(s) - c->link_mono_ms >= c->hold_ms;
}

uint64_t store_clock_last(const struct store *s)
{
    return s->clock.from ? s->clock.from - 1 : s->newest;
}

/* What is held in a file that refuses writes stays as it is. */
static bool is_frozen(const struct store *s)
{
    return s->memory.on && s->clock.from && s->clock.from < s->memory.first;
}

bool store_clock_due(const struct store *s)
{
    return (s->clock.from && !is_frozen(s) && (atomic_load(&s->clock.trusted) || is_released(s))) ||
           s->clock.tell;
}

/* The number that the first untrusted record of the group gets; 0: there is none. */
static uint64_t untrusted_in_group(struct store *s)
{
    const char *p = s->group.data.data;
    for (size_t i = 0; i < s->group.count; i++) {
        struct store_entry head;
        memcpy(&head, p, sizeof head);
        p += sizeof head + head.body_len;
        if (head.flags & STORE_FLAG_UNTRUSTED) {
            struct buf ignored = BUF_INIT;
            int64_t then;
            /* What was marked before everybody heard that the clock is set is part of what was told. */
            if (!s->clock.base_known && !s->clock.told &&
                sample_correct_extra(p, head.extra_len, s->boot_id, &then, &ignored)) {
                s->clock.base_known = s->clock.dirty = true;
                s->clock.base_ms = head.ts_ms - then;
            }
            buf_fini(&ignored);
            return s->newest + 1 + i;
        }
        p += head.extra_len;
    }
    return 0;
}

int store_clock_write(struct store *s)
{
    struct store_clock *c = &s->clock;
    int err = 0;
    if (!c->holds)
        return 0;
    bool trusted = atomic_load(&c->trusted), released = !trusted && is_released(s);
    uint64_t in_group = untrusted_in_group(s);
    c->next_from = released ? 0 : c->from;
    if (is_frozen(s)) {
        c->next_from = c->from;
        return 0;
    }
    if (c->from && trusted)
        err = correct(s, &c->next_from);
    if (!c->next_from && !released)
        c->next_from = in_group;
    if (!err && (c->dirty || c->next_from != c->from))
        err = write_state(s, c->next_from);
    return err;
}

void store_clock_committed(struct store *s)
{
    if (!s->clock.holds)
        return;
    s->clock.from = s->clock.next_from;
    s->clock.dirty = false;
}

/* ---- telling ---- */

int store_clock_tell(struct store *s)
{
    struct store_clock *c = &s->clock;
    struct buf text = BUF_INIT;
    if (!c->tell)
        return 0;
    buf_addf(&text,
             "{\"event\":\"clock_set\",\"offset_ms\":%" PRId64 ",\"boot\":\"%s\",\"up_ms\":%" PRId64 "}",
             c->set_wall_ms - c->set_mono_ms - c->base_ms, s->boot_id, c->set_mono_ms);
    int err = buf_ok(&text) ? store_group_add(&s->group, c->set_wall_ms, 0, text.data, text.len, NULL, 0)
                            : FG_ENOMEM;
    buf_fini(&text);
    if (!err) {
        c->tell = c->base_known = false;
        c->told = c->dirty = true;
    }
    return err;
}

void store_clock(struct store *s, bool trusted, bool link_up)
{
    struct store_clock *c = &s->clock;
    if (!c->holds || !store_turn_try(&s->turn, STORE_STALL_MS))
        return;
    bool was_trusted = atomic_exchange(&c->trusted, trusted);
    if (trusted && !was_trusted) {
        c->set_wall_ms = wall_ms(s);
        c->set_mono_ms = store_clock_mono_ms(s);
    }
    c->told = c->told && trusted;
    c->tell = trusted && c->base_known;
    c->link_up = link_up;
    if (link_up && !c->link_mono_ms) {
        c->link_mono_ms = store_clock_mono_ms(s);
        c->dirty = true;
    }
    bool due = store_clock_due(s);
    store_turn_give(&s->turn);
    if (due)
        queue_wake(s->queue);
}

bool store_clock_holds(const struct store *s)
{
    return s->clock.holds && !atomic_load(&s->clock.trusted);
}

uint32_t store_clock_mark(struct store *s, struct buf *extra)
{
    buf_reset(extra);
    if (!store_clock_holds(s))
        return 0;
    buf_addc(extra, '{');
    sample_encode_untrusted(s->boot_id, store_clock_mono_ms(s), extra);
    buf_addc(extra, '}');
    return STORE_FLAG_UNTRUSTED;
}

int store_clock_event(struct store *s, const char *body, size_t len)
{
    struct buf extra = BUF_INIT;
    uint32_t flags = store_clock_mark(s, &extra);
    int err = buf_ok(&extra) ? store_group_add(&s->group, wall_ms(s), flags, body, len, extra.data, extra.len)
                             : FG_ENOMEM;
    buf_fini(&extra);
    return err;
}
