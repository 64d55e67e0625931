/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text - the door to gettext: marks what a technician reads, so that it can be translated.
 *
 * Threads    text_init() once from main before any thread; _() from any thread.
 * Ownership  Returned strings are static.
 * Errors     An untranslated text is returned as it stands.
 */
#ifndef FG_TEXT_H
#define FG_TEXT_H

#include <libintl.h>
#include <locale.h>

#define _(s) gettext(s)
/* Marks a text in a static table, which _() translates when it is used. */
#define N_(s) s

static inline void text_init(void)
{
    setlocale(LC_MESSAGES, "");
    setlocale(LC_CTYPE, "");
    textdomain("fieldgate");
}

#endif
