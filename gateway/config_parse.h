/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_parse - fills a section's struct from a YAML map, as the tables say.
 *
 * Threads    One thread.
 * Ownership  The struct owns what is put into it: config_struct_free().
 * Errors     FG_ENOMEM only. What is wrong in the file becomes a problem, the key keeps its default, and
 *            parsing goes on.
 */
#ifndef FG_CONFIG_PARSE_H
#define FG_CONFIG_PARSE_H

#include "config_problem.h"
#include "config_tables.h"

/* node NULL or null: nothing was written, only defaults apply. base: zeroed before the first call. */
int config_parse_map(const struct config_file *f, const struct config_at *at,
                     const struct config_section *section, const struct yaml_node *node, void *base);

/* The node of entry i of the list under a key of a map; NULL when there is none. */
const struct yaml_node *config_item(const struct yaml_node *map, const char *key, size_t i);
/* The node of a key, or the map itself when the key is missing: the best place for a message. */
const struct yaml_node *config_place(const struct yaml_node *map, const char *key);
/* 1: the key is given and its word is known; 0: not given; FG_EINVALID: given, but wrong (and reported by
 * now). */
int config_given_word(const struct config_section *section, const struct yaml_node *map, const char *key,
                      int64_t *ret);

#endif
