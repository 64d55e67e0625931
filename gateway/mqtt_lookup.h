/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mqtt_lookup - looks up a broker's name while its client goes on with other things.
 *
 * Threads    Belongs to the client's thread. Each look-up runs on a thread of its own, since nothing ends the
 *            system's resolver early; a look-up that is given up goes on there, to its end.
 * Ownership  mqtt_lookup_start() to mqtt_lookup_drop(). The events must outlive the look-up, not its thread.
 * Errors     FG_ENOMEM; FG_ENOTFOUND with a note for a name without an address.
 *
 * Its end is an item MQTT_NOTHING, slot -1, in the client's events, under the generation that is wanted then.
 */
#ifndef FG_MQTT_LOOKUP_H
#define FG_MQTT_LOOKUP_H

#include "mqtt_events.h"
#include "mqtt_resolve.h"

struct mqtt_lookup;

/* turn as in mqtt_resolve(). */
int mqtt_lookup_start(const struct mqtt_url *url, unsigned turn, struct mqtt_events *events,
                      uint32_t generation, struct mqtt_lookup **ret);
/* From here on another generation waits for it; false: it has ended before. */
bool mqtt_lookup_adopt(struct mqtt_lookup *l, uint32_t generation);
/* FG_ERETRY while it has not ended; else what mqtt_resolve() says. */
int mqtt_lookup_result(struct mqtt_lookup *l, struct mqtt_address *ret, struct err_note *note);
/* Nobody waits for it any more. Accepts NULL. */
void mqtt_lookup_drop(struct mqtt_lookup *l);

#endif
