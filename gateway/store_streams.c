/* SPDX-License-Identifier: Apache-2.0 */
#include "store_streams.h"

#include <inttypes.h>
#include <string.h>

static size_t index_at(const struct store *s, uint64_t seq)
{
    size_t i = s->stream_count - 1;
    while (i > 0 && s->streams[i].first > seq)
        i--;
    return i;
}

const struct store_stream_row *store_stream_at(const struct store *s, uint64_t seq)
{
    return &s->streams[index_at(s, seq)];
}

uint64_t store_stream_end(const struct store *s, uint64_t seq)
{
    size_t i = index_at(s, seq);
    return i + 1 < s->stream_count ? s->streams[i + 1].first - 1 : UINT64_MAX;
}

int store_streams_waiting(struct store *s, size_t uplink, struct buf *ret_json)
{
    struct seqset_range r;
    store_turn_take(&s->turn);
    buf_addc(ret_json, '[');
    for (size_t i = 0, n = 0; i < s->stream_count; i++) {
        bool current = i + 1 == s->stream_count;
        uint64_t first = i == 0 ? 0 : s->streams[i].first;
        uint64_t last = current ? UINT64_MAX : s->streams[i + 1].first - 1;
        if (!current && !seqset_next(&s->uplinks[uplink].waiting, first, last, &r))
            continue;
        buf_addf(ret_json, "%s{\"stream\":\"%s\",\"first\":%" PRIu64 "}", n++ ? "," : "", s->streams[i].id,
                 s->streams[i].first);
    }
    buf_addc(ret_json, ']');
    store_turn_give(&s->turn);
    return buf_ok(ret_json) ? 0 : FG_ENOMEM;
}

int store_layouts_waiting(struct store *s, size_t uplink, uint32_t *ret, size_t cap)
{
    struct seqset_range r;
    size_t n = 0;
    store_turn_take(&s->turn);
    for (size_t i = 0; i < s->layout_count && n < cap; i++) {
        bool current = i + 1 == s->layout_count;
        uint64_t first = i == 0 ? 0 : s->layouts[i].first;
        uint64_t last = current ? UINT64_MAX : s->layouts[i + 1].first - 1;
        if (current || seqset_next(&s->uplinks[uplink].waiting, first, last, &r))
            ret[n++] = s->layouts[i].id;
    }
    /* The one in force is the most needed. */
    if (n == cap && n > 0)
        ret[n - 1] = s->layout;
    store_turn_give(&s->turn);
    return (int)n;
}
