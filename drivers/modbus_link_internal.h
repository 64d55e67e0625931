/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modbus_link_internal - what the two halves of modbus_link share: modbus_link.c opens, sends and is the door
 * to libmodbus; modbus_link_hear.c listens.
 *
 * Threads    As modbus_link.h says.
 * Ownership  As modbus_link.h says.
 * Errors     FG_ECLOSED: the connection is lost or the link cancelled. FG_ERETRY: not in this turn, the
 * answer says why.
 */
#ifndef FG_MODBUS_LINK_INTERNAL_H
#define FG_MODBUS_LINK_INTERNAL_H

#include <stdatomic.h>

#include "modbus_late.h"
#include "modbus_link.h"

#define RECEIVE_ROOM 1024

struct _modbus;

struct modbus_link {
    enum modbus_protocol protocol;
    char *port, *host;
    int tcp_port;
    bool shared;
    enum modbus_rs485 rs485;
    struct _modbus *serial; /* libmodbus's context; NULL for sockets */
    int lock_fd;            /* holds the port's lock; -1 when closed */
    int fd;                 /* -1 when closed */
    int cancel_fd;
    atomic_bool cancelled;
    bool awaits;             /* an answer is under way that even a cancelled link takes when it is there */
    struct modbus_line line; /* the port's present setting, */
    bool line_is_set;        /* or rather what it was last asked for */
    int64_t quiet_since_us;  /* the last byte seen, or the end of our own transmission */
    int64_t reopen_at_us;
    struct err_note failure; /* why it is not open */
    bool was_open, away;     /* at some time; since the last success */
    uint32_t returns;
    uint16_t transaction;
    unsigned timeouts; /* in a row */
    int silent_unit;   /* whose they were; -1: of several */
    uint8_t bytes[RECEIVE_ROOM];
    size_t len;
    size_t blamed;      /* of these, the first so many are counted already */
    int64_t looked_us;  /* when bytes were looked for last */
    int64_t arrived_us; /* not before this the newest bytes have come */
    struct modbus_late late;
    uint8_t follower;    /* the unit that may have another answer to a repeated question ready, */
    int64_t follower_us; /* which then has begun by now; 0: nobody has */
    atomic_uint late_seen[256];
    atomic_ullong stray_frames, stray_bytes;
};

/* One request under way. */
struct turn {
    const struct modbus_ask *ask;
    struct modbus_answer *answer;
    uint16_t transaction;
    int64_t sent_us;     /* end of our transmission */
    int64_t began_us;    /* not before this the first byte of what came last was there */
    int64_t first_us;    /* deadline of the first byte */
    int64_t deadline_us; /* of the whole frame: nothing extends it */
    bool odd;            /* bytes came that nothing explains */
    bool given_more;     /* it is listened for longer than its timeout */
};

/* modbus_link.c */
void modbus_link_close(struct modbus_link *l);
/* The port vanished (error: its errno), or the other side hung up (0). */
int modbus_link_lost(struct modbus_link *l, int error);

/* modbus_link_hear.c */
/* Listens until the line has been silent for long enough and no late answer can be taken for ours: 0, send
 * now. */
int modbus_link_settle(struct modbus_link *l, struct turn *t);
/* Once sent: waits for the answer, which is filled. */
int modbus_link_hear(struct modbus_link *l, struct turn *t);

#endif
