/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml_doc - one YAML document as a tree of nodes that know their place. The door to libyaml.
 *
 * Threads    A document belongs to one thread while it is parsed; read-only afterwards.
 * Ownership  yaml_doc_free() frees every node; nodes and texts are lent until then.
 * Errors     FG_EINVALID with a problem for text that is no usable YAML, FG_EIO for a file that cannot be
 * read, FG_ENOMEM. Only the first problem of a file is found: behind it nothing can be trusted.
 *
 * Only the plain part of YAML is taken: maps, lists and scalars. Anchors, aliases, tags, a second document
 * and keys that are not scalars are refused; size, depth and the number of nodes are bounded while parsing.
 * Built from libyaml's events, not from its document API: that drops anchors and bounds nothing.
 */
#ifndef FG_YAML_DOC_H
#define FG_YAML_DOC_H

#include <stdbool.h>
#include <stddef.h>

#define YAML_DOC_SIZE_MAX (1024 * 1024) /* bytes */
#define YAML_DOC_DEPTH_MAX 16           /* maps and lists inside each other */
#define YAML_DOC_NODES_MAX 100000

enum yaml_kind { YAML_SCALAR, YAML_MAP, YAML_LIST };

struct yaml_entry;

struct yaml_node {
    enum yaml_kind kind;
    int line, column; /* 1-based; columns count characters */
    bool plain;       /* a scalar without quotes */
    const char *text; /* a scalar's, terminated; it may hold zero bytes: see len */
    size_t len;
    size_t count; /* entries of a map or list */
    const struct yaml_entry *entries;
};

struct yaml_entry {
    const struct yaml_node *key; /* NULL in a list */
    const struct yaml_node *value;
};

struct yaml_problem {
    int line, column; /* 1-based; 0: the whole file */
    char text[400];   /* what is wrong, likely cause, next step */
};

struct yaml_doc;

/* The text is copied as far as it is needed. A document without any content has no root. */
int yaml_doc_parse(const char *text, size_t len, struct yaml_doc **ret, struct yaml_problem *problem);
void yaml_doc_free(struct yaml_doc *doc);
/* NULL when the document is empty or holds comments only. */
const struct yaml_node *yaml_doc_root(const struct yaml_doc *doc);

/* The whole file, terminated, to be freed by the caller; problem says why not. */
int yaml_doc_read_file(const char *path, char **ret_text, size_t *ret_len, struct yaml_problem *problem);

/* The value of the first entry with this key; NULL when there is none or the node is no map. */
const struct yaml_node *yaml_doc_find(const struct yaml_node *map, const char *key);
/* Nothing was written after the colon, or `~` or `null`. */
bool yaml_doc_is_null(const struct yaml_node *node);

#endif
