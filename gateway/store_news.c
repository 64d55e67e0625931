/* SPDX-License-Identifier: Apache-2.0 */
#include "store_news.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 32 /* not asked for yet; after these the oldest go */

struct entry {
    struct entry *next;
    bool told; /* kept only to know a removed uplink again */
    struct store_news_item item;
};

struct store_news {
    struct entry *first;
};

struct store_news *store_news_new(void)
{
    return calloc(1, sizeof(struct store_news));
}

void store_news_free(struct store_news *n)
{
    while (n && n->first) {
        struct entry *next = n->first->next;
        free(n->first);
        n->first = next;
    }
    free(n);
}

static void take_out(struct entry **at)
{
    struct entry *e = *at;
    *at = e->next;
    free(e);
}

static struct store_news_item *add(struct store_news *n, enum store_news_kind kind, const char *text)
{
    struct entry **at = &n->first, **oldest = NULL;
    size_t count = 0;
    for (; *at; at = &(*at)->next)
        if (!(*at)->told) {
            oldest = oldest ? oldest : at;
            count++;
        }
    struct entry *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    *at = e;
    e->item.kind = kind;
    snprintf(e->item.text, sizeof e->item.text, "%s", text);
    if (count >= MOST)
        take_out(oldest);
    return &e->item;
}

void store_news_salvaged(struct store_news *n, const char *kept_as)
{
    (void)add(n, STORE_NEWS_SALVAGED, kept_as);
}

void store_news_lost(struct store_news *n, uint64_t records)
{
    struct store_news_item *last = NULL;
    for (struct entry *e = n->first; e; e = e->next)
        if (e->item.kind == STORE_NEWS_SALVAGED)
            last = &e->item;
    if (last && records > last->lost)
        last->lost = records;
}

void store_news_stream(struct store_news *n, const char *reason, const char stream[STORE_STREAM_TEXT])
{
    /* The first of all; told as salvaged; told as a disk that fails. */
    static const char *const others[] = {"created", "damaged", "disk_failing"};
    for (size_t i = 0; reason && i < sizeof others / sizeof others[0]; i++)
        if (strcmp(reason, others[i]) == 0)
            return;
    struct store_news_item *item = reason ? add(n, STORE_NEWS_STREAM, reason) : NULL;
    if (item)
        memcpy(item->stream, stream, sizeof item->stream);
}

void store_news_uplink_removed(struct store_news *n, const char *name, uint64_t waiting)
{
    for (const struct entry *e = n->first; e; e = e->next)
        if (e->item.kind == STORE_NEWS_UPLINK_REMOVED && strcmp(e->item.text, name) == 0)
            return;
    struct store_news_item *item = add(n, STORE_NEWS_UPLINK_REMOVED, name);
    if (item)
        item->records = waiting;
}

static bool take(struct store_news *n, struct store_news_item *ret)
{
    struct entry **at = &n->first;
    while (*at && (*at)->told)
        at = &(*at)->next;
    if (!*at)
        return false;
    *ret = (*at)->item;
    if (ret->kind == STORE_NEWS_UPLINK_REMOVED)
        (*at)->told = true;
    else
        take_out(at);
    return true;
}

bool store_news(struct store *s, struct store_news_item *ret)
{
    if (!store_turn_try(&s->turn, STORE_STALL_MS))
        return false;
    bool any = take(s->news, ret);
    if (any && ret->kind == STORE_NEWS_SALVAGED)
        ret->records = s->newest + 1 - s->oldest - s->holes.total;
    store_turn_give(&s->turn);
    return any;
}
