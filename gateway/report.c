/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

static bool has_moved(struct decimal change, struct decimal from, struct decimal to)
{
    struct decimal distance;
    from.negative = !from.negative && from.magnitude != 0;
    if (decimal_add(to, from, &distance) < 0)
        return true; /* more digits than can be told apart: rather one reading too many */
    distance.negative = false;
    return distance.magnitude != 0 && decimal_compare(distance, change) >= 0;
}

static bool says_something_else(struct decimal change, const struct reading *last, const struct reading *r)
{
    if (r->quality != last->quality || r->value.kind != last->value.kind)
        return true;
    switch (r->value.kind) {
    case VALUE_NONE:
        return false;
    case VALUE_BOOL:
        return r->value.boolean != last->value.boolean;
    case VALUE_NUMBER:
        return has_moved(change, last->value.number, r->value.number);
    case VALUE_STATS:
        break; /* not made by a poll */
    }
    return true;
}

bool report_wants(const struct report_rule *rule, const struct report_state *state, const struct reading *r,
                  int64_t mono_ms)
{
    if (r->quality == QUALITY_NOT_DUE)
        return false;
    return !state->told || mono_ms - state->mono_ms + rule->every_ms / 2 >= rule->at_least_ms ||
           says_something_else(rule->change, &state->last, r);
}

void report_told(struct report_state *state, const struct reading *r, int64_t mono_ms)
{
    *state = (struct report_state){.told = true, .last = *r, .mono_ms = mono_ms};
}
