/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock_step - a wall clock that a test can step for one process, without touching the machine's.
 *
 * Preloaded. The file $FG_CLOCK_STEP holds two int64_t: how many milliseconds the clock is off now, and what
 * the kernel and the machine's time service say of it (enum said). Monotonic clocks are left alone, as they
 * are by a real step.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

enum said { SAID_AS_IT_IS, SAID_UNKNOWN, SAID_SET };

struct hand {
    int64_t off_ms, said;
};

static int (*real_gettime)(clockid_t, struct timespec *);
static int (*real_access)(const char *, int);
static const volatile struct hand *hand;

__attribute__((constructor)) static void find(void)
{
    *(void **)&real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    *(void **)&real_access = dlsym(RTLD_NEXT, "access");
    int fd = open(getenv("FG_CLOCK_STEP"), O_RDONLY | O_CLOEXEC);
    void *map = mmap(NULL, sizeof *hand, PROT_READ, MAP_SHARED, fd, 0);
    if (real_gettime == NULL || real_access == NULL || fd < 0 || map == MAP_FAILED)
        abort();
    close(fd);
    hand = map;
}

int clock_gettime(clockid_t id, struct timespec *ret)
{
    if (real_gettime == NULL)
        find(); /* another library's constructor asks before ours ran */
    int rc = real_gettime(id, ret);
    if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        int64_t ns = ret->tv_sec * INT64_C(1000000000) + ret->tv_nsec + hand->off_ms * 1000000;
        ret->tv_sec = ns / 1000000000;
        ret->tv_nsec = ns % 1000000000;
    }
    return rc;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
    (void)zone;
    struct timespec t;
    int rc = clock_gettime(CLOCK_REALTIME, &t);
    ret->tv_sec = t.tv_sec;
    ret->tv_usec = t.tv_nsec / 1000;
    return rc;
}

time_t time(time_t *ret)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (ret != NULL)
        *ret = t.tv_sec;
    return t.tv_sec;
}

int adjtimex(struct timex *t)
{
    int (*real)(struct timex *);
    if (hand->said == SAID_AS_IT_IS) {
        *(void **)&real = dlsym(RTLD_NEXT, "adjtimex");
        return real(t);
    }
    memset(t, 0, sizeof *t);
    t->status = hand->said == SAID_SET ? STA_PLL : STA_UNSYNC;
    return hand->said == SAID_SET ? TIME_OK : TIME_ERROR;
}

/* The time service leaves a file when it has set the clock. */
int access(const char *path, int mode)
{
    if (real_access == NULL)
        find();
    if (hand->said == SAID_UNKNOWN && strcmp(path, "/run/systemd/timesync/synchronized") == 0) {
        errno = ENOENT;
        return -1;
    }
    return real_access(path, mode);
}
