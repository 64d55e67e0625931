/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sample - all readings taken from one device in one attempted poll, and the text in which a sample is
 * stored.
 *
 * Threads    Pure functions; a sample belongs to one thread.
 * Ownership  A sample lends its readings; whoever takes it copies.
 * Errors     Encoding can only fail through its buffer (buf_ok).
 *
 * The stored text ("body") is JSON, one element per point of the device, in layout order:
 *     23.4 | true          a good value
 *     null                 the point was not due in this poll
 *     "bad_crc"            no value, and why
 *     ["out_of_range",9.9] a measured but implausible number (it stands in `doubtful` when published)
 *     {"min":23.1,"mean":23.35,"max":23.6,"n":29,"bad":1}
 *                          many polls of an aggregated point; "bad" only when there are such, the first three
 *                          only when n is not 0
 * or one bare string ("no_reply") when the whole poll failed.
 * "Extra" is a JSON object without what is usual; empty text when there is nothing to say:
 *     {"missed":2,"clock":"untrusted","boot":"<32 hex>","up_ms":12345}
 *     {"missed":2,"clock":"corrected"}
 *     {"span_ms":300000,"partial":"started","suppressed":30}
 * A span is a length, not a beginning, so that it stays right when the time is corrected; it always stands
 * first.
 */
#ifndef FG_SAMPLE_H
#define FG_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "decimal.h"

enum quality {
    QUALITY_GOOD,
    QUALITY_NOT_DUE,       /* the point was not asked in this poll */
    QUALITY_NO_REPLY,      /* silence until the timeout */
    QUALITY_BAD_CRC,       /* a frame of the right shape with a wrong check sum */
    QUALITY_BAD_FRAME,     /* too short, wrong unit, function or byte count, or foreign bytes */
    QUALITY_EXCEPTION,     /* the device answered with a Modbus exception */
    QUALITY_NOT_CONNECTED, /* the port or host cannot be opened */
    QUALITY_SENSOR_FAULT,  /* the device says that it has no measurement (invalid value, NaN) */
    QUALITY_OUT_OF_RANGE,  /* measured, but outside min/max: the number is kept as doubtful */
    QUALITY_CONFIG_ERROR,  /* the device does not have this register: the profile does not fit */
};
#define QUALITY_COUNT (QUALITY_CONFIG_ERROR + 1)

enum value_kind { VALUE_NONE, VALUE_BOOL, VALUE_NUMBER, VALUE_STATS };

/* What the good readings of a point were like over some time. */
struct sample_stats {
    struct decimal min, mean, max; /* not set when n is 0 */
    uint32_t n, bad;               /* good readings, and the others */
};

struct value {
    enum value_kind kind;
    bool boolean;
    struct decimal number;
    const struct sample_stats *stats; /* lent */
};

struct reading {
    enum quality quality;
    struct value value; /* VALUE_NONE unless the quality is GOOD or OUT_OF_RANGE */
};

struct sample {
    uint32_t device;     /* index in the layout in force */
    int64_t wall_ms;     /* when the last byte of the last answer came, or when the poll was given up */
    int64_t mono_ms;     /* the same instant on the monotonic clock */
    bool clock_trusted;  /* whether wall_ms can be believed */
    enum quality failed; /* QUALITY_GOOD unless the whole poll failed; then count may be 0 */
    uint32_t missed;     /* periods skipped before this sample */
    uint32_t suppressed; /* samples before this one that were held back by a rule */
    int64_t span_ms;     /* > 0: not one poll, but so much time until wall_ms */
    const char *partial; /* NULL, or why span_ms is not a whole window */
    size_t count;        /* points of the device, in layout order */
    const struct reading *readings;
};

/* The published word for a quality: "good", "no_reply", "bad_crc", ... */
const char *quality_word(enum quality q);

void sample_encode_body(const struct sample *s, struct buf *body);
/* boot_id as clock_boot_id() gives it; appends nothing when there is nothing unusual. */
void sample_encode_extra(const struct sample *s, const char *boot_id, struct buf *extra);
/* The members that mark a time as untrusted, without braces. */
void sample_encode_untrusted(const char *boot_id, int64_t mono_ms, struct buf *extra);
/* When extra marks a time of this boot as untrusted: appends it marked as corrected, and says when it was on
 * the monotonic clock. Else false, and nothing is appended. */
bool sample_correct_extra(const char *extra, size_t len, const char *boot_id, int64_t *ret_mono_ms,
                          struct buf *out);

/* Walks the elements of a stored body without unpacking it. Start with *cursor at the '[' of the text; later
 * the cursor rests on the ',' or ']' behind the element, so a text that begins with one of these must not be
 * walked. Yields each element as a slice; false at the end, or where the text is not such an array. At the
 * end of a well-formed array, and only there, *cursor == end. Safe on any bytes; slices are ASCII and valid
 * JSON, without the escapes that parsers refuse. */
struct sample_element {
    const char *text;
    size_t len;
};
bool sample_next_element(const char **cursor, const char *end, struct sample_element *ret);
/* An element that is a pair of a quality word (with its quotes) and one doubtful value: ["out_of_range",9.9].
 * False: anything else; ret_* are then unchanged. */
bool sample_element_pair(struct sample_element element, struct sample_element *ret_quality,
                         struct sample_element *ret_doubtful);
/* Whether the body of a failed sample is what it should be: one quality word with its quotes. */
bool sample_is_word(const char *body, size_t len);

#endif
