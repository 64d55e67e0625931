/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway_news.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "text.h"

/* A start with many uplinks gone is told whole; a card that is damaged again and again is not. */
static const struct damp_limits LINES = {40, 60 * 60 * 1000};

/* The reasons of a new stream: see docs/MQTT.md, stream_opened. */
static const struct {
    const char *reason, *cause;
} CAUSES[] = {
    {"missing", N_("the database is gone and a new one was made; what waited in it will not come")},
    {"memory_lost", N_("readings that were in memory only, because the disk refused them, are lost")},
    {"unproven",
     N_("the file beside the database that ends in -stream is missing or belongs to another one")},
    {"cloned", N_("the database comes from another machine")},
    {"restored", N_("the database is an older copy, as from a backup")},
    {"replaced", N_("another file stands in the place of the database, as after copying it")},
    {"rolled_back", N_("the database lacks records that it had already")},
    {"log_missing",
     N_("the file beside the database that ends in -wal is missing, and the newest records with it")},
    {"log_cut", N_("the file beside the database that ends in -wal has lost its end")},
    {"power_cut",
     N_("the machine went off without an orderly stop, and a card may forget what it has confirmed")},
};

static const char *cause_of(const char *reason)
{
    for (size_t i = 0; i < sizeof CAUSES / sizeof CAUSES[0]; i++)
        if (strcmp(CAUSES[i].reason, reason) == 0)
            return _(CAUSES[i].cause);
    return _("the database is not as it was left");
}

static void tell_salvaged(const struct gateway *g, const struct store_news_item *n, const char *left_out)
{
    const char *path = g->options.config->store.path;
    log_line(LOG_PRI_ERROR, "FG-STORE-SALVAGED",
             "path=%s%s kept_as=%s%s records=%llu lost=%llu: the database was damaged and set aside; what "
             "could be read goes on in a new one, under a new "
             "stream; check the card or disk (dmesg); keep the old file while somebody is to look into it, "
             "delete it when space is needed",
             path, left_out, n->text[0] ? n->text : path, n->text[0] ? "" : ".damaged-*",
             (unsigned long long)n->records, (unsigned long long)n->lost);
}

/* A power cut is a farm's everyday. */
static void tell_stream(const struct gateway *g, const struct store_news_item *n, const char *left_out)
{
    log_line(
        strcmp(n->text, "power_cut") == 0 ? LOG_PRI_NOTICE : LOG_PRI_WARNING, "FG-STORE-STREAM",
        "path=%s%s reason=%s stream=%s: %s; readings go on under a new stream, so that no number is used "
        "twice: receivers see stream_opened with this reason",
        g->options.config->store.path, left_out, n->text, n->stream, cause_of(n->text));
}

static void tell_uplink_removed(const struct store_news_item *n, const char *left_out)
{
    log_line(LOG_PRI_NOTICE, "FG-UPLINK-REMOVED",
             "uplink=%s%s waiting=%llu: is no longer in the configuration; records that waited for it alone "
             "are freed; if that was a "
             "mistake put it back soon: it then begins with the oldest record that is left",
             n->text, left_out, (unsigned long long)n->records);
}

static void tell(struct gateway *g, const struct store_news_item *n)
{
    const int64_t now = clock_mono_ms();
    char left_out[32] = "";
    if (!damp_allows(&g->news, &LINES, now)) {
        g->news_left_out++;
        return;
    }
    damp_take(&g->news, &LINES, now);
    if (g->news_left_out > 0)
        snprintf(left_out, sizeof left_out, " left_out=%u", g->news_left_out);
    g->news_left_out = 0;
    switch (n->kind) {
    case STORE_NEWS_SALVAGED:
        tell_salvaged(g, n, left_out);
        break;
    case STORE_NEWS_STREAM:
        tell_stream(g, n, left_out);
        break;
    case STORE_NEWS_UPLINK_REMOVED:
        tell_uplink_removed(n, left_out);
        break;
    }
}

void gateway_news_tell(struct gateway *g)
{
    struct store_news_item item;
    while (store_news(g->store, &item))
        tell(g, &item);
}
