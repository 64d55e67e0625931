/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe - reads every point of one device once, raw, and tells what came and how else it could be read.
 *
 * Threads    The thread that owns the driver.
 * Ownership  Points are lent.
 * Errors     Whatever goes wrong with the device is part of the report; only memory fails, through the
 * buffer.
 *
 * The report is one JSON object:
 *
 *     {"device":"soil-a1","bus":"field","unit":1,"took_ms":96,
 *      "failed":"no_reply","note":"..",                        only when nothing at all was read
 *      "shift":-1,                    when the whole map fits one address lower (or, 1, higher)
 *      "points":[{"name":"soil_moisture","register":"holding","address":0,"type":"uint16","order":"AB",
 *                 "verdict":"good","raw":"01D0","value":46.4,"unit":"%",
 *                 "exception":2,                               when the device refused these registers
 *                 "why":"no_reply",                            verdict refused: what came instead
 *                 "views":[{"as":"type int16","value":-1.2,    when not good
 *                           "hint":"set type int16: it gives -1.2 Cel"}]}]}    when plausible
 */
#ifndef FG_PROBE_H
#define FG_PROBE_H

#include "../drivers/driver.h"
#include "buf.h"

struct probe_target {
    const char *device, *bus;
    size_t index; /* in the driver */
    int unit;
    uint16_t max_registers; /* per read; 0: 125 */
    const struct point *points;
    size_t point_count;
    int64_t budget_ms; /* no further request begins after this long */
};

void probe_run(struct driver *d, const struct probe_target *t, struct buf *out);

#endif
