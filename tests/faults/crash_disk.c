/* SPDX-License-Identifier: Apache-2.0 */
#include "crash_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR 512
#define WAL_HEADER 32

struct disk_file {
    uint64_t inode;
    unsigned char *bytes; /* durable */
    size_t size;
    size_t *pending; /* operations not yet synced */
    size_t pending_count, pending_cap;
};

struct disk_name {
    char name[CRASH_NAME];
    unsigned file;
};

struct names {
    struct disk_name *items;
    size_t count;
};

struct disk {
    const struct history *history;
    bool normal;
    size_t at;
    struct disk_file *files;
    size_t file_count;
    struct names names;
    size_t *pending_names;
    size_t pending_name_count, pending_name_cap;
};

void *crash_alloc(void *old, size_t size)
{
    void *p = realloc(old, size ? size : 1);
    if (!p)
        abort();
    return p;
}

uint64_t crash_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t crash_below(uint64_t *state, uint64_t limit)
{
    return crash_random(state) % limit;
}

/* ---- history ---- */

struct op *history_add(struct history *h, enum op_kind kind)
{
    if (h->count == h->cap) {
        h->cap = h->cap ? h->cap * 2 : 256;
        h->ops = crash_alloc(h->ops, h->cap * sizeof *h->ops);
    }
    struct op *op = &h->ops[h->count++];
    memset(op, 0, sizeof *op);
    op->kind = kind;
    return op;
}

void history_fini(struct history *h)
{
    for (size_t i = 0; i < h->count; i++)
        free(h->ops[i].bytes);
    free(h->ops);
    memset(h, 0, sizeof *h);
}

/* ---- images ---- */

void image_fini(struct image *i)
{
    for (size_t n = 0; n < i->count; n++)
        free(i->files[n].bytes);
    free(i->files);
    memset(i, 0, sizeof *i);
}

void folder_empty(const char *folder)
{
    DIR *dir = opendir(folder);
    char path[256];
    for (struct dirent *e; dir && (e = readdir(dir));) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        unlink(path); /* fails for . and .., as it should */
    }
    if (dir)
        closedir(dir);
}

void image_write(const struct image *i, const char *folder)
{
    char path[256];
    folder_empty(folder);
    for (size_t n = 0; n < i->count; n++) {
        const struct image_file *f = &i->files[n];
        snprintf(path, sizeof path, "%s/%s", folder, f->name);
        FILE *file = fopen(path, "wb");
        if (!file || fwrite(f->bytes, 1, f->size, file) != f->size || fclose(file) != 0) {
            perror(path);
            exit(2);
        }
    }
}

/* ---- the disk ---- */

static void put_name(struct names *n, const char *name, unsigned file)
{
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->items[i].name, name) == 0) {
            n->items[i].file = file;
            return;
        }
    n->items = crash_alloc(n->items, (n->count + 1) * sizeof *n->items);
    snprintf(n->items[n->count].name, CRASH_NAME, "%s", name);
    n->items[n->count++].file = file;
}

static void drop_name(struct names *n, const char *name)
{
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->items[i].name, name) == 0) {
            n->items[i] = n->items[--n->count];
            return;
        }
}

static void apply_name(struct names *n, const struct op *op)
{
    if (op->kind == OP_CREATE)
        put_name(n, op->name, op->file);
    if (op->kind == OP_UNLINK)
        drop_name(n, op->name);
    for (size_t i = 0; op->kind == OP_RENAME && i < n->count; i++)
        if (strcmp(n->items[i].name, op->name) == 0) {
            unsigned file = n->items[i].file;
            drop_name(n, op->name);
            put_name(n, op->to, file);
            return;
        }
}

static void add_file(struct disk *d, uint64_t inode, const void *bytes, size_t size)
{
    d->files = crash_alloc(d->files, (d->file_count + 1) * sizeof *d->files);
    struct disk_file *f = &d->files[d->file_count++];
    memset(f, 0, sizeof *f);
    f->inode = inode;
    f->bytes = crash_alloc(NULL, size);
    f->size = size;
    if (size)
        memcpy(f->bytes, bytes, size);
}

struct disk *disk_new(const struct image *start, const struct history *h, bool normal)
{
    struct disk *d = crash_alloc(NULL, sizeof *d);
    memset(d, 0, sizeof *d);
    d->history = h;
    d->normal = normal;
    for (size_t i = 0; i < start->count; i++) {
        add_file(d, start->files[i].inode, start->files[i].bytes, start->files[i].size);
        put_name(&d->names, start->files[i].name, (unsigned)i);
    }
    return d;
}

void disk_free(struct disk *d)
{
    for (size_t i = 0; i < d->file_count; i++) {
        free(d->files[i].bytes);
        free(d->files[i].pending);
    }
    free(d->files);
    free(d->names.items);
    free(d->pending_names);
    free(d);
}

/* Which state of a thing a cut leaves, of 0 (durable) to n (all done). */
struct dice {
    uint64_t random;
    unsigned newest_percent; /* how often the last one; else any */
};

static size_t throw_dice(const struct dice *dice, uint64_t thing, size_t n)
{
    uint64_t state = dice->random ^ (thing * 0xd6e8feb86659fd93u);
    if (dice->newest_percent == 0)
        return 0;
    if (crash_below(&state, 100) < dice->newest_percent)
        return n;
    return (size_t)crash_below(&state, n + 1);
}

#define ANY_STATE_PERCENT 100

static struct dice make_dice(uint64_t random)
{
    static const unsigned percent[] = {0, ANY_STATE_PERCENT, 90, 50, 50, 10, 10, 1};
    return (struct dice){.random = random, .newest_percent = percent[random >> 61]};
}

static void copy_piece(unsigned char *bytes, const struct op *op, size_t from, size_t to)
{
    memcpy(bytes + from, op->bytes + (from - (size_t)op->offset), to - from);
}

static void apply_write(unsigned char *bytes, const struct op *op, const struct dice *dice, size_t j,
                        size_t n)
{
    size_t from = (size_t)op->offset, end = from + op->len;
    while (from < end) {
        size_t sector = from / SECTOR, to = (sector + 1) * SECTOR;
        if (to > end)
            to = end;
        if (j <= throw_dice(dice, ((uint64_t)(op->file + 1) << 40) + sector + 1, n))
            copy_piece(bytes, op, from, to);
        from = to;
    }
}

static size_t extent(const struct disk *d, const struct disk_file *f)
{
    size_t most = f->size;
    for (size_t i = 0; i < f->pending_count; i++) {
        const struct op *op = &d->history->ops[f->pending[i]];
        size_t end = (size_t)op->offset + op->len;
        if (end > most)
            most = end;
    }
    return most;
}

/* The file's bytes with what the dice let through of what is pending. */
static unsigned char *file_after(const struct disk *d, const struct disk_file *f, const struct dice *dice,
                                 uint64_t thing, size_t *ret_size)
{
    size_t most = extent(d, f), size = f->size, n = f->pending_count;
    unsigned char *bytes = crash_alloc(NULL, most);
    memset(bytes, 0, most);
    if (f->size)
        memcpy(bytes, f->bytes, f->size);
    size_t size_state = throw_dice(dice, thing << 40, n);
    for (size_t j = 1; j <= n; j++) {
        const struct op *op = &d->history->ops[f->pending[j - 1]];
        size_t end = (size_t)op->offset + op->len;
        if (op->kind == OP_WRITE)
            apply_write(bytes, op, dice, j, n);
        if (j > size_state)
            continue;
        if (op->kind == OP_TRUNCATE && end < size)
            memset(bytes + end, 0, size - end);
        if (op->kind == OP_TRUNCATE || end > size)
            size = end;
    }
    *ret_size = size;
    return bytes;
}

static void sync_file(struct disk *d, struct disk_file *f)
{
    static const struct dice everything = {.newest_percent = ANY_STATE_PERCENT};
    size_t size;
    unsigned char *bytes = file_after(d, f, &everything, 1, &size);
    free(f->bytes);
    f->bytes = bytes;
    f->size = size;
    f->pending_count = 0;
}

static bool ends_with(const char *name, const char *tail)
{
    size_t n = strlen(name), t = strlen(tail);
    return n >= t && strcmp(name + n - t, tail) == 0;
}

/* With synchronous=NORMAL SQLite syncs the WAL after its header was written anew and before a checkpoint
 * writes the database; the sync at each commit is what it leaves out. */
static bool normal_syncs_too(const struct disk *d, size_t at)
{
    const struct op *ops = d->history->ops;
    if (!ends_with(ops[at].name, "-wal"))
        return true;
    for (size_t i = at; i-- > 0;)
        if (ops[i].kind == OP_WRITE && ops[i].file == ops[at].file) {
            if (ops[i].offset == 0 && ops[i].len == WAL_HEADER)
                return true;
            break;
        }
    for (size_t i = at + 1; i < d->history->count; i++) {
        if (ops[i].kind != OP_WRITE && ops[i].kind != OP_SYNC)
            continue;
        if (ends_with(ops[i].name, "-wal"))
            return false;
        if (ends_with(ops[i].name, ".db"))
            return ops[i].kind == OP_WRITE;
    }
    return false;
}

static void remember(size_t **list, size_t *count, size_t *cap, size_t op)
{
    if (*count == *cap) {
        *cap = *cap ? *cap * 2 : 64;
        *list = crash_alloc(*list, *cap * sizeof **list);
    }
    (*list)[(*count)++] = op;
}

static void pend_name(struct disk *d)
{
    remember(&d->pending_names, &d->pending_name_count, &d->pending_name_cap, d->at);
}

const struct op *disk_step(struct disk *d)
{
    if (d->at == d->history->count)
        return NULL;
    const struct op *op = &d->history->ops[d->at];
    switch (op->kind) {
    case OP_WRITE:
    case OP_TRUNCATE:
        remember(&d->files[op->file].pending, &d->files[op->file].pending_count,
                 &d->files[op->file].pending_cap, d->at);
        break;
    case OP_SYNC:
        if (!d->normal || normal_syncs_too(d, d->at))
            sync_file(d, &d->files[op->file]);
        break;
    case OP_CREATE:
        add_file(d, op->inode, NULL, 0);
        pend_name(d);
        break;
    case OP_UNLINK:
    case OP_RENAME:
        pend_name(d);
        break;
    case OP_SYNC_FOLDER:
        for (size_t i = 0; i < d->pending_name_count; i++)
            apply_name(&d->names, &d->history->ops[d->pending_names[i]]);
        d->pending_name_count = 0;
        break;
    case OP_COMMITTED:
    case OP_ACKED:
        break;
    }
    d->at++;
    return op;
}

void disk_cut(const struct disk *d, uint64_t random, struct image *ret)
{
    struct dice dice = make_dice(random);
    struct names names = {.items = crash_alloc(NULL, d->names.count * sizeof *names.items),
                          .count = d->names.count};
    if (names.count)
        memcpy(names.items, d->names.items, names.count * sizeof *names.items);
    size_t done = throw_dice(&dice, UINT64_MAX, d->pending_name_count);
    for (size_t i = 0; i < done; i++)
        apply_name(&names, &d->history->ops[d->pending_names[i]]);
    ret->count = names.count;
    ret->files = crash_alloc(NULL, names.count * sizeof *ret->files);
    for (size_t i = 0; i < names.count; i++) {
        const struct disk_file *f = &d->files[names.items[i].file];
        struct image_file *out = &ret->files[i];
        snprintf(out->name, CRASH_NAME, "%s", names.items[i].name);
        out->inode = f->inode;
        out->bytes = file_after(d, f, &dice, names.items[i].file + 1, &out->size);
    }
    free(names.items);
}
