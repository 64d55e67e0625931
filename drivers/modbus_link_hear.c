/* SPDX-License-Identifier: Apache-2.0 */
/* Listening: see modbus_link_internal.h. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "../gateway/clock.h"
#include "../gateway/text.h"
#include "modbus_line.h"
#include "modbus_link_internal.h"
#include "modbus_trouble.h"

/* What a whole frame may take above its time on the wire: scheduling, and 16 ms latency of USB adapters. */
#define SLACK_SERIAL_US 50000
#define SLACK_SOCKET_US 200000
/* Bytes of one frame come closer together than this, so a frame of full length is at its end. */
#define QUIET_SERIAL_US 20000
#define QUIET_SOCKET_US 100000
/* Requests in a row without answer after which a TCP connection is opened anew. */
#define TIMEOUTS_MAX 3

/* ---- bytes ---- */

/* Waits for bytes until the given instant and takes them. The count, 0 at the end of the wait, FG_ECLOSED
 * when the connection is lost or the link cancelled. */
static int take_bytes(struct modbus_link *l, int64_t until_us)
{
    if (l->len == sizeof l->bytes) { /* only a babbling line gets here */
        l->len = MODBUS_FRAME_MAX;
        memmove(l->bytes, l->bytes + sizeof l->bytes - l->len, l->len);
    }
    int64_t left = until_us - clock_mono_us();
    left = left > 0 ? left : 0;
    struct timespec wait = {.tv_sec = left / 1000000, .tv_nsec = left % 1000000 * 1000};
    struct pollfd fds[2] = {{.fd = l->fd, .events = POLLIN}, {.fd = l->cancel_fd, .events = POLLIN}};
    /* What is there already may have come at any time since we last looked. */
    int ready = ppoll(fds, 2, &(struct timespec){0}, NULL);
    l->arrived_us = l->looked_us;
    if (ready == 0 && left > 0) {
        ready = ppoll(fds, 2, &wait, NULL);
        l->arrived_us = clock_mono_us();
    }
    l->looked_us = clock_mono_us();
    if (ready < 0)
        return errno == EINTR ? 0 : modbus_link_lost(l, errno);
    if (fds[1].revents) {
        /* An answer that is there already is not thrown away, but there is no waiting for the rest of it. */
        bool last = l->awaits && fds[0].revents & POLLIN;
        l->awaits = false;
        if (!last)
            return FG_ECLOSED;
    }
    if (fds[0].revents == 0)
        return 0;
    ssize_t n = read(l->fd, l->bytes + l->len, sizeof l->bytes - l->len);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return fds[0].revents & (POLLHUP | POLLERR | POLLNVAL) ? modbus_link_lost(l, EIO) : 0;
    if (n <= 0)
        return modbus_link_lost(l, n < 0 ? errno : 0);
    l->len += (size_t)n;
    int64_t now = clock_mono_us();
    if (now > l->quiet_since_us) /* while we still send, the end of that counts */
        l->quiet_since_us = now;
    return (int)n;
}

static void drop_bytes(struct modbus_link *l, size_t n)
{
    l->blamed -= n < l->blamed ? n : l->blamed;
    l->len -= n;
    memmove(l->bytes, l->bytes + n, l->len);
}

/* ---- before a request ---- */

static void count_late(struct modbus_link *l, uint8_t unit)
{
    atomic_fetch_add(&l->late_seen[unit], 1);
    l->timeouts = 0; /* slow, but the connection works */
}

static void count_strays(struct modbus_link *l, size_t n)
{
    if (n > l->blamed)
        atomic_fetch_add(&l->stray_bytes, n - l->blamed);
}

/* The unit may have another answer ready, which begins at once if it does. */
static void expect_follower(struct modbus_link *l, uint8_t unit)
{
    l->follower = unit;
    l->follower_us = l->quiet_since_us +
                     (l->serial ? SLACK_SERIAL_US + modbus_line_silence_us(&l->line) : QUIET_SOCKET_US);
}

/* There it was; a question that was repeated several times may have several. */
static void followed(struct modbus_link *l, uint8_t unit)
{
    if (l->follower_us == 0 || l->follower != unit)
        return;
    if (modbus_late_is_open(&l->late, unit))
        expect_follower(l, unit);
    else
        l->follower_us = 0;
}

/* A frame that is not awaited: true when it is a late answer, which is counted. */
static bool note_late(struct modbus_link *l, const struct modbus_frame *f)
{
    /* On TCP the transaction says that it was ours, even when we do not remember when it was. */
    bool is_late = true;
    if (l->protocol == MODBUS_TCP)
        modbus_late_seen_tcp(&l->late, f, l->arrived_us);
    else
        is_late = modbus_late_seen(&l->late, f, l->arrived_us);
    if (is_late) {
        count_late(l, f->unit);
        followed(l, f->unit);
    }
    return is_late;
}

/* Throws away what nobody waits for, keeping account of late answers. */
static void discard_bytes(struct modbus_link *l, bool final)
{
    for (;;) {
        bool is_tcp = l->protocol == MODBUS_TCP;
        struct modbus_frame f = is_tcp ? modbus_frame_find_tcp(l->bytes, l->len, NULL, 0)
                                       : modbus_frame_find_rtu(l->bytes, l->len, NULL, final);
        if (f.kind == MODBUS_FRAME_NONE || f.kind == MODBUS_FRAME_GARBAGE)
            break;
        if (!note_late(l, &f))
            atomic_fetch_add(&l->stray_frames, 1);
        count_strays(l, f.offset);
        drop_bytes(l, f.offset + f.len);
    }
    if (!final)
        return;
    count_strays(l, l->len);
    l->len = l->blamed = 0;
}

static int refuse(struct turn *t, enum quality quality, enum driver_trouble trouble, const char *why)
{
    t->answer->quality = quality;
    t->answer->trouble = trouble;
    return err_note(&t->answer->note, FG_ERETRY, "unit %d: %s", t->ask->request.unit, why);
}

/* Listens until the line has been silent for long enough and no late answer can be taken for ours.
 * 0: send now; FG_ERETRY: not in this turn (the answer says why). */
int modbus_link_settle(struct modbus_link *l, struct turn *t)
{
    const struct modbus_ask *ask = t->ask;
    int64_t timeout_us = ask->timeout_ms * 1000;
    int64_t silence_us = ask->gap_ms * 1000;
    if (l->serial) /* of the slower of the two settings, when the port is about to be switched */
        silence_us += modbus_line_silence_us(l->line.baud < ask->line.baud ? &l->line : &ask->line);
    int64_t give_up_us = clock_mono_us() + silence_us + 4 * timeout_us;
    if (l->follower_us > clock_mono_us())
        give_up_us += l->follower_us - clock_mono_us();
    for (int64_t wait_us = 0;;) {
        int rc = take_bytes(l, wait_us);
        if (rc < 0)
            return rc;
        discard_bytes(l, false);
        int64_t now = clock_mono_us(), until_us = 0;
        if (now < l->follower_us) { /* a question now would spoil it, and itself */
            wait_us = l->follower_us;
            continue;
        }
        enum modbus_late_verdict verdict = MODBUS_LATE_GO;
        if (l->protocol != MODBUS_TCP)
            verdict = modbus_late_check(&l->late, &ask->request, timeout_us, ask->patient, now, &until_us);
        if (verdict == MODBUS_LATE_REFUSE)
            return refuse(t, QUALITY_NO_REPLY, DRIVER_LATE,
                          _("left alone until its late answers can have come; raise its timeout"));
        wait_us = l->quiet_since_us + silence_us;
        if (verdict == MODBUS_LATE_WAIT && until_us > wait_us)
            wait_us = until_us;
        if (now >= wait_us && rc == 0)
            break;
        if (now >= give_up_us)
            return refuse(t, QUALITY_BAD_FRAME, DRIVER_FOREIGN,
                          _("the line is never silent; another master, or a sensor that talks unasked?"));
    }
    /* MBAP frames tell their length: what stands here unfinished goes on in the next bytes. */
    if (l->protocol != MODBUS_TCP)
        discard_bytes(l, true);
    return 0;
}

/* ---- the answer ---- */

static struct modbus_frame find_frame(struct modbus_link *l, const struct turn *t, bool final)
{
    if (l->protocol == MODBUS_TCP)
        return modbus_frame_find_tcp(l->bytes, l->len, &t->ask->request, t->transaction);
    return modbus_frame_find_rtu(l->bytes, l->len, &t->ask->request, final);
}

/* Behind its timeout an answer is awaited only from a unit that is suspect: this is how late it is. */
static void note_overdue(struct modbus_link *l, const struct turn *t)
{
    if (!t->given_more || t->began_us - t->sent_us <= t->ask->timeout_ms * 1000)
        return;
    modbus_late_overdue(&l->late, t->ask->request.unit, l->arrived_us - t->sent_us);
    count_late(l, t->ask->request.unit);
}

static void accept_frame(struct modbus_link *l, struct turn *t, const struct modbus_frame *f)
{
    struct modbus_answer *a = t->answer;
    int64_t took_us = l->quiet_since_us - t->sent_us;
    a->reply_us = took_us > 0 ? took_us : 0;
    a->reply_ms = (uint32_t)(a->reply_us / 1000);
    a->quality = QUALITY_GOOD;
    if (f->kind == MODBUS_FRAME_EXCEPTION) {
        a->quality = QUALITY_EXCEPTION;
        a->exception = f->exception;
    } else {
        memcpy(a->data, f->data, f->data_len);
        a->data_len = f->data_len;
    }
    l->timeouts = 0;
    a->trouble = DRIVER_NO_TROUBLE;
    bool follows = l->protocol != MODBUS_TCP &&
                   modbus_late_answered(&l->late, &t->ask->request, t->ask->timeout_ms * 1000, t->sent_us);
    if (follows)
        expect_follower(l, t->ask->request.unit);
    note_overdue(l, t);
}

/* Whether a frame that looks like the answer is an older question's. */
static bool is_older(struct modbus_link *l, const struct turn *t, const struct modbus_frame *f)
{
    const struct modbus_request *r = &t->ask->request;
    if (l->protocol == MODBUS_TCP)
        return false;
    if (f->kind == MODBUS_FRAME_EXCEPTION && modbus_late_doubts(&l->late, r))
        return true;
    return l->serial && modbus_late_too_soon(&l->late, r, l->quiet_since_us - t->sent_us,
                                             modbus_line_chars_us(&l->line, f->len));
}

/* A frame that is no answer to the request under way. */
static void note_foreign(struct modbus_link *l, struct turn *t, const struct modbus_frame *f)
{
    if (note_late(l, f))
        return;
    t->odd = true;
    t->answer->trouble = modbus_trouble_of_frame(f, &t->ask->request, t->answer->trouble);
}

/* Looks through what has come: true when the turn is over, with the answer filled. */
static bool look(struct modbus_link *l, struct turn *t, bool final)
{
    for (;;) {
        struct modbus_frame f = find_frame(l, t, final);
        bool over = false;
        switch (f.kind) {
        case MODBUS_FRAME_NONE:
            return false;
        case MODBUS_FRAME_REPLY:
        case MODBUS_FRAME_EXCEPTION:
            over = !is_older(l, t, &f);
            if (over)
                accept_frame(l, t, &f);
            else if (!note_late(l, &f))
                count_late(l, f.unit);
            break;
        case MODBUS_FRAME_ECHO:
            t->answer->echoed = true;
            break;
        case MODBUS_FRAME_FOREIGN:
            over = l->protocol == MODBUS_TCP && f.transaction == t->transaction;
            if (over) { /* ours by number, not by content */
                t->answer->quality = QUALITY_BAD_FRAME;
                t->answer->trouble = modbus_trouble_of_tcp(&f, &t->ask->request);
            } else {
                note_foreign(l, t, &f);
            }
            break;
        case MODBUS_FRAME_GARBAGE:
            t->answer->quality = QUALITY_BAD_FRAME;
            t->answer->trouble = DRIVER_GARBAGE;
            (void)err_note(&t->answer->note, FG_ECORRUPT,
                           "%s:%d: this is not Modbus TCP; perhaps the box speaks rtu_over_tcp", l->host,
                           l->tcp_port);
            modbus_link_close(l); /* where the next frame begins can no longer be told */
            return true;
        }
        t->odd |= f.offset > 0;
        t->answer->foreign_bytes += f.offset;
        drop_bytes(l, f.offset + f.len);
        if (over)
            return true;
    }
}

/* Until when it is worth listening, with what has come so far. */
static int64_t listen_until(const struct modbus_link *l, const struct turn *t)
{
    if (l->len == 0)
        return t->first_us;
    const struct modbus_request *r = &t->ask->request;
    bool full = l->len >= modbus_frame_reply_len(r) || modbus_frame_broken(l->bytes, l->len, r);
    if (l->protocol == MODBUS_TCP || !full)
        return t->deadline_us;
    if (modbus_frame_broken_whole(l->bytes, l->len, r))
        return l->quiet_since_us; /* what an adapter still holds belongs to no answer, and is skipped */
    int64_t quiet_us = l->serial ? QUIET_SERIAL_US : QUIET_SOCKET_US;
    int64_t silence_us = l->serial ? modbus_line_silence_us(&l->line) : 0;
    int64_t until_us = l->quiet_since_us + (silence_us > quiet_us ? silence_us : quiet_us);
    return until_us < t->deadline_us ? until_us : t->deadline_us;
}

static void count_timeout(struct modbus_link *l, int unit)
{
    l->silent_unit = l->timeouts == 0 || l->silent_unit == unit ? unit : -1;
    l->timeouts++;
    /* One dead unit behind a serial server is no reason to drop the connection that the others use. */
    bool all_silent = l->silent_unit < 0 || !l->shared;
    if (!l->serial && l->timeouts >= TIMEOUTS_MAX && all_silent)
        modbus_link_close(l);
}

/* A turn without an answer: its unit's may come into what others say, or another's may have come into it. */
static void note_hidden(struct modbus_link *l, const struct turn *t)
{
    uint8_t unit = t->ask->request.unit;
    if (l->protocol == MODBUS_TCP)
        return;
    if (t->answer->quality == QUALITY_NO_REPLY)
        modbus_late_silent(&l->late, unit, t->ask->timeout_ms * 1000, t->sent_us);
    else if (t->answer->foreign_bytes > 0)
        modbus_late_spoiled(&l->late, unit, t->sent_us);
}

static void give_up(struct modbus_link *l, struct turn *t)
{
    const struct modbus_request *r = &t->ask->request;
    struct modbus_answer *a = t->answer;
    int64_t timeout_us = t->ask->timeout_ms * 1000;
    if (l->protocol != MODBUS_TCP && modbus_frame_broken(l->bytes, l->len, r)) {
        a->quality = QUALITY_BAD_CRC;
        a->trouble = DRIVER_BAD_CRC;
        modbus_late_damaged(&l->late, r, timeout_us, t->sent_us);
        modbus_late_spoiled(&l->late, r->unit, t->sent_us);
        l->blamed = l->len;
        l->timeouts = 0;
        return;
    }
    a->quality = l->len > 0 || t->odd ? QUALITY_BAD_FRAME : QUALITY_NO_REPLY;
    if (a->trouble == DRIVER_NO_TROUBLE && (l->len > 0 || !t->odd))
        a->trouble = modbus_trouble_of_bytes(l->bytes, l->len, r);
    else if (a->trouble == DRIVER_NO_TROUBLE)
        a->trouble = DRIVER_GARBAGE;
    a->foreign_bytes += l->len;
    note_hidden(l, t);
    l->blamed = l->len;
    modbus_late_unanswered(&l->late, r, t->transaction, timeout_us, t->sent_us);
    count_timeout(l, r->unit);
}

static void set_deadlines(struct modbus_link *l, struct turn *t)
{
    int64_t timeout_us = t->ask->timeout_ms * 1000;
    int64_t patience_us = modbus_late_patience_us(&l->late, t->ask->request.unit, timeout_us);
    t->given_more = patience_us > timeout_us;
    t->first_us = t->sent_us + patience_us;
    t->deadline_us = t->first_us + SLACK_SOCKET_US;
    if (l->serial)
        t->deadline_us = t->first_us + SLACK_SERIAL_US +
                         modbus_line_chars_us(&l->line, modbus_frame_reply_len(&t->ask->request));
}

static int hear(struct modbus_link *l, struct turn *t)
{
    for (;;) {
        if (look(l, t, false))
            return 0;
        int64_t until_us = listen_until(l, t);
        /* We may have been held up past the end while the answer came: a last look is due all the same. */
        bool over = clock_mono_us() >= until_us, begins = l->len == 0;
        int rc = take_bytes(l, until_us);
        if (rc < 0)
            return rc;
        if (rc > 0 && begins)
            t->began_us = l->arrived_us;
        if (over) {
            if (!look(l, t, true))
                give_up(l, t);
            return 0;
        }
    }
}

int modbus_link_hear(struct modbus_link *l, struct turn *t)
{
    set_deadlines(l, t);
    l->awaits = true;
    int rc = hear(l, t);
    l->awaits = false;
    return rc;
}
