/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text - the door to gettext: what a technician reads, in the technician's language.
 *
 * Threads    text_init() and text_language() from the main thread before any other; _() from any thread.
 * Ownership  Returned strings are static.
 * Errors     An untranslated text is returned as it stands; an unknown language leaves English.
 *
 * A text is marked where it is written: _("...") in code, N_("...") in a static table that _() translates
 * when it is used. log_line(), err_note() and the like translate their format by themselves; po/texts.sh
 * lists them. Codes (FG-...), keys, names and units are never translated.
 */
#ifndef FG_TEXT_H
#define FG_TEXT_H

#include <libintl.h>
#include <stddef.h>

#define _(s) text_translate(s)
#define N_(s) s

/* Of the empty text gettext() itself would return the head of the translations. */
__attribute__((format_arg(1))) static inline const char *text_translate(const char *english)
{
    return *english ? gettext(english) : english;
}

/* Takes the language from the environment: LANGUAGE, LC_ALL, LC_MESSAGES, LANG. The translations are in the
 * folder FIELDGATE_LOCALE_DIR, or where `make install` puts them. */
void text_init(void);
/* The configuration's word ("vi", "en"; "auto" or NULL changes nothing). It comes before the environment, but
 * not before LANGUAGE, which somebody has set by hand for this one command. */
void text_language(const char *language);
/* Takes back what text_language() set, for a program that is started in this one's place. */
void text_forget_language(void);

/* What a library says (strerror, gai_strerror, SQLite, OpenSSL), translated where it is one of the usual
 * ones, whatever locales the box has. */
const char *text_said(const char *english);
const char *text_errno(int error);

/* Cuts off the piece of a character that is left where a buffer was too small for a UTF-8 text. */
void text_mend(char *text);
/* Columns that a UTF-8 text takes on a terminal; "ệ" is one. */
size_t text_width(const char *text);
/* The width to give to printf's "%*s" or "%-*s" so that the text fills so many columns. */
int text_field(const char *text, int columns);

#endif
