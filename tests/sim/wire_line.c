/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire_line - an RS-485 line on a pseudo terminal that takes the time a real one takes.
 *
 *     wire_line --link PATH [--baud 9600] [--format 8N1] [--units 1-10] [--registers 20]
 * [--trace FILE]
 *
 * What the master writes reaches the units one character time after another, and their answers reach the
 * master the same way. A question ends with 3.5 characters of silence (1.75 ms above 19200); one that begins
 * sooner than that after the last character on the line is ignored, as strict units do, and counted. Whoever
 * talks while somebody else does spoils both. A port that is not set to the line's speed hears and says
 * nothing.
 *
 * "noise 11" spoils every eleventh answer, whoever gives it: in turns its check sum, and by stray bytes
 * before it.
 *
 * A unit answers in order: what is late holds back the answers after it. --trace writes a line for every
 * frame.
 *
 * Orders on stdin, answers on stdout: those of unit_table.h, and "strict on|off", "echo on|off", "noise 11",
 * "stats", "book", "times", "quit". The end of stdin ends the program.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "orders.h"
#include "unit_table.h"

#define FRAME_MAX 256
#define REPLIES_MAX 32
#define STRAY 3 /* bytes */

/* An answer that waits for its time, or is being sent. */
struct reply {
    bool used, talking, spoiled;
    int64_t start_ns;
    size_t len, sent;
    uint8_t bytes[STRAY + FRAME_MAX];
    struct unit_answer answer;
};

/* What the master is sending. */
struct question {
    bool open, early, spoiled;
    int64_t start_ns, end_ns;
    size_t len, echoed;
    uint8_t bytes[FRAME_MAX];
};

struct counts {
    uint64_t requests; /* begun by the master, whatever became of them */
    uint64_t early, collisions, torn, bad, wrong_speed;
    int64_t busy_ns, lag_max_ns;
    int64_t gap_min_ns, gap_sum_ns; /* gaps after answers only, for the mean */
    uint64_t gaps;
};

struct line {
    struct unit_table table;
    int master, slave; /* our ends of the pseudo terminal; the other is kept open against hang-ups */
    int baud;
    speed_t speed;
    bool parity, two_stop_bits, strict, echo, realtime;
    int64_t char_ns, silence_ns;
    FILE *trace;
    int64_t unit_free_ns[256]; /* before which no unit begins another answer */
    int64_t quiet_at_ns;       /* end of the last character on the line */
    bool answered_last;        /* that character was an answer's */
    unsigned noise_every, replies_made;
    struct question question;
    struct reply replies[REPLIES_MAX];
    struct counts counts;
    struct orders orders;
    bool quit;
};

static void trace(const struct line *l, int64_t at_ns, const char *what, const uint8_t *bytes, size_t len,
                  const char *remark)
{
    if (!l->trace)
        return;
    fprintf(l->trace, "%12.3f ms %-8s", (double)at_ns / 1e6, what);
    for (size_t i = 0; i < len; i++)
        fprintf(l->trace, " %02x", bytes[i]);
    fprintf(l->trace, "%s\n", remark);
}

/* ---- to the master ---- */

static void give(const struct line *l, const uint8_t *bytes, size_t len)
{
    /* A master that does not read loses what does not fit, as on a real port. */
    ssize_t n = write(l->master, bytes, len);
    (void)n;
}

static void feed_echo(struct line *l, int64_t now)
{
    struct question *q = &l->question;
    if (!l->echo || !q->open)
        return;
    size_t due = (size_t)((now - q->start_ns) / l->char_ns);
    due = due < q->len ? due : q->len;
    if (due > q->echoed) {
        give(l, q->bytes + q->echoed, due - q->echoed);
        q->echoed = due;
    }
}

/* ---- the units ---- */

/* Somebody else has begun to talk: what is being sent is spoiled from here on. */
static void collide(struct line *l)
{
    for (int i = 0; i < REPLIES_MAX; i++) {
        struct reply *r = &l->replies[i];
        if (r->used && r->talking)
            r->spoiled = true;
    }
    l->counts.collisions++;
}

static void begin_reply(struct line *l, struct reply *r, int64_t now)
{
    bool busy = l->question.open && now < l->question.end_ns;
    l->question.spoiled |= busy;
    for (int i = 0; i < REPLIES_MAX; i++)
        busy |= l->replies[i].used && l->replies[i].talking;
    if (busy) {
        collide(l);
        r->spoiled = true;
    }
    r->talking = true;
}

static void feed_reply(struct line *l, struct reply *r, int64_t now)
{
    if (!r->talking && now < r->start_ns)
        return;
    if (!r->talking)
        begin_reply(l, r, now);
    size_t due = (size_t)((now - r->start_ns) / l->char_ns);
    due = due < r->len ? due : r->len;
    if (due > r->sent) {
        uint8_t bytes[sizeof r->bytes];
        size_t n = due - r->sent;
        for (size_t i = 0; i < n; i++)
            bytes[i] = (uint8_t)(r->bytes[r->sent + i] ^ (r->spoiled ? 0xA5 : 0));
        int64_t lag = now - r->start_ns - (int64_t)due * l->char_ns;
        l->counts.lag_max_ns = lag > l->counts.lag_max_ns ? lag : l->counts.lag_max_ns;
        l->counts.busy_ns += (int64_t)n * l->char_ns;
        /* Before the write: from when on the master may know of it. */
        l->quiet_at_ns = unit_table_now_ns();
        l->answered_last = true;
        give(l, bytes, n);
        r->sent = due;
    }
    if (r->sent == r->len) {
        if (r->spoiled)
            r->answer.fault = UNIT_FAULT_COLLIDED;
        trace(l, now, "answer", r->bytes, r->len, r->spoiled ? " spoiled" : "");
        unit_table_settle(&l->table, &r->answer);
        r->used = false;
    }
}

/* Electric noise spoils every so many answers, whoever gives them. */
static void disturb(struct line *l, struct reply *r)
{
    static const uint8_t stray[STRAY] = {0x00, 0xFF, 0x7E};
    l->replies_made++;
    if (l->noise_every == 0 || l->replies_made % l->noise_every != 0)
        return;
    if (l->replies_made / l->noise_every % 2) {
        r->bytes[r->len - 1] ^= 0x55;
        r->answer.fault = UNIT_FAULT_GARBLED;
        return;
    }
    memmove(r->bytes + STRAY, r->bytes, r->len);
    memcpy(r->bytes, stray, STRAY);
    r->len += STRAY;
    r->answer.fault = UNIT_FAULT_NOISY;
}

static void plan_reply(struct line *l, const struct unit_answer *a)
{
    struct reply *r = l->replies;
    while (r < l->replies + REPLIES_MAX && r->used)
        r++;
    if (r == l->replies + REPLIES_MAX)
        return; /* nobody has so many late units */
    *r = (struct reply){.used = true, .answer = *a, .len = a->len + 3};
    r->bytes[0] = (uint8_t)a->unit;
    memcpy(r->bytes + 1, a->pdu, a->len);
    unsigned crc = unit_table_crc(r->bytes, a->len + 1);
    if (a->fault == UNIT_FAULT_GARBLED)
        crc ^= 0x5500;
    r->bytes[a->len + 1] = (uint8_t)(crc & 0xFF);
    r->bytes[a->len + 2] = (uint8_t)(crc >> 8);
    disturb(l, r);
    int64_t *in_order = &l->unit_free_ns[a->unit & 255];
    r->start_ns = l->question.end_ns + (a->delay_ns > l->silence_ns ? a->delay_ns : l->silence_ns);
    if (r->start_ns < *in_order)
        r->start_ns = *in_order;
    *in_order = r->start_ns + (int64_t)r->len * l->char_ns + l->silence_ns;
}

static bool speed_is_right(const struct line *l)
{
    struct termios t;
    return tcgetattr(l->slave, &t) == 0 && cfgetospeed(&t) == l->speed &&
           (l->parity || ((t.c_cflag & CSTOPB) != 0) == l->two_stop_bits);
}

/* The silence after the master's last character has lasted long enough: the units look at the frame. */
static void finish_question(struct line *l)
{
    struct question *q = &l->question;
    struct unit_answer a;
    q->open = false;
    trace(l, q->end_ns, "question", q->bytes, q->len < FRAME_MAX ? q->len : FRAME_MAX,
          q->early     ? " early"
          : q->spoiled ? " spoiled"
                       : "");
    if (!speed_is_right(l)) {
        l->counts.wrong_speed++;
    } else if (q->early && l->strict) {
        return; /* to them it is the tail of the frame before */
    } else if (q->spoiled || q->len < 4 || q->len > FRAME_MAX || unit_table_crc(q->bytes, q->len) != 0) {
        l->counts.bad++;
    } else if (unit_table_answer(&l->table, q->bytes[0], q->bytes + 1, q->len - 3, &a)) {
        if (a.fault == UNIT_FAULT_DROPPED)
            unit_table_settle(&l->table, &a);
        else
            plan_reply(l, &a);
    }
}

/* ---- from the master ---- */

static void begin_question(struct line *l, int64_t now)
{
    struct question *q = &l->question;
    struct counts *c = &l->counts;
    *q = (struct question){.open = true, .start_ns = now, .end_ns = now};
    c->requests++;
    bool busy = false;
    for (int i = 0; i < REPLIES_MAX; i++)
        busy |= l->replies[i].used && l->replies[i].talking;
    if (busy) {
        collide(l);
        q->spoiled = true;
        return;
    }
    if (l->quiet_at_ns == 0)
        return;
    int64_t gap = now - l->quiet_at_ns;
    if (c->gap_min_ns == 0 || gap < c->gap_min_ns)
        c->gap_min_ns = gap;
    if (l->answered_last) {
        c->gap_sum_ns += gap;
        c->gaps++;
    }
    q->early = gap < l->silence_ns;
    c->early += q->early;
}

static void take_bytes(struct line *l)
{
    uint8_t bytes[FRAME_MAX];
    struct question *q = &l->question;
    ssize_t n = read(l->master, bytes, sizeof bytes);
    int64_t now = unit_table_now_ns();
    if (n <= 0)
        return;
    if (q->open && now >= q->end_ns + l->silence_ns)
        finish_question(l);
    if (!q->open) {
        begin_question(l, now);
    } else if (now > q->end_ns + l->char_ns * 3 / 2) {
        l->counts.torn++;
        q->spoiled = true;
    }
    for (ssize_t i = 0; i < n; i++, q->len++)
        if (q->len < FRAME_MAX)
            q->bytes[q->len] = bytes[i];
    if (now > q->end_ns)
        q->end_ns = now;
    q->end_ns += n * l->char_ns;
    l->counts.busy_ns += n * l->char_ns;
    l->quiet_at_ns = q->end_ns;
    l->answered_last = false;
}

/* ---- time ---- */

static void run_line(struct line *l, int64_t now)
{
    feed_echo(l, now);
    if (l->question.open && now >= l->question.end_ns + l->silence_ns)
        finish_question(l);
    for (int i = 0; i < REPLIES_MAX; i++)
        if (l->replies[i].used)
            feed_reply(l, &l->replies[i], now);
}

static int64_t next_event(const struct line *l, int64_t now)
{
    const struct question *q = &l->question;
    int64_t next = now + NS_PER_S;
    if (q->open) {
        next = q->end_ns + l->silence_ns;
        if (l->echo && q->echoed < q->len)
            next = q->start_ns + (int64_t)(q->echoed + 1) * l->char_ns;
    }
    for (int i = 0; i < REPLIES_MAX; i++) {
        const struct reply *r = &l->replies[i];
        int64_t due = r->start_ns + (r->talking ? (int64_t)(r->sent + 1) * l->char_ns : 0);
        if (r->used && due < next)
            next = due;
    }
    return next;
}

/* ---- orders ---- */

static void print_stats(const struct line *l)
{
    const struct counts *c = &l->counts;
    double span = (double)(unit_table_now_ns() - l->table.since_ns);
    printf("{\"requests\": %llu, \"early\": %llu, \"collisions\": %llu, \"torn\": %llu, \"bad\": %llu, "
           "\"wrong_speed\": %llu, \"utilisation\": %.5f, \"silence_us\": %.1f, \"gap_min_us\": %.1f, "
           "\"gap_mean_us\": %.1f, \"lag_max_us\": %.1f, \"realtime\": %s, ",
           (unsigned long long)c->requests, (unsigned long long)c->early, (unsigned long long)c->collisions,
           (unsigned long long)c->torn, (unsigned long long)c->bad, (unsigned long long)c->wrong_speed,
           (double)c->busy_ns / span, (double)l->silence_ns / 1e3, (double)c->gap_min_ns / 1e3,
           c->gaps ? (double)c->gap_sum_ns / (double)c->gaps / 1e3 : 0.0, (double)c->lag_max_ns / 1e3,
           l->realtime ? "true" : "false");
    unit_table_print(&l->table, stdout);
    puts("}");
}

static void obey(void *context, const char *order)
{
    struct line *l = context;
    bool done = true;
    if (strcmp(order, "book") == 0) {
        unit_table_print_book(&l->table, stdout);
        fflush(stdout);
        return;
    }
    if (strcmp(order, "times") == 0) {
        unit_table_print_times(&l->table, stdout);
        fflush(stdout);
        return;
    }
    if (strcmp(order, "stats") == 0) {
        print_stats(l);
        fflush(stdout);
        return;
    }
    if (strcmp(order, "strict on") == 0 || strcmp(order, "strict off") == 0)
        l->strict = order[8] == 'n';
    else if (strcmp(order, "echo on") == 0 || strcmp(order, "echo off") == 0)
        l->echo = order[6] == 'n';
    else if (sscanf(order, "noise %u", &l->noise_every) == 1)
        l->replies_made = 0;
    else if (strcmp(order, "quit") == 0)
        l->quit = true;
    else
        done = unit_table_obey(&l->table, order);
    if (strcmp(order, "reset") == 0)
        l->counts = (struct counts){0};
    puts(done ? "ok" : "unknown order");
    fflush(stdout);
}

/* ---- the program ---- */

static bool set_format(struct line *l, const char *format)
{
    static const struct {
        int baud;
        speed_t code;
    } speeds[] = {{1200, B1200},   {2400, B2400},   {4800, B4800},   {9600, B9600},
                  {19200, B19200}, {38400, B38400}, {57600, B57600}, {115200, B115200}};
    if (strlen(format) != 3 || format[0] != '8' || !strchr("NEO", format[1]) || !strchr("12", format[2]))
        return false;
    int bits = 1 + 8 + (format[1] != 'N') + (format[2] - '0');
    l->parity = format[1] != 'N';
    l->two_stop_bits = format[2] == '2';
    for (size_t i = 0; i < sizeof speeds / sizeof *speeds; i++)
        if (speeds[i].baud == l->baud) {
            l->speed = speeds[i].code;
            l->char_ns = bits * NS_PER_S / l->baud;
            l->silence_ns = l->baud > 19200 ? 1750000 : 35 * l->char_ns / 10;
            return true;
        }
    return false;
}

static bool open_line(struct line *l, const char *link)
{
    struct termios t;
    char name[64];
    if (openpty(&l->master, &l->slave, name, NULL, NULL) < 0 || tcgetattr(l->slave, &t) < 0)
        return false;
    cfmakeraw(&t);
    cfsetspeed(&t, B50); /* so that a master which sets no speed is noticed */
    return tcsetattr(l->slave, TCSANOW, &t) == 0 && fcntl(l->master, F_SETFL, O_NONBLOCK) == 0 &&
           (unlink(link) == 0 || errno == ENOENT) && symlink(name, link) == 0;
}

static void run(struct line *l)
{
    while (!l->quit) {
        int64_t now = unit_table_now_ns();
        run_line(l, now);
        int64_t left = next_event(l, now) - unit_table_now_ns();
        left = left > 0 ? left : 0;
        struct timespec wait = {.tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S};
        struct pollfd fds[2] = {{.fd = l->master, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
        if (ppoll(fds, 2, &wait, NULL) <= 0)
            continue;
        if (fds[0].revents)
            take_bytes(l);
        if (fds[1].revents)
            l->quit |= !orders_read(&l->orders, obey, l);
    }
}

int main(int argc, char **argv)
{
    static struct line l = {.baud = 9600, .strict = true};
    static const struct option options[] = {{"link", required_argument, NULL, 'l'},
                                            {"baud", required_argument, NULL, 'b'},
                                            {"format", required_argument, NULL, 'f'},
                                            {"units", required_argument, NULL, 'u'},
                                            {"registers", required_argument, NULL, 'r'},
                                            {"trace", required_argument, NULL, 't'},
                                            {NULL, 0, NULL, 0}};
    const char *link = NULL, *format = "8N1", *units = "1-10", *trace_path = NULL;
    int registers = 20;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'l')
            link = optarg;
        else if (c == 'b')
            l.baud = atoi(optarg);
        else if (c == 'f')
            format = optarg;
        else if (c == 'u')
            units = optarg;
        else if (c == 't')
            trace_path = optarg;
        else if (c == 'r')
            registers = atoi(optarg);
        else
            return 64;
    }
    if (!link || !set_format(&l, format) || !unit_table_init(&l.table, units, registers)) {
        fputs("wire_line: no --link, or a speed, format, units or registers that cannot be\n", stderr);
        return 64;
    }
    if (trace_path)
        l.trace = fopen(trace_path, "w");
    if (!open_line(&l, link) || (trace_path && !l.trace)) {
        perror("wire_line");
        return 1;
    }
    l.realtime = orders_hurry();
    printf("{\"port\": \"%s\"}\n", link);
    fflush(stdout);
    run(&l);
    unlink(link);
    return 0;
}
