/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_news - log lines about what became of the buffer: a damaged database that was set aside, a new
 * stream and why, an uplink that was removed.
 *
 * Threads    Main thread.
 * Ownership  -
 * Errors     None.
 */
#ifndef FG_GATEWAY_NEWS_H
#define FG_GATEWAY_NEWS_H

#include "gateway_build.h"

/* To be called after the start and about once a second. */
void gateway_news_tell(struct gateway *g);

#endif
