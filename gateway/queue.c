/* SPDX-License-Identifier: Apache-2.0 */
#include "queue.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "err.h"

/* The longest single wait: keeps the arithmetic far from overflow, whatever the deadline. */
#define WAIT_MAX_MS 60000

/* A ring of records, each a uint32_t length and as many bytes; a record may wrap anywhere. */
struct queue {
    pthread_mutex_t lock; /* guards everything below */
    pthread_cond_t changed;
    size_t capacity;
    size_t begin;  /* where the oldest record starts */
    size_t used;   /* bytes */
    size_t wanted; /* bytes that the reader sleeps for */
    bool closed;
    bool woken;
    unsigned char bytes[];
};

static int init_sync(struct queue *q)
{
    pthread_condattr_t attr;
    if (pthread_mutex_init(&q->lock, NULL) != 0)
        return FG_ENOMEM;
    int failed = pthread_condattr_init(&attr);
    if (!failed) {
        failed = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        if (!failed)
            failed = pthread_cond_init(&q->changed, &attr);
        pthread_condattr_destroy(&attr);
    }
    if (failed)
        pthread_mutex_destroy(&q->lock);
    return failed ? FG_ENOMEM : 0;
}

struct queue *queue_new(size_t capacity_bytes)
{
    if (capacity_bytes > SIZE_MAX / 2)
        return NULL;
    struct queue *q = calloc(1, sizeof(*q) + capacity_bytes);
    if (!q)
        return NULL;
    q->capacity = capacity_bytes;
    if (init_sync(q) < 0) {
        free(q);
        return NULL;
    }
    return q;
}

void queue_free(struct queue *q)
{
    if (!q)
        return;
    pthread_cond_destroy(&q->changed);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

size_t queue_max_message(const struct queue *q)
{
    return q->capacity / 4;
}

static void put(struct queue *q, const void *bytes, size_t len)
{
    size_t at = (q->begin + q->used) % q->capacity;
    size_t first = len < q->capacity - at ? len : q->capacity - at;
    memcpy(q->bytes + at, bytes, first);
    memcpy(q->bytes, (const unsigned char *)bytes + first, len - first);
    q->used += len;
}

static void take(struct queue *q, void *dst, size_t len)
{
    size_t first = len < q->capacity - q->begin ? len : q->capacity - q->begin;
    memcpy(dst, q->bytes + q->begin, first);
    memcpy((unsigned char *)dst + first, q->bytes, len - first);
    q->used -= len;
    /* An empty ring begins again: only as much of it is ever touched as has waited at once. */
    q->begin = q->used > 0 ? (q->begin + len) % q->capacity : 0;
}

int queue_push(struct queue *q, const void *head, size_t head_len, const void *tail, size_t tail_len)
{
    const size_t max = queue_max_message(q);
    if (head_len > max || tail_len > max - head_len || max > INT32_MAX)
        return FG_EINVALID;

    uint32_t len = (uint32_t)(head_len + tail_len);
    int result = 0;
    pthread_mutex_lock(&q->lock);
    if (q->closed) {
        result = FG_ECLOSED;
    } else if (sizeof(len) + len > q->capacity - q->used) {
        result = FG_EFULL;
    } else {
        put(q, &len, sizeof(len));
        if (head_len > 0)
            put(q, head, head_len);
        if (tail_len > 0)
            put(q, tail, tail_len);
        if (q->used >= q->wanted)
            pthread_cond_signal(&q->changed);
    }
    pthread_mutex_unlock(&q->lock);
    return result;
}

/* Waits on the condition until something changes or the deadline passes. The deadline counts CLOCK_BOOTTIME,
 * which conditions do not know; what remains of it is waited on CLOCK_MONOTONIC. */
static void wait_changed(struct queue *q, int64_t remaining_ms)
{
    if (remaining_ms > WAIT_MAX_MS)
        remaining_ms = WAIT_MAX_MS;
    struct timespec until = clock_cond_after_us(remaining_ms * 1000);
    pthread_cond_timedwait(&q->changed, &q->lock, &until);
}

/* The lock is held. */
static void wait_filled(struct queue *q, size_t bytes, int64_t deadline_mono_ms)
{
    q->wanted = bytes;
    while (!q->woken && q->used < bytes && !q->closed) {
        int64_t now = clock_mono_ms();
        if (now >= deadline_mono_ms)
            break;
        wait_changed(q, deadline_mono_ms - now);
    }
}

void queue_wait(struct queue *q, size_t bytes, int64_t deadline_mono_ms)
{
    pthread_mutex_lock(&q->lock);
    wait_filled(q, bytes, deadline_mono_ms);
    pthread_mutex_unlock(&q->lock);
}

/* The length of the oldest message. */
static uint32_t oldest_len(const struct queue *q)
{
    uint32_t len;
    unsigned char *p = (unsigned char *)&len;
    for (size_t i = 0; i < sizeof len; i++)
        p[i] = q->bytes[(q->begin + i) % q->capacity];
    return len;
}

int queue_pop(struct queue *q, void *dst, size_t cap, int64_t deadline_mono_ms)
{
    int result = FG_ETIMEOUT;
    pthread_mutex_lock(&q->lock);
    wait_filled(q, 1, deadline_mono_ms);
    if (q->woken) {
        q->woken = false;
    } else if (q->used > 0) {
        uint32_t len;
        take(q, &len, sizeof(len));
        assert(len <= cap);
        take(q, dst, len);
        result = (int)len;
    } else if (q->closed) {
        result = FG_ECLOSED;
    }
    pthread_mutex_unlock(&q->lock);
    return result;
}

size_t queue_drain(struct queue *q, void *dst, size_t cap, size_t *count)
{
    size_t most = *count, bytes = 0;
    *count = 0;
    pthread_mutex_lock(&q->lock);
    while (*count < most && q->used > 0) {
        uint32_t len;
        if (oldest_len(q) > cap - bytes)
            break;
        take(q, &len, sizeof len);
        take(q, (unsigned char *)dst + bytes, len);
        bytes += len;
        ++*count;
    }
    pthread_mutex_unlock(&q->lock);
    return bytes;
}

void queue_close(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

void queue_wake(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->woken = true;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
}
