/* SPDX-License-Identifier: Apache-2.0 */
#include "poller_watch.h"

#include <stdio.h>

#include "log.h"
#include "text.h"

/* Cheap sensors miss an answer now and then; that is no news. */
#define FAILURES_THAT_COUNT 3
/* Lines about one device, about all devices of a bus, and about its port. */
static const struct damp_limits DEVICE_LINES = {6, 600000}, BUS_LINES = {100, 10800000},
                                PORT_LINES = {6, 7200000};

/* Modbus exception codes that call for different advice. */
enum {
    ILLEGAL_FUNCTION = 1,
    ILLEGAL_ADDRESS = 2,
    ILLEGAL_VALUE = 3,
    DEVICE_FAILURE = 4,
    BUSY = 6,
    GATEWAY_NO_PATH = 10,
    GATEWAY_NO_ANSWER = 11,
};

enum poller_trouble poller_watch_trouble(const struct driver_result *r)
{
    switch (r->failed) {
    case QUALITY_GOOD:
    case QUALITY_NOT_DUE:
    case QUALITY_SENSOR_FAULT:
    case QUALITY_OUT_OF_RANGE:
        return POLLER_WELL;
    case QUALITY_NO_REPLY:
        return POLLER_SILENT;
    case QUALITY_BAD_CRC:
    case QUALITY_BAD_FRAME:
        return POLLER_GARBLED;
    case QUALITY_EXCEPTION:
    case QUALITY_CONFIG_ERROR:
        /* A gateway between us and the device has waited in vain: that costs as much bus time as silence, and
         * means the same. */
        return r->exception == GATEWAY_NO_ANSWER ? POLLER_SILENT : POLLER_EXCEPTION;
    case QUALITY_NOT_CONNECTED:
        return POLLER_NO_PORT;
    }
    return POLLER_WELL;
}

bool poller_watch_is_retrying(const struct poller_watch_device *d)
{
    return d->kind != POLLER_WELL && d->state == POLLER_WELL;
}

/* A line that is closed and open again all day, such as an adapter with a loose plug or one that refuses a
 * device's speed, is told now and then. */
static void note_port(struct poller_watch *w, const struct driver_result *r, bool down)
{
    char who[128], more[DAMP_CHANGES];
    if (down && !w->port_down.on)
        w->port_since_mono_ms = r->mono_ms;
    else if (!down && w->port_down.on)
        w->port_outage_ms = r->mono_ms - w->port_since_mono_ms;
    if (!damp_switch_tell(&w->port_down, &PORT_LINES, down, r->mono_ms, more))
        return;
    snprintf(who, sizeof who, "%s%s", w->bus, more);
    if (down)
        log_line(LOG_PRI_WARNING, "FG-BUS-PORT",
                 _("bus=%s port=%s: %s; no device of this bus can be read until it is back"), who, w->where,
                 r->note.text[0] != '\0' ? r->note.text
                                         : _("cannot be opened; check that it exists and is ours"));
    else
        log_line(LOG_PRI_NOTICE, "FG-BUS-PORT-BACK", _("bus=%s port=%s outage=%llds: open again"), who,
                 w->where, (long long)w->port_outage_ms / 1000);
}

static const char *exception_advice(uint8_t code)
{
    switch (code) {
    case ILLEGAL_FUNCTION:
        return _("the device does not know this kind of register; check the profile and the model");
    case ILLEGAL_ADDRESS:
    case ILLEGAL_VALUE:
        return _("the device does not have these registers; check the profile, the model and the address");
    case DEVICE_FAILURE:
        return _("the device says that it is broken; switch it off and on, then replace it");
    case BUSY:
        return _("the device says that it is busy; ask it less often (every)");
    case GATEWAY_NO_PATH:
        return _(
            "the TCP gateway has no line to this unit; check the unit number and the gateway's settings");
    default:
        return _("the device refuses every question; look the code up in its manual");
    }
}

static const char *garbled_advice(enum driver_trouble trouble)
{
    switch (trouble) {
    case DRIVER_SHORT:
        return _("answers break off; check the supply, loose terminals and termination");
    case DRIVER_WRONG_UNIT:
        return _("answers come in another unit's name; check for two devices with one address");
    case DRIVER_WRONG_FUNCTION:
        return _("it answers something else than was asked; check for two devices with one address, or a "
                 "converter that keeps old answers");
    case DRIVER_GARBAGE:
        return _("what arrives makes no sense; check baud and format (parity), and A/B");
    case DRIVER_FOREIGN:
        return _("somebody else asks on this line; look for another master, or a sensor that sends unasked");
    case DRIVER_NO_TROUBLE:
    case DRIVER_SILENCE:
    case DRIVER_BAD_CRC:
    case DRIVER_LATE:
        break;
    }
    return _("answers are damaged; check wires, ground, termination, or two devices with one address");
}

static void say_state(struct poller_watch *w, struct poller_watch_device *d)
{
    char who[256], more[32] = "";
    if (d->changes > 1)
        snprintf(more, sizeof(more), " changes=%u", d->changes);
    snprintf(who, sizeof(who), "bus=%s device=%s unit=%d%s", w->bus, d->name, d->unit, more);

    switch (d->state) {
    case POLLER_WELL:
        log_line(LOG_PRI_NOTICE, "FG-BUS-BACK", _("%s outage=%llds: the device answers again"), who,
                 (long long)d->outage_ms / 1000);
        break;
    case POLLER_SILENT:
        log_line(LOG_PRI_WARNING, "FG-BUS-SILENT", _("%s tries=%u: no answer; %s"), who, d->failures,
                 w->where[0] == '/' ? _("check power, wires A/B, address, baud")
                                    : _("check power, unit number, and the line behind the host"));
        break;
    case POLLER_GARBLED:
        log_line(LOG_PRI_WARNING, "FG-BUS-GARBLED", _("%s tries=%u: %s"), who, d->failures,
                 garbled_advice(d->trouble));
        break;
    case POLLER_EXCEPTION:
        log_line(LOG_PRI_WARNING, "FG-BUS-EXCEPTION", _("%s exception=%d: %s"), who, d->exception,
                 exception_advice(d->exception));
        break;
    case POLLER_NO_PORT:
        break; /* never a device's state */
    }
    d->changes = 0;
    d->said = d->state;
    d->said_exception = d->exception;
}

/* A device that keeps falling silent and coming back must not fill the log. What cannot be said now is said
 * later, if it is still so. */
static bool may_speak(struct damp *of_device, struct damp *of_bus, int64_t now_mono_ms)
{
    if (!damp_allows(of_device, &DEVICE_LINES, now_mono_ms) || !damp_allows(of_bus, &BUS_LINES, now_mono_ms))
        return false;
    damp_take(of_device, &DEVICE_LINES, now_mono_ms);
    damp_take(of_bus, &BUS_LINES, now_mono_ms);
    return true;
}

/* These three say that the profile does not fit; asking again will not help, so nobody needs to wait. */
static bool is_definite(const struct driver_result *r)
{
    return r->failed == QUALITY_EXCEPTION && r->exception >= ILLEGAL_FUNCTION &&
           r->exception <= ILLEGAL_VALUE;
}

static void note_result(struct poller_watch_device *d, enum poller_trouble kind,
                        const struct driver_result *r)
{
    if (kind == POLLER_WELL) {
        if (d->kind != POLLER_WELL)
            d->outage_ms = r->mono_ms - d->since_mono_ms;
    } else if (d->kind == POLLER_WELL) {
        d->since_mono_ms = r->mono_ms;
    }
    d->run = kind == d->kind ? d->run + 1 : 1;
    d->failures = kind == POLLER_WELL ? 0 : d->failures + 1;
    d->kind = kind;
    if (kind == POLLER_EXCEPTION)
        d->exception = r->exception;
    if (kind == POLLER_GARBLED)
        d->trouble = r->trouble;
    /* On a bad line silence and garbage alternate: the first verdict counts failures of any kind. */
    unsigned enough = d->state == POLLER_WELL ? d->failures : d->run;
    if (kind != d->state && (kind == POLLER_WELL || enough >= FAILURES_THAT_COUNT || is_definite(r))) {
        d->state = kind;
        d->changes++;
    }
}

void poller_watch_result(struct poller_watch *w, struct poller_watch_device *d, const struct driver_result *r,
                         bool is_poll)
{
    enum poller_trouble kind = poller_watch_trouble(r);
    if (kind == POLLER_NO_PORT) {
        note_port(w, r, true);
        return;
    }
    note_port(w, r, false);
    if (!is_poll && kind != POLLER_SILENT)
        return; /* the poll that follows at once tells more */
    note_result(d, kind, r);
    bool news = d->state != d->said || (d->state == POLLER_EXCEPTION && d->exception != d->said_exception);
    if (news && may_speak(&d->damp, &w->damp, r->mono_ms))
        say_state(w, d);
}

void poller_watch_slow(struct poller_watch *w, struct poller_watch_device *d, int64_t timeout_ms)
{
    if (d->slow_said)
        return;
    d->slow_said = true;
    log_line(LOG_PRI_NOTICE, "FG-BUS-SLOW",
             _("bus=%s device=%s unit=%d timeout=%lldms: it answers later than its timeout and is given more "
               "time; write timeout: %lldms for it"),
             w->bus, d->name, d->unit, (long long)timeout_ms, (long long)timeout_ms);
}

static void say_config(struct poller_watch *w, struct poller_watch_device *d, size_t point)
{
    char who[256], more[32] = "";
    unsigned left_out = d->config_gone;
    d->config_news[point] = POLLER_CONFIG_TOLD;
    for (size_t i = 0; i < d->point_count; i++)
        left_out += d->config_news[i] == POLLER_CONFIG_UNTOLD;
    if (left_out > 0)
        snprintf(more, sizeof more, " left_out=%u", left_out);
    snprintf(who, sizeof who, "%s%s", d->point_names[point], more);
    d->config_gone = 0;
    log_line(LOG_PRI_WARNING, "FG-POINT-CONFIG",
             _("bus=%s device=%s unit=%d point=%s: the device does not have this register; check profile and "
               "address"),
             w->bus, d->name, d->unit, who);
}

void poller_watch_readings(struct poller_watch *w, struct poller_watch_device *d,
                           const struct reading *readings, int64_t now_mono_ms)
{
    for (size_t i = 0; i < d->point_count; i++) {
        enum quality q = readings[i].quality;
        if (q == QUALITY_GOOD || q == QUALITY_OUT_OF_RANGE || q == QUALITY_SENSOR_FAULT) {
            d->config_gone += d->config_news[i] == POLLER_CONFIG_UNTOLD;
            d->config_news[i] = POLLER_CONFIG_NONE;
        }
        if (q != QUALITY_CONFIG_ERROR || d->config_news[i] == POLLER_CONFIG_TOLD)
            continue;
        if (d->said == POLLER_EXCEPTION)
            continue; /* the device as a whole refuses: one line is enough until it gives something */
        d->config_news[i] = POLLER_CONFIG_UNTOLD;
        if (may_speak(&d->config_damp, &w->config_damp, now_mono_ms))
            say_config(w, d, i);
    }
}
