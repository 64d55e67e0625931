/* SPDX-License-Identifier: Apache-2.0 */
#include "crash_shim.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DESCRIPTORS 1024
#define NO_FILE (-1)
#define THE_FOLDER (-2)

struct live_file {
    uint64_t real_inode; /* 0: it has no name any more */
    char name[CRASH_NAME];
};

struct lent {
    uint64_t real, inode;
};

/* State of the process, as the C library's own is: calls of the C library have no place for a context. */
static struct {
    pthread_mutex_t lock;
    bool on;
    char folder[192];
    struct history *history;
    struct live_file *files;
    unsigned file_count;
    int file_of[DESCRIPTORS];
    struct lent *lent;
    size_t lent_count;
    uint64_t inodes; /* given to files so far */
} shim = {.lock = PTHREAD_MUTEX_INITIALIZER, .inodes = 1000};

static _Atomic int64_t skipped_ms;

static struct {
    int (*open)(const char *, int, ...);
    int (*close)(int);
    ssize_t (*write)(int, const void *, size_t);
    ssize_t (*pwrite)(int, const void *, size_t, off_t);
    int (*ftruncate)(int, off_t);
    int (*fsync)(int);
    int (*fdatasync)(int);
    int (*unlink)(const char *);
    int (*rename)(const char *, const char *);
} real;

static void find(const char *name, void *ret)
{
    void *p = dlsym(RTLD_NEXT, name);
    if (!p)
        abort();
    memcpy(ret, &p, sizeof p);
}

__attribute__((constructor)) static void find_all(void)
{
    find("open", &real.open);
    find("close", &real.close);
    find("write", &real.write);
    find("pwrite", &real.pwrite);
    find("ftruncate", &real.ftruncate);
    find("fsync", &real.fsync);
    find("fdatasync", &real.fdatasync);
    find("unlink", &real.unlink);
    find("rename", &real.rename);
}

static void cannot(const char *what)
{
    fprintf(stderr, "crash_shim: %s is not modelled\n", what);
    abort();
}

/* ---- which file ---- */

/* The name inside the folder; NULL: not there, or of no interest. */
static const char *name_of(const char *path)
{
    size_t n = strlen(shim.folder);
    if (!shim.on || strncmp(path, shim.folder, n) != 0 || path[n] != '/')
        return NULL;
    const char *name = path + n + 1, *dash = strrchr(name, '-');
    if (strlen(name) >= CRASH_NAME)
        cannot(name);
    return dash && (strcmp(dash, "-shm") == 0 || strcmp(dash, "-lock") == 0) ? NULL : name;
}

static uint64_t inode_of(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 ? (uint64_t)st.st_ino : 0;
}

static int file_with(uint64_t inode)
{
    for (unsigned i = 0; i < shim.file_count; i++)
        if (shim.files[i].real_inode == inode)
            return (int)i;
    return NO_FILE;
}

static int file_named(const char *name)
{
    for (unsigned i = 0; i < shim.file_count; i++)
        if (shim.files[i].real_inode && strcmp(shim.files[i].name, name) == 0)
            return (int)i;
    return NO_FILE;
}

static void lend(uint64_t real_inode, uint64_t inode)
{
    for (size_t i = 0; i < shim.lent_count; i++)
        if (shim.lent[i].real == real_inode) {
            shim.lent[i].inode = inode;
            return;
        }
    shim.lent = crash_alloc(shim.lent, (shim.lent_count + 1) * sizeof *shim.lent);
    shim.lent[shim.lent_count++] = (struct lent){.real = real_inode, .inode = inode};
}

static unsigned add_file(uint64_t real_inode, const char *name)
{
    shim.files = crash_alloc(shim.files, (shim.file_count + 1) * sizeof *shim.files);
    struct live_file *f = &shim.files[shim.file_count];
    f->real_inode = real_inode;
    snprintf(f->name, sizeof f->name, "%s", name);
    return shim.file_count++;
}

static int file_of(int fd)
{
    return shim.on && fd >= 0 && fd < DESCRIPTORS ? shim.file_of[fd] : NO_FILE;
}

static struct op *note(enum op_kind kind, int file)
{
    struct op *op = history_add(shim.history, kind);
    op->file = (unsigned)file;
    snprintf(op->name, sizeof op->name, "%s", shim.files[file].name);
    return op;
}

static void note_write(int file, const void *bytes, size_t len, int64_t offset)
{
    struct op *op = note(OP_WRITE, file);
    op->offset = offset;
    op->len = len;
    op->bytes = crash_alloc(NULL, len);
    memcpy(op->bytes, bytes, len);
}

/* ---- what stands in for the C library ---- */

static void opened(const char *path, int flags, int fd)
{
    if (fd < 0 || fd >= DESCRIPTORS)
        return;
    shim.file_of[fd] = shim.on && strcmp(path, shim.folder) == 0 ? THE_FOLDER : NO_FILE;
    const char *name = name_of(path);
    if (!name)
        return;
    uint64_t inode = inode_of(path);
    int file = file_with(inode);
    if (file == NO_FILE) {
        file = (int)add_file(inode, name);
        struct op *op = note(OP_CREATE, file);
        op->inode = ++shim.inodes;
        lend(inode, op->inode);
    } else if (flags & O_TRUNC) {
        note(OP_TRUNCATE, file);
    }
    shim.file_of[fd] = file;
}

int shim_open(const char *path, int flags, ...) __asm__("open");
int shim_open64(const char *path, int flags, ...) __asm__("open64");
int shim_close(int fd) __asm__("close");
ssize_t shim_write(int fd, const void *bytes, size_t len) __asm__("write");
ssize_t shim_pwrite(int fd, const void *bytes, size_t len, off_t offset) __asm__("pwrite");
ssize_t shim_pwrite64(int fd, const void *bytes, size_t len, off_t offset) __asm__("pwrite64");
int shim_ftruncate(int fd, off_t size) __asm__("ftruncate");
int shim_ftruncate64(int fd, off_t size) __asm__("ftruncate64");
int shim_fsync(int fd) __asm__("fsync");
int shim_fdatasync(int fd) __asm__("fdatasync");
int shim_unlink(const char *path) __asm__("unlink");
int shim_rename(const char *from, const char *to) __asm__("rename");

static int open_and_note(const char *path, int flags, mode_t mode)
{
    pthread_mutex_lock(&shim.lock);
    int fd = real.open(path, flags, mode);
    opened(path, flags, fd);
    pthread_mutex_unlock(&shim.lock);
    return fd;
}

int shim_open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    return open_and_note(path, flags, mode);
}

int shim_open64(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    return open_and_note(path, flags, mode);
}

int shim_close(int fd)
{
    pthread_mutex_lock(&shim.lock);
    if (fd >= 0 && fd < DESCRIPTORS)
        shim.file_of[fd] = NO_FILE;
    int result = real.close(fd);
    pthread_mutex_unlock(&shim.lock);
    return result;
}

ssize_t shim_write(int fd, const void *bytes, size_t len)
{
    int file = file_of(fd);
    if (file < 0)
        return real.write(fd, bytes, len);
    pthread_mutex_lock(&shim.lock);
    off_t at = lseek(fd, 0, SEEK_CUR);
    ssize_t n = real.write(fd, bytes, len);
    if (n > 0)
        note_write(file, bytes, (size_t)n, at);
    pthread_mutex_unlock(&shim.lock);
    return n;
}

ssize_t shim_pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    int file = file_of(fd);
    if (file < 0)
        return real.pwrite(fd, bytes, len, offset);
    pthread_mutex_lock(&shim.lock);
    ssize_t n = real.pwrite(fd, bytes, len, offset);
    if (n > 0)
        note_write(file, bytes, (size_t)n, offset);
    pthread_mutex_unlock(&shim.lock);
    return n;
}

ssize_t shim_pwrite64(int fd, const void *bytes, size_t len, off_t offset)
{
    return shim_pwrite(fd, bytes, len, offset);
}

int shim_ftruncate(int fd, off_t size)
{
    int file = file_of(fd);
    if (file < 0)
        return real.ftruncate(fd, size);
    pthread_mutex_lock(&shim.lock);
    int result = real.ftruncate(fd, size);
    if (result == 0)
        note(OP_TRUNCATE, file)->offset = size;
    pthread_mutex_unlock(&shim.lock);
    return result;
}

int shim_ftruncate64(int fd, off_t size)
{
    return shim_ftruncate(fd, size);
}

static void note_sync(int fd)
{
    int file = file_of(fd);
    pthread_mutex_lock(&shim.lock);
    if (file >= 0)
        note(OP_SYNC, file);
    else if (file == THE_FOLDER)
        history_add(shim.history, OP_SYNC_FOLDER);
    pthread_mutex_unlock(&shim.lock);
}

int shim_fsync(int fd)
{
    if (file_of(fd) == NO_FILE)
        return real.fsync(fd);
    note_sync(fd); /* only in the model: the real disk need not wait */
    return 0;
}

int shim_fdatasync(int fd)
{
    if (file_of(fd) == NO_FILE)
        return real.fdatasync(fd);
    note_sync(fd);
    return 0;
}

int shim_unlink(const char *path)
{
    pthread_mutex_lock(&shim.lock);
    const char *name = name_of(path);
    int result = real.unlink(path);
    int file = name && result == 0 ? file_named(name) : NO_FILE;
    if (file != NO_FILE) {
        note(OP_UNLINK, file);
        shim.files[file].real_inode = 0;
    }
    pthread_mutex_unlock(&shim.lock);
    return result;
}

int shim_rename(const char *from, const char *to)
{
    pthread_mutex_lock(&shim.lock);
    const char *old = name_of(from), *new = name_of(to);
    int result = real.rename(from, to);
    if (result == 0 && old && new) {
        int replaced = file_named(new), file = file_named(old);
        struct op *op = note(OP_RENAME, file);
        snprintf(op->to, sizeof op->to, "%s", new);
        if (replaced != NO_FILE)
            shim.files[replaced].real_inode = 0;
        snprintf(shim.files[file].name, CRASH_NAME, "%s", new);
    } else if (result == 0 && (old || new)) {
        cannot("a rename across folders");
    }
    pthread_mutex_unlock(&shim.lock);
    return result;
}

/* ---- only for the store (ld --wrap): SQLite must see the true inode ---- */

int __real_stat(const char *path, struct stat *st);
int __wrap_stat(const char *path, struct stat *st);
int64_t __real_clock_mono_ms(void);
int64_t __wrap_clock_mono_ms(void);

int __wrap_stat(const char *path, struct stat *st)
{
    int result = __real_stat(path, st);
    pthread_mutex_lock(&shim.lock);
    for (size_t i = 0; result == 0 && i < shim.lent_count; i++)
        if (shim.lent[i].real == st->st_ino) {
            st->st_ino = (ino_t)shim.lent[i].inode;
            break;
        }
    pthread_mutex_unlock(&shim.lock);
    return result;
}

int64_t __wrap_clock_mono_ms(void)
{
    return __real_clock_mono_ms() + skipped_ms;
}

void shim_skip_time(int64_t ms)
{
    skipped_ms += ms;
}

/* ---- for the test ---- */

void shim_lend_inodes(const char *folder, const struct image *i)
{
    char path[256];
    shim.lent_count = 0;
    for (size_t n = 0; n < i->count; n++) {
        snprintf(path, sizeof path, "%s/%s", folder, i->files[n].name);
        lend(inode_of(path), i->files[n].inode);
    }
}

void shim_begin(const char *folder, const struct image *start, struct history *h)
{
    char path[256];
    snprintf(shim.folder, sizeof shim.folder, "%s", folder);
    shim.history = h;
    shim.file_count = 0;
    shim_lend_inodes(folder, start);
    for (size_t i = 0; i < start->count; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, start->files[i].name);
        add_file(inode_of(path), start->files[i].name);
    }
    for (int fd = 0; fd < DESCRIPTORS; fd++)
        shim.file_of[fd] = NO_FILE;
    shim.on = true;
}

void shim_end(void)
{
    shim.on = false;
    free(shim.files);
    shim.files = NULL;
    shim.file_count = 0;
}

void shim_committed(uint64_t last)
{
    pthread_mutex_lock(&shim.lock);
    history_add(shim.history, OP_COMMITTED)->last = last;
    pthread_mutex_unlock(&shim.lock);
}

void shim_acked(size_t uplink, uint64_t first, uint64_t last)
{
    pthread_mutex_lock(&shim.lock);
    struct op *op = history_add(shim.history, OP_ACKED);
    op->uplink = uplink;
    op->first = first;
    op->last = last;
    pthread_mutex_unlock(&shim.lock);
}
