/* SPDX-License-Identifier: Apache-2.0 */
#include "counter.h"

/* Part of the range that a counter can plausibly grow by between two readings: one in so many. */
#define PLAUSIBLE_PART 4

static int subtract(struct decimal a, struct decimal b, struct decimal *ret)
{
    b.negative = !b.negative && b.magnitude != 0;
    return decimal_add(a, b, ret);
}

/* What does not fit into a decimal is no plausible wrap either. */
static bool has_wrapped(struct decimal previous, struct decimal current, struct decimal wrap,
                        struct decimal *ret_increment)
{
    struct decimal left, increment, whole;
    if (decimal_compare(previous, wrap) >= 0 || current.negative)
        return false;
    if (subtract(wrap, previous, &left) < 0 || decimal_add(left, current, &increment) < 0 ||
        decimal_multiply(increment, decimal_from_int(PLAUSIBLE_PART), &whole) < 0 ||
        decimal_compare(whole, wrap) >= 0)
        return false;
    *ret_increment = increment;
    return true;
}

enum counter_step counter_step(const struct decimal *previous, struct decimal current,
                               const struct decimal *wrap, struct decimal *ret_increment)
{
    if (!previous)
        return COUNTER_FIRST;
    if (decimal_compare(current, *previous) >= 0)
        return subtract(current, *previous, ret_increment) < 0 ? COUNTER_UNKNOWN : COUNTER_GROWTH;
    if (wrap && has_wrapped(*previous, current, *wrap, ret_increment))
        return COUNTER_WRAP;
    if (current.negative)
        return COUNTER_UNKNOWN;
    *ret_increment = current;
    return COUNTER_RESTART;
}
