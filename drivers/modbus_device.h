/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modbus_device - what the driver keeps of one device: its points in order, what is known of each, its
 * limits.
 *
 * Threads    The bus's thread; stats under the driver's lock.
 * Ownership  modbus_device_init() allocates everything, modbus_device_fini() frees it; points are borrowed.
 * Errors     modbus_device_check(): FG_EINVALID with a note. modbus_device_init(): FG_ENOMEM.
 */
#ifndef FG_MODBUS_DEVICE_H
#define FG_MODBUS_DEVICE_H

#include "modbus.h"
#include "modbus_plan.h"

struct modbus_point_state {
    bool good;  /* answered when it was asked last */
    bool known; /* was answered at some time */
    uint8_t strikes;
    int64_t retry_mono_ms; /* when to ask it again while it is kept apart */
};

struct modbus_device {
    const struct point *points;
    size_t count;
    uint8_t unit;
    enum modbus_protocol protocol;
    struct modbus_line line;
    int64_t timeout_ms, given_timeout_ms; /* in effect: raised while answers come late */
    int64_t told_timeout_ms;              /* to whoever polls */
    int64_t gap_ms;
    uint32_t late_known;              /* late answers that the timeout takes account of */
    unsigned second_tries;            /* answers in a row that came only to the question repeated */
    uint16_t max_registers, max_hole; /* in effect: lowered when the device refuses */
    uint16_t given_registers, given_hole;
    int64_t latency_us; /* to the first byte of an answer: a running mean; -1: not known */
    uint32_t returns;   /* of the link, when the above was learned */
    bool silent;        /* the last poll or probe got no answer at all */
    size_t turn;        /* rotates what is asked first while nothing is answered */
    uint32_t *order;
    bool *selected, *apart, *single;
    struct modbus_point_state *states;
    struct modbus_block *blocks, *singles;
    struct driver_stats stats; /* under the driver's lock */
};

/* Whether these options can be planned and asked at all. */
int modbus_device_check(const struct modbus_options *bus, const struct modbus_device_options *device,
                        struct err_note *note);
int modbus_device_init(struct modbus_device *d, enum modbus_protocol protocol,
                       const struct modbus_device_options *options);
/* Also after a failed or no modbus_device_init() of a zeroed device. */
void modbus_device_fini(struct modbus_device *d);

/* Plans the reads of the selected points into blocks; how many. */
size_t modbus_device_plan(struct modbus_device *d);
/* What a poll of these points takes; overwrites selection and blocks. */
int64_t modbus_device_poll_us(struct modbus_device *d, const bool *due);
/* Raises the timeout, to three times the given one at most, when new late answers have come, or when it looks
 * as if every answer were the one to the question before; never lowers it. True when it did. worst_us: how
 * far an answer was behind, at least. */
bool modbus_device_fit_timeout(struct modbus_device *d, uint32_t late, int64_t worst_us);
/* What a read costs, by what was measured. */
struct modbus_cost modbus_device_cost(const struct modbus_device *d);
/* An answer with so many bytes of data came so long after the end of the request. */
void modbus_device_measured(struct modbus_device *d, int64_t reply_us, size_t data_len);

#endif
