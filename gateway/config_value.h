/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_value - one written value into one field of a struct and back, as its row in the tables says.
 *
 * Threads    Pure functions.
 * Ownership  Texts in the struct are its own (malloc); config_struct_free() frees what the tables know of.
 * Errors     FG_EINVALID with a note that says what to write instead; FG_ENOMEM.
 */
#ifndef FG_CONFIG_VALUE_H
#define FG_CONFIG_VALUE_H

#include "buf.h"
#include "config_tables.h"
#include "err.h"

/* For the kinds that stand in one scalar. base: the section's struct. Nothing changes on failure. */
int config_value_parse(const struct config_key *key, const char *text, void *base, struct err_note *note);
/* The value as YAML: config_value_parse() reads it back to the same. */
void config_value_show(const struct config_key *key, const void *base, struct buf *out);
/* A number as a person would write it for this kind of key. */
void config_value_show_number(const struct config_key *key, int64_t value, struct buf *out);
/* Nothing was given: zero, NULL, no entries. Never true for keys that are always shown or have a default. */
bool config_value_absent(const struct config_key *key, const void *base);
/* FG_EINVALID, and the note lists the words and the one that may have been meant. */
int config_word_parse(const struct config_word *words, const char *text, int64_t *ret, struct err_note *note);
/* FG_EINVALID unless it is [a-z0-9][a-z0-9_-]{0,62}. */
int config_name_check(const char *text, struct err_note *note);

int64_t config_int_get(const struct config_key *key, const void *base);
size_t config_count_get(const struct config_key *key, const void *base);
void config_count_set(const struct config_key *key, void *base, size_t count);
/* The field itself: a char **, a struct config_labels, .. */
void *config_field(const struct config_key *key, void *base);
const void *config_field_const(const struct config_key *key, const void *base);

/* Frees every text, label and list in a section's struct, not the struct. */
void config_struct_free(const struct config_section *section, void *base);

#endif
