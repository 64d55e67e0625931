/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_error - a disk that answers one process with errors for a while, without a file system that a test
 * would have to be allowed to mount.
 *
 * Preloaded. The file $FG_DISK_ERROR holds an int64_t: the errno of whatever would change a file below the
 * folder $FG_DISK_FOLDER, or make sure of one; 0: all is well. What is there can still be read, as it can on
 * a card whose cells no longer take anything and on a file system that the kernel has made read-only. The
 * int64_t behind it counts what was refused.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct hand {
    int64_t error;
    _Atomic int64_t refused;
};

static struct hand *volatile hand;

static void find(void)
{
    int (*real)(const char *, int, ...);
    *(void **)&real = dlsym(RTLD_NEXT, "open");
    int fd = real(getenv("FG_DISK_ERROR"), O_RDWR | O_CLOEXEC);
    void *map = mmap(NULL, sizeof *hand, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd < 0 || map == MAP_FAILED)
        abort();
    close(fd);
    hand = map;
}

/* Another library's constructor may ask before ours ran. */
__attribute__((constructor)) static void find_early(void)
{
    if (hand == NULL)
        find();
}

static bool refuse(void)
{
    atomic_fetch_add(&hand->refused, 1);
    errno = (int)*(volatile int64_t *)&hand->error;
    return true;
}

static bool fails(void)
{
    find_early();
    return *(volatile int64_t *)&hand->error != 0;
}

static bool is_below(const char *path)
{
    const char *folder = getenv("FG_DISK_FOLDER");
    return strncmp(path, folder, strlen(folder)) == 0;
}

static bool refuses_path(const char *path)
{
    return fails() && is_below(path) && refuse();
}

static bool refuses(int fd)
{
    char name[32], path[PATH_MAX] = "";
    if (!fails())
        return false;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    return readlink(name, path, sizeof path - 1) > 0 && is_below(path) && refuse();
}

/* A file that is there can be opened on a broken disk, but not for writing where nothing may be written. */
static bool refuses_open(const char *path, int flags)
{
    if ((flags & O_ACCMODE) == O_RDONLY || !fails() || !is_below(path))
        return false;
    bool makes = (flags & O_TRUNC) || ((flags & O_CREAT) && access(path, F_OK) != 0);
    return (makes || hand->error == EROFS) && refuse();
}

#define REAL(name, type, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))

#define OPEN(name)                                                                                           \
    int name(const char *path, int flags, ...)                                                               \
    {                                                                                                        \
        va_list more;                                                                                        \
        va_start(more, flags);                                                                               \
        mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;                                            \
        va_end(more);                                                                                        \
        return refuses_open(path, flags) ? -1 : REAL(name, int, const char *, int, ...)(path, flags, mode);  \
    }
OPEN(open)
OPEN(open64)

#define PWRITE(name)                                                                                         \
    ssize_t name(int fd, const void *data, size_t len, off_t at)                                             \
    {                                                                                                        \
        return refuses(fd) ? -1 : REAL(name, ssize_t, int, const void *, size_t, off_t)(fd, data, len, at);  \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define TRUNCATE(name)                                                                                       \
    int name(int fd, off_t len)                                                                              \
    {                                                                                                        \
        return refuses(fd) ? -1 : REAL(name, int, int, off_t)(fd, len);                                      \
    }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

#define SYNC(name)                                                                                           \
    int name(int fd)                                                                                         \
    {                                                                                                        \
        return refuses(fd) ? -1 : REAL(name, int, int)(fd);                                                  \
    }
SYNC(fsync)
SYNC(fdatasync)

ssize_t write(int fd, const void *data, size_t len)
{
    return refuses(fd) ? -1 : REAL(write, ssize_t, int, const void *, size_t)(fd, data, len);
}

int unlink(const char *path)
{
    return refuses_path(path) ? -1 : REAL(unlink, int, const char *)(path);
}

int rename(const char *from, const char *to)
{
    return refuses_path(to) ? -1 : REAL(rename, int, const char *, const char *)(from, to);
}
