/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poller - one thread that owns one bus: asks the driver when the schedule says so, hands samples to a sink.
 *
 * Threads    poller_start/stop/free from one thread; the others from any.
 * Ownership  Options are copied except driver (taken: freed by poller_free) and the strings, which must
 *            outlive it.
 * Errors     FG_ENOMEM. Failures of the bus are samples, status and log lines, never errors of these
 *            calls.
 *
 * Log lines, one per change of state: FG-BUS-SILENT, FG-BUS-BACK, FG-BUS-EXCEPTION, FG-BUS-GARBLED,
 * FG-BUS-PORT, FG-BUS-PORT-BACK, FG-BUS-SLOW, FG-BUS-OVERLOAD, FG-BUS-LOAD-OK, FG-POINT-CONFIG,
 * FG-BUS-PAUSED, FG-BUS-RESUMED.
 */
#ifndef FG_POLLER_H
#define FG_POLLER_H

#include "../drivers/driver.h"
#include "poller_mail.h"
#include "pulse.h"
#include "sample.h"

struct poller;

/* Takes a sample; must not wait. The sample is lent for the call. */
typedef void poller_sink(void *context, const struct sample *s);

struct poller_device {
    const char *name;
    int unit;
    uint32_t layout_index; /* goes into sample.device */
    int64_t every_ms;
    size_t point_count;
    const char *const *point_names;
    const int64_t *point_every_ms; /* one per point; 0: the device's own */
};

struct poller_options {
    const char *bus;
    const char *where; /* the port or host:port, for log lines */
    struct driver *driver;
    const struct poller_device *devices; /* driver device index = position here */
    size_t device_count;
    poller_sink *sink;
    void *sink_context;
    bool (*clock_trusted)(void *context); /* asked once a sample; cheap */
    int64_t apart_ms;                     /* of devices' first polls, and so of all: see schedule.h */
    uint64_t seed;
};

/* What status shows of a device. */
struct poller_device_status {
    char state[16]; /* "waiting" before the first poll, "ok", "retrying", "silent", "failed", "paused" */
    enum quality last_failed;    /* why the last poll failed; QUALITY_GOOD when it did not */
    enum driver_trouble trouble; /* the kind of that failure */
    uint8_t exception;
    int64_t last_good_mono_ms; /* 0: never */
    /* Samples handed over, failed ones too: polls + missed = periods passed (+ polls on command). */
    uint64_t polls;
    uint64_t failed; /* of these, how many failed as a whole */
    uint64_t missed; /* periods skipped between samples */
    struct driver_stats stats;
};

int poller_new(const struct poller_options *options, struct poller **ret);
int poller_start(struct poller *p);
/* Accepts NULL and a poller that was never started (true). Asks the thread to end and waits at most wait_ms:
 * a poll that is under way may end in good order in the first half of that, then it is cut off. False when it
 * still runs: after wait_ms 0, which only asks, or stuck (a name look-up): the caller must then not free it
 * and should leave the process. */
bool poller_stop(struct poller *p, int64_t wait_ms);
void poller_free(struct poller *p);

const struct pulse *poller_pulse(const struct poller *p);
const char *poller_bus(const struct poller *p);
size_t poller_device_count(const struct poller *p);
const struct poller_device *poller_device(const struct poller *p, size_t device);
void poller_bus_status(struct poller *p, struct driver_bus_stats *ret);
void poller_device_status(struct poller *p, size_t device, struct poller_device_status *ret);
/* What is known of one point: the newest reading, and the newest that was good, for people who ask what it
 * was. */
struct poller_last {
    struct reading reading;
    int64_t mono_ms;
    struct value good;
    int64_t good_mono_ms; /* 0: there was none since the start */
};
/* Copies it for each point of a device (count from options); wall: of the newest reading. False before the
 * first. */
bool poller_last_readings(struct poller *p, size_t device, struct poller_last *ret, int64_t *ret_wall_ms);
/* Poll this device as soon as possible. */
void poller_hurry(struct poller *p, size_t device);

enum { POLLER_PAUSE_MAX_MS = 15 * 60 * 1000 };
/* Leaves the bus alone for so long from now: its port is closed, nothing is asked, the periods that pass are
 * missed. Asking again renews it; it ends by itself. Waits until the port is closed: FG_ETIMEOUT (then there
 * is no pause), FG_ECLOSED. */
int poller_pause(struct poller *p, int64_t for_ms, int64_t wait_ms);
void poller_resume(struct poller *p);
/* Has the bus thread do something with the driver between two polls (device index = position in the options)
 * and waits for it; see poller_mail_work(). */
int poller_do(struct poller *p, struct poller_work *w, int64_t wait_ms);

#endif
