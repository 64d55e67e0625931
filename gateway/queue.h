/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue - a bounded queue of byte messages from many threads to one.
 *
 * Threads    queue_push() from any thread; queue_pop(), queue_drain() and queue_wait() from one thread, the
 *            reader.
 * Ownership  Bytes are copied in and out; one allocation at queue_new(), none afterwards; of it only so much
 *            is ever touched as has waited at once.
 * Errors     FG_EFULL when a message does not fit now, FG_EINVALID when it never can (queue_max_message()),
 *            FG_ECLOSED after queue_close().
 */
#ifndef FG_QUEUE_H
#define FG_QUEUE_H

#include <stddef.h>
#include <stdint.h>

struct queue;

/* NULL without memory. */
struct queue *queue_new(size_t capacity_bytes);
void queue_free(struct queue *q);
/* Never waits. The message is the concatenation of head and tail (tail may be NULL with 0 bytes). */
int queue_push(struct queue *q, const void *head, size_t head_len, const void *tail, size_t tail_len);
/* Takes the oldest message into dst (which must hold queue_max_message() bytes). Waits until mono_ms deadline
 * (clock_mono_ms) for one; returns its length, FG_ETIMEOUT, or FG_ECLOSED once closed *and* empty. */
int queue_pop(struct queue *q, void *dst, size_t cap, int64_t deadline_mono_ms);
/* Takes what waits already, and never waits itself: of the oldest messages as many as fit whole into cap
 * bytes, at most *count, one behind the other. Returns the bytes taken; *count becomes the messages taken. A
 * reader that comes for thousands locks once. */
size_t queue_drain(struct queue *q, void *dst, size_t cap, size_t *count);
/* Sleeps until so many bytes wait, prefixes of 4 bytes a message counted: a reader that has time is not woken
 * for each message. Returns at once after queue_close() or queue_wake(), and at the deadline. The reader's.
 */
void queue_wait(struct queue *q, size_t bytes, int64_t deadline_mono_ms);
/* The longest message that can ever be pushed: a quarter of the capacity. */
size_t queue_max_message(const struct queue *q);
/* No more pushes; what is inside can still be taken out. Wakes the reader. */
void queue_close(struct queue *q);
/* Wakes the reader once: its present or next queue_pop() returns FG_ETIMEOUT, even when messages wait. */
void queue_wake(struct queue *q);

#endif
