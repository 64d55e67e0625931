/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modbus_driver - what the two halves of the Modbus driver share: modbus.c polls and learns, modbus_ask.c
 * asks for one block.
 *
 * Threads    The bus's thread; stats and busy under the lock.
 * Ownership  modbus_driver_open() and close() in modbus.c.
 * Errors     Told in the answer.
 */
#ifndef FG_MODBUS_DRIVER_H
#define FG_MODBUS_DRIVER_H

#include <pthread.h>

#include "modbus_count.h"
#include "modbus_device.h"
#include "modbus_link.h"

struct modbus_driver {
    struct driver driver;
    enum modbus_protocol protocol;
    int tries;
    struct modbus_link *link;
    struct modbus_device *devices;
    size_t device_count;
    pthread_mutex_t lock; /* guards the devices' stats and busy */
    bool has_lock;
    struct modbus_busy busy;
    struct modbus_answer answer; /* of the request under way: too big for every stack frame */
};

/* Asks for a block, so often until it is answered; the answer is in m->answer afterwards. */
void modbus_ask_block(struct modbus_driver *m, struct modbus_device *d, const struct modbus_block *b,
                      int tries);

#endif
