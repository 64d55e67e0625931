/* SPDX-License-Identifier: Apache-2.0 */
#include "crash_check.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../gateway/json.h"
#include "crash_shim.h"

#define LL(n) ((unsigned long long)(n))

/* One check: the first thing that is wrong is kept, and nothing is looked at any more. */
struct check {
    struct err_note *note;
    bool ok;
};

static bool expect(struct check *c, bool condition, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool expect(struct check *c, bool condition, const char *format, ...)
{
    if (condition || !c->ok)
        return c->ok;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(c->note->text, sizeof c->note->text, format, arguments);
    va_end(arguments);
    c->ok = false;
    return false;
}

/* ---- SQLite alone ---- */

typedef void on_row(struct check *c, sqlite3_stmt *row, void *context);

static void each_row(struct check *c, sqlite3 *db, const char *sql, int64_t parameter, on_row *on,
                     void *context)
{
    sqlite3_stmt *stmt = NULL;
    if (!c->ok)
        return;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK && sqlite3_bind_parameter_count(stmt) > 0)
        sqlite3_bind_int64(stmt, 1, parameter);
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(stmt);
        if (rc == SQLITE_ROW)
            on(c, stmt, context);
        if (!c->ok)
            break;
    }
    expect(c, rc == SQLITE_DONE, "%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_finalize(stmt);
}

static void take_int(struct check *c, sqlite3_stmt *row, void *context)
{
    (void)c;
    *(int64_t *)context = sqlite3_column_int64(row, 0);
}

static int64_t ask(struct check *c, sqlite3 *db, const char *sql)
{
    int64_t value = 0;
    each_row(c, db, sql, 0, take_int, &value);
    return value;
}

static void integrity(struct check *c, sqlite3_stmt *row, void *context)
{
    (void)context;
    const char *said = (const char *)sqlite3_column_text(row, 0);
    expect(c, strcmp(said, "ok") == 0, "integrity_check: %s", said);
}

static bool same_text(sqlite3_stmt *row, int column, const char *text)
{
    const char *found = (const char *)sqlite3_column_text(row, column);
    return strcmp(found ? found : "", text) == 0;
}

/* A record that nobody was given yet may still get its true time; everything else of it is final at once. */
static bool is_final(const struct run *r, uint64_t seq)
{
    return seq <= r->committed || !r->plan->hold_ms;
}

static void same_record(struct check *c, sqlite3_stmt *row, void *context)
{
    const struct run *r = context;
    uint64_t seq = (uint64_t)sqlite3_column_int64(row, 0);
    const struct run_record *known = run_find(r, seq);
    if (!known) /* committed while the store was being closed: nobody saw it */
        return;
    bool event = sqlite3_column_type(row, 2) == SQLITE_NULL;
    uint32_t device = event ? UINT32_MAX : (uint32_t)sqlite3_column_int64(row, 2);
    bool same = device == known->device && same_text(row, 3, known->body);
    if (is_final(r, seq))
        same = same && sqlite3_column_int64(row, 1) == known->ts_ms && same_text(row, 4, known->extra);
    expect(c, same, "record %llu says something else than before: %s, not %s", LL(seq),
           sqlite3_column_text(row, 3), known->body);
}

static void take_text(struct check *c, sqlite3_stmt *row, void *context)
{
    (void)c;
    snprintf(context, STORE_STREAM_TEXT, "%s", sqlite3_column_text(row, 0));
}

static bool side_is_clean(const struct image *i)
{
    for (size_t n = 0; n < i->count; n++)
        if (strcmp(i->files[n].name, "buffer.db-stream") == 0)
            return memmem(i->files[n].bytes, i->files[n].size, "\nclean 1\n", 9) != NULL;
    return true;
}

static bool has_file(const struct image *i, const char *name)
{
    for (size_t n = 0; n < i->count; n++)
        if (strcmp(i->files[n].name, name) == 0)
            return true;
    return false;
}

static void open_database(struct check *c, const char *folder, sqlite3 **ret)
{
    char path[160];
    snprintf(path, sizeof path, "%s/buffer.db", folder);
    int rc = sqlite3_open_v2(path, ret, SQLITE_OPEN_READWRITE, NULL);
    expect(c, rc == SQLITE_OK, "%s: %s", path, sqlite3_errstr(rc));
}

bool check_database(const struct run *r, const struct image *i, const char *folder, uint64_t committed,
                    struct check_seen *ret, struct err_note *note)
{
    struct check c = {.note = note, .ok = true};
    sqlite3 *db = NULL;
    *ret = (struct check_seen){.exists = has_file(i, "buffer.db"), .clean = true, .sound = true};
    if (!ret->exists)
        return expect(&c, committed == 0, "the database is gone, with %llu records", LL(committed));
    image_write(i, folder);
    open_database(&c, folder, &db);
    each_row(&c, db, "PRAGMA integrity_check", 0, integrity, NULL);
    each_row(&c, db, "SELECT seq, ts, device, body, extra FROM record ORDER BY seq", 0, same_record,
             (void *)r);
    ret->newest = (uint64_t)ask(&c, db, "SELECT max(seq) FROM record");
    ret->clean = ask(&c, db, "SELECT value FROM meta WHERE key = 'clean'") != 0;
    ret->newest_ts_ms = ask(&c, db, "SELECT ts FROM record ORDER BY seq DESC LIMIT 1");
    each_row(&c, db, "SELECT id FROM stream ORDER BY first_seq DESC LIMIT 1", 0, take_text, ret->stream);
    ret->side_clean = side_is_clean(i);
    ret->sound = c.ok;
    sqlite3_close(db);
    return expect(&c, ret->newest >= committed,
                  "committed up to %llu, and only %llu is left: %llu records lost", LL(committed),
                  LL(ret->newest), LL(committed - ret->newest));
}

/* ---- the store's own word ---- */

/* What a number said before the power failed; numbers above those that the cut left were never seen by
 * anybody. */
static const struct run_record *survivor(const struct run *r, const struct check_seen *seen, uint64_t seq)
{
    return seq <= seen->newest ? run_find(r, seq) : NULL;
}

static void check_batch(struct check *c, const struct run *r, const struct check_seen *seen,
                        const struct store_batch *b, struct seqset *waiting)
{
    for (size_t i = 0; i < b->count && c->ok; i++) {
        const struct store_record *rec = &b->records[i];
        const struct run_record *known = survivor(r, seen, rec->seq);
        seqset_add(waiting, rec->seq, rec->seq);
        if (known)
            expect(c,
                   strcmp(rec->body, known->body) == 0 && strcmp(b->stream, known->stream) == 0 &&
                       (rec->ts_ms == known->ts_ms || !is_final(r, rec->seq)),
                   "record %llu is given out with another content", LL(rec->seq));
    }
}

/* Everything that waits for an uplink, read as the uplink reads it. */
static void read_waiting(struct check *c, const struct run *r, const struct check_seen *seen, struct store *s,
                         size_t uplink, struct seqset *ret)
{
    struct store_batch b;
    struct store_limits limits = {.max_records = 100000, .max_bytes = 100000000};
    uint64_t from = 1;
    int n;
    store_batch_init(&b);
    while (c->ok && (n = store_read(s, uplink, from, UINT64_MAX, &limits, &b)) != 0) {
        if (!expect(c, n > 0, "store_read: %s", err_text(n)))
            break;
        check_batch(c, r, seen, &b, ret);
        from = b.records[n - 1].seq + 1;
    }
    store_batch_fini(&b);
}

/* accepted = delivered + waiting + dropped, and nothing is taken for delivered that its broker does not have.
 */
static void check_account(struct check *c, const struct run *r, const struct check_seen *seen,
                          struct store *s, size_t uplink)
{
    struct store_uplink_status u;
    struct seqset waiting;
    struct store_status status;
    seqset_init(&waiting);
    store_uplink_status(s, uplink, &u);
    store_status(s, &status);
    read_waiting(c, r, seen, s, uplink, &waiting);
    expect(c, u.accepted == status.newest, "uplink %zu: accepted %llu of %llu", uplink, LL(u.accepted),
           LL(status.newest));
    expect(c, u.accepted == u.delivered + u.waiting + u.dropped,
           "uplink %zu: accepted %llu is not delivered %llu + waiting %llu + dropped %llu", uplink,
           LL(u.accepted), LL(u.delivered), LL(u.waiting), LL(u.dropped));
    expect(c, u.waiting == waiting.total, "uplink %zu: %llu are said to wait, %llu do", uplink, LL(u.waiting),
           LL(waiting.total));
    expect(c, u.delivered <= seqset_count(&r->acked[uplink], 1, seen->newest),
           "uplink %zu: %llu are said to be delivered, its broker has %llu", uplink, LL(u.delivered),
           LL(seqset_count(&r->acked[uplink], 1, seen->newest)));
    seqset_fini(&waiting);
}

static void check_opened(struct check *c, const struct run *r, struct store *s, const struct check_seen *seen)
{
    struct store_status status;
    store_status(s, &status);
    expect(c, status.newest > seen->newest, "the store opened at %llu, the database held %llu",
           LL(status.newest), LL(seen->newest));
    bool goes_on = strcmp(status.stream, seen->stream) == 0;
    if (seen->newest > 0)
        expect(c, goes_on == seen->side_clean, "after %s the stream %s",
               seen->side_clean ? "an orderly stop" : "a cut", goes_on ? "goes on" : "is a new one");
    for (size_t u = 0; u < RUN_UPLINKS; u++)
        check_account(c, r, seen, s, u);
}

/* ---- the books, when all is told and written ---- */

struct books {
    const struct run *r;
    const struct check_seen *seen;
    size_t uplink;
    struct seqset rows;    /* in the file */
    struct seqset waiting; /* for this uplink */
    struct seqset named;   /* by loss events that the broker has or will get, or that are still to be told */
    uint64_t counted;      /* by the same */
};

static void add_row(struct check *c, sqlite3_stmt *row, void *context)
{
    (void)c;
    struct books *b = context;
    uint64_t seq = (uint64_t)sqlite3_column_int64(row, 0);
    seqset_add(&b->rows, seq, seq);
}

static void add_waiting(struct check *c, sqlite3_stmt *row, void *context)
{
    struct books *b = context;
    int64_t first = sqlite3_column_int64(row, 0), last = sqlite3_column_int64(row, 1);
    if (first <= last)
        expect(c, seqset_add(&b->waiting, (uint64_t)first, (uint64_t)last) == 0, "table waiting is broken");
}

static void add_loss(struct check *c, sqlite3_stmt *row, void *context)
{
    struct books *b = context;
    int64_t first = sqlite3_column_int64(row, 0), last = sqlite3_column_int64(row, 1);
    expect(c, first >= 1 && seqset_add(&b->named, (uint64_t)first, (uint64_t)last) == 0,
           "table loss is broken");
    b->counted += (uint64_t)sqlite3_column_int64(row, 2);
}

static void add_event(struct check *c, struct books *b, uint64_t seq, const char *body)
{
    if (!strstr(body, "\"samples_dropped\""))
        return;
    if (!seqset_has(&b->waiting, seq) && !seqset_has(&b->r->acked[b->uplink], seq))
        return; /* this uplink will never hear of it */
    cJSON *event = json_parse(body, strlen(body));
    if (strcmp(json_string(event, "uplink", ""), b->r->uplinks[b->uplink].name) == 0) {
        int64_t from = json_int(event, "from", 0), to = json_int(event, "to", -1);
        expect(c, from >= 1 && seqset_add(&b->named, (uint64_t)from, (uint64_t)to) == 0, "%s", body);
        b->counted += (uint64_t)json_int(event, "count", 0);
    }
    cJSON_Delete(event);
}

static void add_event_row(struct check *c, sqlite3_stmt *row, void *context)
{
    struct books *b = context;
    uint64_t seq = (uint64_t)sqlite3_column_int64(row, 0);
    if (!survivor(b->r, b->seen, seq))
        add_event(c, b, seq, (const char *)sqlite3_column_text(row, 1));
}

/* Also what has left the file again: the broker still has it. */
static void add_events(struct check *c, sqlite3 *db, struct books *b)
{
    each_row(c, db, "SELECT seq, body FROM record WHERE device IS NULL", 0, add_event_row, b);
    for (uint64_t seq = 1; seq <= b->r->known && seq <= b->seen->newest; seq++)
        if (b->r->records[seq].device == UINT32_MAX)
            add_event(c, b, seq, b->r->records[seq].body);
}

/* Every number: the broker has it, it waits and is there, or a loss event names it. */
static void balance(struct check *c, const struct books *b, uint64_t newest, uint64_t dropped)
{
    const struct seqset *acked = &b->r->acked[b->uplink];
    uint64_t missing = 0;
    for (uint64_t seq = 1; seq <= newest && c->ok; seq++) {
        bool waits = seqset_has(&b->waiting, seq);
        expect(c, !waits || seqset_has(&b->rows, seq), "uplink %zu: record %llu waits and is not there",
               b->uplink, LL(seq));
        if (waits || seqset_has(acked, seq))
            continue;
        missing++;
        expect(c, seqset_has(&b->named, seq), "uplink %zu: record %llu is lost, and no event says so",
               b->uplink, LL(seq));
    }
    expect(c, dropped >= missing && b->counted >= missing,
           "uplink %zu: %llu records are lost, %llu are counted, the events tell of %llu", b->uplink,
           LL(missing), LL(dropped), LL(b->counted));
}

static void check_books(struct check *c, const struct run *r, sqlite3 *db, size_t uplink,
                        struct check_seen *seen)
{
    struct books b = {.r = r, .seen = seen, .uplink = uplink};
    seqset_init(&b.rows);
    seqset_init(&b.waiting);
    seqset_init(&b.named);
    int64_t id = (int64_t)uplink + 1;
    uint64_t newest = (uint64_t)ask(c, db, "SELECT max(seq) FROM record");
    each_row(c, db, "SELECT seq FROM record", 0, add_row, &b);
    each_row(c, db, "SELECT first, last FROM waiting WHERE uplink = ?1", id, add_waiting, &b);
    each_row(c, db, "SELECT upto + 1, (SELECT max(seq) FROM record) FROM uplink WHERE id = ?1", id,
             add_waiting, &b);
    each_row(c, db, "SELECT first, last, count FROM loss WHERE uplink = ?1", id, add_loss, &b);
    add_events(c, db, &b);
    int64_t dropped = 0;
    each_row(c, db, "SELECT dropped FROM uplink WHERE id = ?1", id, take_int, &dropped);
    balance(c, &b, newest, (uint64_t)dropped);
    seqset_fini(&b.rows);
    seqset_fini(&b.waiting);
    seqset_fini(&b.named);
}

/* The first records of this life: no old number again, and the cut is told with the last committed time. */
struct begin {
    const struct run *r;
    const struct check_seen *seen;
    uint64_t expected;
    bool told;
};

static void check_new(struct check *c, sqlite3_stmt *row, void *context)
{
    struct begin *b = context;
    uint64_t seq = (uint64_t)sqlite3_column_int64(row, 0);
    const char *body = (const char *)sqlite3_column_text(row, 1);
    expect(c, seq == b->expected, "record %llu is missing among the new ones", LL(b->expected));
    b->expected++;
    if (strncmp(body, "{\"event\":\"restarted\"", 20) != 0)
        return;
    cJSON *event = json_parse(body, strlen(body));
    expect(c, json_int(event, "last_committed_ts", -1) == b->seen->newest_ts_ms,
           "%s: the last record is of %" PRId64, body, b->seen->newest_ts_ms);
    b->told = true;
    cJSON_Delete(event);
}

static void check_closed(struct check *c, const struct run *r, const char *folder, struct check_seen *seen)
{
    sqlite3 *db = NULL;
    struct begin begin = {.r = r, .seen = seen, .expected = seen->newest + 1};
    open_database(c, folder, &db);
    each_row(c, db, "PRAGMA integrity_check", 0, integrity, NULL);
    each_row(c, db, "SELECT seq, body FROM record WHERE seq > ?1 ORDER BY seq", (int64_t)seen->newest,
             check_new, &begin);
    if (seen->newest > 0 && !seen->clean)
        expect(c, begin.told, "no event tells of the cut");
    for (size_t u = 0; u < RUN_UPLINKS; u++)
        check_books(c, r, db, u, seen);
    seen->at_cap =
        ask(c, db, "SELECT count(*) FROM record WHERE device IS NULL AND body LIKE '%store_full%'") > 0;
    sqlite3_close(db);
}

bool check_store(struct run *r, const struct image *i, const char *folder, struct check_seen *seen,
                 struct err_note *note)
{
    struct check c = {.note = note, .ok = true};
    struct store_options options = r->options;
    struct store *s = NULL;
    char path[160];
    uint64_t samples = r->samples;
    snprintf(path, sizeof path, "%s/buffer.db", folder);
    options.path = path;
    options.on_commit = NULL;
    options.clock_trusted = true;
    run_boot(r);
    image_write(i, folder);
    shim_lend_inodes(folder, i);
    int err = store_open(&options, &s, note);
    if (err)
        return false;
    check_opened(&c, r, s, seen);
    for (int n = 0; n < 3 && c.ok; n++) {
        err = run_append(r, s);
        expect(&c, err == 0, "store_append: %s", err_text(err));
    }
    store_close(s, NULL);
    r->samples = samples;
    if (c.ok)
        check_closed(&c, r, folder, seen);
    return c.ok;
}
