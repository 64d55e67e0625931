/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink_watch - an independent subscriber (mosquitto_sub) and a ledger of what it was given, for unit tests.
 *
 * Threads    The test's own.
 * Ownership  watch_start() makes a process, watch_stop() ends it.
 * Errors     Fail the test.
 */
#ifndef FG_TEST_UPLINK_WATCH_H
#define FG_TEST_UPLINK_WATCH_H

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "../../gateway/clock.h"
#include "../../gateway/json.h"

#define WATCH_RECORDS 5000
#define WATCH_PATIENCE_MS 20000

struct watch {
    pid_t pid;
    int fd;
    char *line; /* what was read and is not a whole line yet */
    size_t len, cap;
    bool subscribed;
    /* The ledger. */
    char *first_text[WATCH_RECORDS]; /* by seq */
    char lane[WATCH_RECORDS];        /* 'l' or 'b', of the first arrival */
    unsigned arrivals[WATCH_RECORDS];
    unsigned distinct, differing, messages, longest, most_records;
    uint64_t last_backlog;
    bool backlog_disordered, backlog_before_live, data_before_birth;
    unsigned live_messages, backlog_messages, births, states;
    unsigned replies, replies_not_now;      /* to commands */
    cJSON *birth, *state;                   /* the newest */
    char content_type[64], properties[128]; /* of the newest data message */
};

/* Writes one record of a message into the ledger. */
static inline void watch_record(struct watch *w, const cJSON *record, char lane)
{
    uint64_t seq = (uint64_t)json_int(record, "seq", 0);
    char *text = cJSON_PrintUnformatted(record);
    assert_in_range(seq, 1, WATCH_RECORDS - 1);
    if (w->arrivals[seq]++ == 0) {
        w->first_text[seq] = text;
        w->lane[seq] = lane;
        w->distinct++;
        return;
    }
    if (strcmp(text, w->first_text[seq]) != 0) {
        print_error("record changed: %s\n     was: %s\n", text, w->first_text[seq]);
        w->differing++;
    }
    cJSON_free(text);
}

/* The backlog is in order when each message begins behind the end of the one before. A message seen before
 * does not count: a broker that was restarted brings its subscriber again what it was not sure of. */
static inline void watch_order(struct watch *w, uint64_t first, uint64_t last)
{
    if (w->arrivals[first] > 1)
        return;
    w->backlog_disordered |= first <= w->last_backlog;
    w->last_backlog = last;
}

static inline void watch_data(struct watch *w, const cJSON *message, char lane)
{
    static const char *const ARRAYS[] = {"samples", "events"};
    unsigned records = 0;
    uint64_t first = UINT64_MAX, last = 0;
    w->messages++;
    w->data_before_birth |= w->births == 0;
    if (lane == 'l') {
        w->live_messages++;
    } else {
        w->backlog_before_live |= w->live_messages == 0;
        w->backlog_messages++;
    }
    for (int i = 0; i < 2; i++) {
        const cJSON *record;
        cJSON_ArrayForEach(record, cJSON_GetObjectItemCaseSensitive(message, ARRAYS[i]))
        {
            uint64_t seq = (uint64_t)json_int(record, "seq", 0);
            watch_record(w, record, lane);
            first = seq < first ? seq : first;
            last = seq > last ? seq : last;
            records++;
        }
    }
    if (lane == 'b')
        watch_order(w, first, last);
    if (records > w->most_records)
        w->most_records = records;
}

/* Undoes content-encoding gzip; the length, at most cap. */
static inline size_t watch_gunzip(const unsigned char *bytes, size_t len, unsigned char *to, size_t cap)
{
    z_stream z = {.next_in = (unsigned char *)(uintptr_t)bytes,
                  .avail_in = (uInt)len,
                  .next_out = to,
                  .avail_out = (uInt)cap};
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    inflateEnd(&z);
    return cap - z.avail_out;
}

static inline void watch_message(struct watch *w, const char *topic, const char *type, const char *properties,
                                 const char *hex)
{
    static unsigned char bytes[512 * 1024], plain[1024 * 1024];
    size_t len = strlen(hex) / 2;
    assert_true(len <= sizeof bytes);
    for (size_t i = 0; i < len; i++) {
        const char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        bytes[i] = (unsigned char)strtoul(pair, NULL, 16);
    }
    bool data = strstr(topic, "/data/") != NULL;
    if (data && len > w->longest)
        w->longest = (unsigned)len;
    bool packed = strcmp(properties, "content-encoding:gzip") == 0;
    cJSON *tree = packed ? json_parse((char *)plain, watch_gunzip(bytes, len, plain, sizeof plain))
                         : json_parse((char *)bytes, len);
    if (!tree)
        print_error("not JSON on %s: %.*s\n", topic, (int)len, (char *)bytes);
    assert_non_null(tree);
    if (data) {
        snprintf(w->content_type, sizeof w->content_type, "%s", type);
        snprintf(w->properties, sizeof w->properties, "%s", properties);
        watch_data(w, tree, strstr(topic, "/live") ? 'l' : 'b');
        cJSON_Delete(tree);
        return;
    }
    if (strstr(topic, "/reply") || strstr(topic, "/command")) {
        const char *code = json_string(tree, "code", "");
        w->replies += strstr(topic, "/reply") != NULL;
        w->replies_not_now += strcmp(code, "not_now") == 0;
        cJSON_Delete(tree);
        return;
    }
    cJSON **keep = strstr(topic, "/birth") ? &w->birth : &w->state;
    *(keep == &w->birth ? &w->births : &w->states) += 1;
    cJSON_Delete(*keep);
    *keep = tree;
}

/* "=|topic|content type|user properties|payload in hex"; other lines are mosquitto_sub's own. */
static inline void watch_line(struct watch *w, char *line)
{
    char *part[5], *at = line;
    if (strstr(line, "Subscribed (mid"))
        w->subscribed = true;
    if (strncmp(line, "=|", 2) != 0)
        return;
    for (int i = 0; i < 5; i++) {
        part[i] = strsep(&at, "|");
        assert_non_null(part[i]);
    }
    watch_message(w, part[1], part[2], part[3], part[4]);
}

static inline void watch_take_lines(struct watch *w)
{
    char *end;
    while (w->len > 0 && (end = memchr(w->line, '\n', w->len)) != NULL) {
        *end = '\0';
        watch_line(w, w->line);
        size_t used = (size_t)(end - w->line) + 1;
        memmove(w->line, end + 1, w->len - used);
        w->len -= used;
    }
}

/* Reads what comes within wait_ms; returns at once after something came. */
static inline void watch_read(struct watch *w, int wait_ms)
{
    struct pollfd p = {.fd = w->pid ? w->fd : -1, .events = POLLIN};
    if (poll(&p, 1, wait_ms) <= 0)
        return;
    if (w->cap - w->len < 65536) {
        w->cap += 1 << 20;
        w->line = realloc(w->line, w->cap);
        assert_non_null(w->line);
    }
    ssize_t n = read(w->fd, w->line + w->len, 65536);
    assert_true(n > 0); /* mosquitto_sub must not end */
    w->len += (size_t)n;
    watch_take_lines(w);
}

/* Waits until the condition holds, reading meanwhile. */
#define WATCH_UNTIL(w, condition)                                                                            \
    do {                                                                                                     \
        int64_t until_ = clock_mono_ms() + WATCH_PATIENCE_MS;                                                \
        while (!(condition)) {                                                                               \
            if (clock_mono_ms() > until_)                                                                    \
                fail_msg("waited in vain for: %s", #condition);                                              \
            watch_read((w), 5);                                                                              \
        }                                                                                                    \
    } while (0)

/* A persistent session, so that nothing is missed while the broker restarts. */
static inline void watch_start(struct watch *w, int port, const char *topic)
{
    char number[16];
    int ends[2];
    memset(w, 0, sizeof *w);
    snprintf(number, sizeof number, "%d", port);
    assert_int_equal(pipe(ends), 0);
    w->pid = fork();
    assert_true(w->pid >= 0);
    if (w->pid == 0) {
        dup2(ends[1], 1);
        dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        execlp("stdbuf", "stdbuf", "-oL", "mosquitto_sub", "-d", "-V", "mqttv5", "-h", "127.0.0.1", "-p",
               number, "-i", "watch", "-c", "-x", "3600", "-q", "1", "-t", topic, "-F", "=|%t|%C|%P|%x",
               (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    w->fd = ends[0];
    WATCH_UNTIL(w, w->subscribed);
}

static inline void watch_stop(struct watch *w)
{
    kill(w->pid, SIGKILL);
    waitpid(w->pid, NULL, 0);
    close(w->fd);
    free(w->line);
    for (size_t i = 0; i < WATCH_RECORDS; i++)
        cJSON_free(w->first_text[i]);
    cJSON_Delete(w->birth);
    cJSON_Delete(w->state);
}

#endif
