/* SPDX-License-Identifier: Apache-2.0 */
/* Questions on the terminal: see cmd_init.h. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "cmd_init.h"
#include "text.h"

int init_ask_begin(struct init_ask *a, bool on)
{
    *a = (struct init_ask){.on = on, .signal_fd = -1};
    sigemptyset(&a->signals);
    sigaddset(&a->signals, SIGINT);
    sigaddset(&a->signals, SIGTERM);
    sigaddset(&a->signals, SIGHUP);
    sigaddset(&a->signals, SIGQUIT);
    sigprocmask(SIG_BLOCK, &a->signals, NULL);
    a->signal_fd = signalfd(-1, &a->signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return a->signal_fd >= 0 ? 0 : FG_EIO;
}

void init_ask_end(struct init_ask *a)
{
    if (a->signal_fd >= 0)
        close(a->signal_fd);
    sigprocmask(SIG_UNBLOCK, &a->signals, NULL);
}

bool init_ask_interrupted(struct init_ask *a)
{
    struct signalfd_siginfo info;
    if (read(a->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        a->cancelled = true;
    return a->cancelled;
}

/* One line without its end; INIT_CANCELLED after a signal or the end of the input. A line that is too long is
 * cut: what is done with it will say so. */
static int read_line(struct init_ask *a, char *ret, size_t size)
{
    size_t len = 0;
    for (;;) {
        struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                               {.fd = a->signal_fd, .events = POLLIN}};
        char c;
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            break;
        if (init_ask_interrupted(a))
            return INIT_CANCELLED;
        if (!fds[0].revents)
            continue;
        if (read(STDIN_FILENO, &c, 1) != 1)
            break;
        if (c == '\n') {
            ret[len] = '\0';
            return 0;
        }
        if (len + 1 < size)
            ret[len++] = c;
    }
    a->cancelled = true;
    return INIT_CANCELLED;
}

static void trim(char *text)
{
    size_t skip = strspn(text, " \t\r"), len = strlen(text);
    while (len > skip && strchr(" \t\r", text[len - 1]))
        len--;
    memmove(text, text + skip, len - skip);
    text[len - skip] = '\0';
}

static int answer(struct init_ask *a, char *ret, size_t size)
{
    fflush(stdout);
    int err = read_line(a, ret, size);
    if (err == 0)
        trim(ret);
    else
        printf("\n");
    return err;
}

/* The proposal may be what stood there before. */
static void take(char *ret, size_t size, const char *text)
{
    if (text != ret)
        snprintf(ret, size, "%s", text);
}

int init_ask_text(struct init_ask *a, const char *question, const char *fallback, char *ret, size_t size)
{
    char line[INIT_TEXT_MAX * 4];
    if (!fallback)
        fallback = "";
    if (!a->on) {
        take(ret, size, fallback);
        return 0;
    }
    printf(*fallback ? "%s [%s]: " : "%s: ", question, fallback);
    int err = answer(a, line, sizeof line);
    if (err == 0)
        take(ret, size, line[0] ? line : fallback);
    return err;
}

int init_ask_yes(struct init_ask *a, const char *question, bool fallback)
{
    char line[32];
    while (a->on) {
        printf("%s [%s]: ", question, fallback ? _("Y/n") : _("y/N"));
        int err = answer(a, line, sizeof line);
        if (err < 0)
            return err;
        if (!line[0])
            break;
        if (strchr("yYcC", line[0])) /* yes, có */
            return 1;
        if (strchr("nNkK", line[0])) /* no, không */
            return 0;
    }
    return fallback;
}

int init_ask_secret(struct init_ask *a, const char *question, char *ret, size_t size)
{
    struct termios shown, hidden;
    const bool terminal = tcgetattr(STDIN_FILENO, &shown) == 0;
    if (terminal) {
        hidden = shown;
        hidden.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    }
    printf("%s: ", question);
    fflush(stdout);
    int err = read_line(a, ret, size);
    if (terminal)
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    printf("\n");
    if (err < 0)
        explicit_bzero(ret, size);
    return err;
}
