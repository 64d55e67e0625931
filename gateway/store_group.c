/* SPDX-License-Identifier: Apache-2.0 */
#include "store_group.h"

#include <string.h>

#include "store_record.h"

static void pop_more(struct store_group *g, struct queue *q, size_t most_bytes, size_t most_records)
{
    if (g->data.len >= most_bytes || g->count >= most_records)
        return;
    size_t room = g->data.cap - g->data.len, count = most_records - g->count;
    if (room > most_bytes - g->data.len)
        room = most_bytes - g->data.len;
    g->data.len += queue_drain(q, g->data.data + g->data.len, room, &count);
    g->count += count;
}

int store_group_pop(struct store_group *g, struct queue *q, size_t most_bytes, size_t most_records,
                    int64_t deadline_mono_ms)
{
    size_t room = queue_max_message(q);
    buf_reserve(&g->data, room);
    if (!buf_ok(&g->data)) {
        g->data.failed = false; /* what is inside is whole */
        return FG_ENOMEM;
    }
    int n = queue_pop(q, g->data.data + g->data.len, room, deadline_mono_ms);
    if (n <= 0)
        return n;
    g->data.len += (size_t)n;
    g->count++;
    pop_more(g, q, most_bytes, most_records);
    return 0;
}

int store_group_add(struct store_group *g, int64_t ts_ms, uint32_t flags, const char *body, size_t len,
                    const char *extra, size_t extra_len)
{
    struct store_entry head = {.ts_ms = ts_ms,
                               .device = STORE_EVENT,
                               .flags = flags,
                               .body_len = (uint32_t)len,
                               .extra_len = (uint32_t)extra_len};
    buf_reserve(&g->data, sizeof head + len + extra_len);
    if (!buf_ok(&g->data)) {
        g->data.failed = false;
        return FG_ENOMEM;
    }
    buf_add(&g->data, &head, sizeof head);
    buf_add(&g->data, body, len);
    if (extra_len)
        buf_add(&g->data, extra, extra_len);
    g->count++;
    return 0;
}

int store_group_insert(const struct store_group *g, struct store_db *d, uint64_t first, uint32_t layout)
{
    const char *p = g->data.data;
    int err = 0;
    for (size_t i = 0; i < g->count && !err; i++) {
        struct store_entry head;
        memcpy(&head, p, sizeof head);
        p += sizeof head;
        struct store_row row = {.seq = first + i,
                                .ts_ms = head.ts_ms,
                                .layout = layout,
                                .device = head.device,
                                .flags = head.flags,
                                .body = p,
                                .body_len = head.body_len,
                                .extra = p + head.body_len,
                                .extra_len = head.extra_len};
        err = store_record_insert(d, &row);
        p += head.body_len + head.extra_len;
    }
    return err;
}

void store_group_reset(struct store_group *g)
{
    buf_reset(&g->data);
    g->count = 0;
}
