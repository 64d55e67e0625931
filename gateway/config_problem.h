/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_problem - collects what is wrong with configuration files, each with its place.
 *
 * Threads    One thread.
 * Ownership  Problems copy what they are given; config_problems_free() frees them.
 * Errors     Reporting cannot fail visibly: without memory the problem is still counted.
 */
#ifndef FG_CONFIG_PROBLEM_H
#define FG_CONFIG_PROBLEM_H

#include "config.h"
#include "yaml_doc.h"

/* The file that is being read, and where its problems go. */
struct config_file {
    const char *path;
    struct config_problems *problems;
};

/* The way from the root of a file to a value; built on the stack, downwards. */
struct config_at {
    const struct config_at *up; /* NULL: the root */
    const char *key;            /* NULL: an entry of a list */
    size_t index;
};

/* at NULL: the whole file. path NULL: no key is named. The format comes without file, place and path. */
void config_error(const struct config_file *f, const struct yaml_node *at, const struct config_at *path,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));
void config_warning(const struct config_file *f, const struct yaml_node *at, const struct config_at *path,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));
/* What the YAML parser found. */
void config_yaml_error(const struct config_file *f, const struct yaml_problem *problem);

/* By file (this one first), line and column; what stands in one place keeps its order. */
void config_problems_sort(struct config_problems *p, const char *first_file);

/* A scalar as it can be shown in a message: cut, without control characters. */
struct config_shown {
    char text[84];
};
const char *config_shown(const char *text, struct config_shown *buf);

/* Looks for the known word that somebody may have meant. */
struct config_near {
    const char *word;
    const char *best; /* NULL: none is near */
    size_t distance;  /* of the best */
};
void config_near_begin(struct config_near *n, const char *word);
void config_near_try(struct config_near *n, const char *candidate);

#endif
