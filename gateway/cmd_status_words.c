/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd_status_words.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "text.h"

const char *status_span(int64_t ms, char ret[32])
{
    if (ms < 0)
        ms = 0;
    if (ms < 1000)
        snprintf(ret, 32, "%lld ms", (long long)ms);
    else if (ms < 120 * 1000)
        snprintf(ret, 32, "%lld s", (long long)(ms / 1000));
    else if (ms < 120 * 60000)
        snprintf(ret, 32, "%lld min", (long long)(ms / 60000));
    else if (ms < 48 * 3600000LL)
        snprintf(ret, 32, "%lld h", (long long)(ms / 3600000));
    else
        snprintf(ret, 32, "%lld d", (long long)(ms / 86400000));
    return ret;
}

const char *status_time(int64_t wall_ms, char ret[32])
{
    time_t t = (time_t)(wall_ms / 1000);
    struct tm tm;
    if (!localtime_r(&t, &tm) || strftime(ret, 32, "%Y-%m-%d %H:%M:%S", &tm) == 0)
        ret[0] = '\0';
    return ret;
}

const char *status_bytes(int64_t bytes, char ret[32])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double n = (double)bytes;
    size_t i = 0;
    for (; n >= 1024 && i + 1 < sizeof units / sizeof units[0]; i++)
        n /= 1024;
    snprintf(ret, 32, i == 0 || n >= 100 ? "%.0f %s" : "%.1f %s", n, units[i]);
    return ret;
}

const char *status_value(const cJSON *measured, const char *unit, char ret[64])
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(measured, "value");
    if (cJSON_IsBool(value))
        snprintf(ret, 64, "%s", cJSON_IsTrue(value) ? _("on") : _("off"));
    else if (cJSON_IsNumber(value))
        snprintf(ret, 64, "%.15g%s%s", value->valuedouble, *unit ? " " : "", unit);
    else
        snprintf(ret, 64, "-");
    return ret;
}

const char *status_state(const char *state)
{
    static const char *const states[] = {N_("ok"),     N_("waiting"), N_("retrying"),
                                         N_("silent"), N_("failed"),  N_("paused")};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        if (strcmp(states[i], state) == 0)
            return _(states[i]);
    return state;
}

static const char *advice_for(const char *reason)
{
    static const struct {
        const char *reason, *text;
    } advices[] = {
        {"no_reply", N_("check power, wires A/B, address, baud")},
        {"bad_crc", N_("check wires, ground and termination, or two devices with one address")},
        {"bad_frame", N_("check baud and parity, or another master on this line")},
        {"short", N_("the answer breaks off; check the supply, loose terminals and termination")},
        {"wrong_unit", N_("another unit answers; check for two devices with one address")},
        {"wrong_function", N_("it answers something else; check for two devices with one address")},
        {"garbage", N_("check baud, format (parity) and A/B")},
        {"foreign", N_("look for another master on this line, or a sensor that sends unasked")},
        {"late", N_("its answers come too late; raise its timeout")},
        {"exception", N_("the device refuses; check profile and registers")},
        {"not_connected", N_("check the port or network; see the log line FG-BUS-PORT")},
        {"config_error", N_("the profile does not fit this device")},
        {"sensor_fault", N_("the device says that its sensor has no measurement")},
        {"out_of_range", N_("not plausible; check the probe, and type and scale in the profile")},
    };
    for (size_t i = 0; i < sizeof advices / sizeof advices[0]; i++)
        if (strcmp(advices[i].reason, reason) == 0)
            return _(advices[i].text);
    return "";
}

/* The kind of failure says more than the quality that it leads to. */
const char *status_advice(const cJSON *device)
{
    const char *special = advice_for(json_string(device, "trouble", ""));
    if (strcmp(json_string(device, "state", ""), "paused") == 0)
        return _("left alone on command; it goes on by itself");
    return special[0] ? special : advice_for(json_string(device, "failed_with", ""));
}

const char *status_point_advice(const char *quality)
{
    return advice_for(quality);
}
