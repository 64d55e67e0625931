/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink_expiry.h"

#include "clock.h"
#include "log.h"
#include "tls_expiry.h"

#define DAY_MS ((int64_t)24 * 3600 * 1000)
enum { WARN_DAYS = 30 };

static void look_at(const struct uplink_options *o, const char *key, const char *path, bool alternatives)
{
    const int64_t now = clock_wall_ms();
    struct tls_expiry e;
    if (!path || tls_expiry_read(path, alternatives, now, &e) < 0 || e.wall_ms - now > WARN_DAYS * DAY_MS)
        return;
    if (e.wall_ms > now)
        log_line(LOG_PRI_WARNING, "FG-LINK-EXPIRES",
                 "uplink=%s %s=%s days_left=%lld: the certificate of %s ends soon; put the new one there "
                 "before, it is read at each connect",
                 o->name, key, path, (long long)((e.wall_ms - now) / DAY_MS), e.name);
    else
        log_line(LOG_PRI_WARNING, "FG-LINK-EXPIRES",
                 "uplink=%s %s=%s days_left=0: the certificate of %s has ended, if the clock is right; put a "
                 "new one there, it is read at each connect",
                 o->name, key, path, e.name);
}

void uplink_expiry_look(struct uplink_expiry *e, const struct uplink_options *o, int64_t now_mono_ms)
{
    if (now_mono_ms < e->next_mono_ms || !o->clock_trusted(o->context))
        return;
    e->next_mono_ms = now_mono_ms + DAY_MS;
    look_at(o, "ca_file", o->mqtt.ca_file, true);
    look_at(o, "cert_file", o->mqtt.cert_file, false);
}
