/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolver - a name server that a test can make hang for one process, name by name.
 *
 * Preloaded. A name for which the folder $FG_RESOLVER has a file NAME is 127.0.0.1; while there is a file
 * NAME.hangs, no answer comes, and each question that waits for one leaves a byte in NAME.waited. The first
 * answer makes NAME.hangs of NAME.once. Other names are libc's.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static bool path_of(const char *name, const char *ending, char ret[PATH_MAX])
{
    int n = snprintf(ret, PATH_MAX, "%s/%s%s", getenv("FG_RESOLVER"), name, ending);
    return n > 0 && n < PATH_MAX;
}

static bool exists(const char *name, const char *ending)
{
    char path[PATH_MAX];
    return path_of(name, ending, path) && access(path, F_OK) == 0;
}

static void note_waiting(const char *name)
{
    char path[PATH_MAX];
    int fd =
        path_of(name, ".waited", path) ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (fd < 0 || write(fd, ".", 1) != 1)
        abort();
    close(fd);
}

static void hang_from_now(const char *name)
{
    char once[PATH_MAX], hangs[PATH_MAX];
    if (path_of(name, ".once", once) && path_of(name, ".hangs", hangs))
        (void)rename(once, hangs); /* there may be none */
}

int getaddrinfo(const char *name, const char *port, const struct addrinfo *hints, struct addrinfo **ret)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (name == NULL || name[0] == 0 || !exists(name, ""))
        return real(name, port, hints, ret);
    if (exists(name, ".hangs"))
        note_waiting(name);
    while (exists(name, ".hangs"))
        nanosleep(&pause, NULL);
    hang_from_now(name);
    return real("127.0.0.1", port, hints, ret);
}
