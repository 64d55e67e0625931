/* SPDX-License-Identifier: Apache-2.0 */
/*
 * broker - a private mosquitto on a free loopback port, for unit tests.
 *
 * Threads    The test's own.
 * Ownership  broker_start() makes a folder and a process, broker_stop() ends and removes both. broker_kill()
 * ends the process only; broker_again() starts it anew on the same port and with the same configuration.
 * Errors     Abort the test.
 */
#ifndef FG_TEST_BROKER_H
#define FG_TEST_BROKER_H

#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#define BROKER_PROGRAM "/usr/sbin/mosquitto"

struct broker {
    pid_t pid; /* 0: not running */
    int port;
    char dir[64];
};

static inline void broker_die(const char *what)
{
    fprintf(stderr, "broker: %s: %s\n", what, strerror(errno));
    abort();
}

static inline struct sockaddr_in broker_address(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

/* Takes a port for this process, among all tests that take theirs like this: a name in the kernel stands for
 * it, and is gone with the process. */
static inline bool broker_take_port(int port)
{
    struct sockaddr_in a = broker_address(port);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int held = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int len = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "fieldgate-test-port-%d", port) + 1;
    bool mine = held >= 0 && probe >= 0 &&
                bind(held, (struct sockaddr *)&name,
                     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len)) == 0 &&
                bind(probe, (struct sockaddr *)&a, sizeof(a)) == 0;

    close(probe);
    if (!mine && held >= 0)
        close(held);
    return mine;
}

/* A port that is nobody else's to the end of this process, so that a broker can come back to it. It lies
 * below the range the kernel hands out for outgoing connections. */
static inline int broker_free_port(void)
{
    unsigned from = (unsigned)getpid() * 7919u;

    for (unsigned i = 0; i < 12000; i++) {
        int port = 20000 + (int)((from + i) % 12000u);
        if (broker_take_port(port))
            return port;
    }
    broker_die("no free port between 20000 and 32000");
    return 0;
}

static inline bool broker_listens(int port)
{
    struct sockaddr_in a = broker_address(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool yes = fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;

    if (fd >= 0)
        close(fd);
    return yes;
}

static inline void broker_path(const struct broker *b, const char *name, char *ret, size_t size)
{
    snprintf(ret, size, "%s/%s", b->dir, name);
}

/* Writes a file into the broker's folder. */
static inline void broker_file(const struct broker *b, const char *name, const char *content)
{
    char path[160];

    broker_path(b, name, path, sizeof(path));
    FILE *f = fopen(path, "w");
    if (f == NULL || fputs(content, f) < 0 || fclose(f) != 0)
        broker_die(path);
    chmod(path, 0700); /* mosquitto grumbles about readable password files */
}

static inline void broker_again(struct broker *b)
{
    char conf[160], log[160];
    const struct timespec pause = {0, 5000000};

    broker_path(b, "mosquitto.conf", conf, sizeof(conf));
    broker_path(b, "log", log, sizeof(log));
    b->pid = fork();
    if (b->pid < 0)
        broker_die("fork");
    if (b->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves nothing behind */
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(fd, 1);
        dup2(fd, 2);
        execl(BROKER_PROGRAM, "mosquitto", "-v", "-c", conf, (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 2000; i++) { /* 10 s; it takes about 20 ms */
        if (broker_listens(b->port))
            return;
        if (waitpid(b->pid, NULL, WNOHANG) == b->pid)
            broker_die("mosquitto ended at once; see the log in its folder");
        nanosleep(&pause, NULL);
    }
    broker_die("mosquitto does not listen");
}

/* Makes folder and port, so that files can be written before broker_run(). */
static inline void broker_prepare(struct broker *b)
{
    memset(b, 0, sizeof(*b));
    unit_folder(b->dir);
    b->port = broker_free_port();
}

/* config: lines for its listener, such as "allow_anonymous true\n". */
static inline void broker_run(struct broker *b, const char *config)
{
    char text[4096];

    snprintf(text, sizeof(text),
             "user root\npersistence false\nset_tcp_nodelay true\nlistener %d 127.0.0.1\n%s", b->port,
             config);
    broker_file(b, "mosquitto.conf", text);
    broker_again(b);
}

static inline void broker_start(struct broker *b, const char *config)
{
    broker_prepare(b);
    broker_run(b, config);
}

static inline void broker_end(struct broker *b, int sig)
{
    if (b->pid > 0) {
        kill(b->pid, sig);
        waitpid(b->pid, NULL, 0);
    }
    b->pid = 0;
}

static inline void broker_kill(struct broker *b)
{
    broker_end(b, SIGKILL);
}

static inline void broker_stop(struct broker *b)
{
    broker_end(b, SIGKILL);
    unit_remove_folder(b->dir);
}

#endif
