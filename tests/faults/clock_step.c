/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock_step - a wall clock that a test can step for one process, without touching the machine's.
 *
 * Preloaded. The file $FG_CLOCK_STEP holds one int64_t: how many milliseconds the clock is off now. Monotonic
 * clocks are left alone, as they are by a real step.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int (*real_gettime)(clockid_t, struct timespec *);
static const volatile int64_t *off_ms;

__attribute__((constructor)) static void find(void)
{
    *(void **)&real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    int fd = open(getenv("FG_CLOCK_STEP"), O_RDONLY | O_CLOEXEC);
    void *map = mmap(NULL, sizeof *off_ms, PROT_READ, MAP_SHARED, fd, 0);
    if (real_gettime == NULL || fd < 0 || map == MAP_FAILED)
        abort();
    close(fd);
    off_ms = map;
}

int clock_gettime(clockid_t id, struct timespec *ret)
{
    if (real_gettime == NULL)
        find(); /* another library's constructor asks before ours ran */
    int rc = real_gettime(id, ret);
    if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        int64_t ns = ret->tv_sec * INT64_C(1000000000) + ret->tv_nsec + *off_ms * 1000000;
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
