/* SPDX-License-Identifier: Apache-2.0 */
#include "yaml_doc.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "err.h"
#include "text.h"
#include "yaml_explain.h"

/* A node as it is built: what others see comes first. */
struct own_node {
    struct yaml_node node;
    struct own_node *older; /* all nodes of a document, so that freeing needs no recursion */
    struct yaml_entry *entries;
    size_t cap;
    char *text;
};

struct yaml_doc {
    struct own_node *newest;
    struct own_node *root;
    size_t node_count;
    bool started; /* the first document has begun */
};

/* What is open at the place where the parser stands. */
struct level {
    struct own_node *container;
    struct own_node *key; /* of a map: waits for its value */
};

struct builder {
    struct yaml_doc *doc;
    struct level stack[YAML_DOC_DEPTH_MAX];
    size_t depth;
    struct yaml_problem *problem;
};

static int refuse(struct builder *b, const yaml_mark_t *mark, const char *text)
{
    return yaml_explain_at(b->problem, (int)mark->line + 1, (int)mark->column + 1, "%s", text);
}

static int add_entry(struct own_node *container, struct own_node *key, struct own_node *value)
{
    if (container->node.count == container->cap) {
        size_t cap = container->cap ? container->cap * 2 : 8;
        struct yaml_entry *entries = realloc(container->entries, cap * sizeof(*entries));
        if (!entries)
            return FG_ENOMEM;
        container->entries = entries;
        container->cap = cap;
        container->node.entries = entries;
    }
    container->entries[container->node.count++] = (struct yaml_entry){
        .key = key ? &key->node : NULL,
        .value = &value->node,
    };
    return 0;
}

static int attach(struct builder *b, struct own_node *node, const yaml_mark_t *mark)
{
    if (b->depth == 0) {
        b->doc->root = node;
        return 0;
    }
    struct level *top = &b->stack[b->depth - 1];
    if (top->container->node.kind == YAML_LIST)
        return add_entry(top->container, NULL, node);
    if (top->key) {
        struct own_node *key = top->key;
        top->key = NULL;
        return add_entry(top->container, key, node);
    }
    if (node->node.kind != YAML_SCALAR)
        return refuse(b, mark, _("a key must be a plain word; a map or list cannot be a key"));
    top->key = node;
    return 0;
}

static struct own_node *new_node(struct builder *b, enum yaml_kind kind, const yaml_mark_t *mark)
{
    struct own_node *n = calloc(1, sizeof(*n));
    if (!n)
        return NULL;
    n->node.kind = kind;
    n->node.line = (int)mark->line + 1;
    n->node.column = (int)mark->column + 1;
    n->older = b->doc->newest;
    b->doc->newest = n;
    b->doc->node_count++;
    return n;
}

static int check_node(struct builder *b, const yaml_mark_t *mark, const void *anchor, const void *tag)
{
    if (anchor)
        return refuse(b, mark, _("anchors (&name) are not taken here; write the values out"));
    if (tag)
        return refuse(b, mark, _("tags (!name) are not taken here; delete it, or put the value in quotes"));
    if (b->doc->node_count >= YAML_DOC_NODES_MAX)
        return refuse(b, mark, _("the file has too many entries; move device maps into profiles"));
    return 0;
}

static int on_scalar(struct builder *b, const yaml_event_t *e)
{
    int err = check_node(b, &e->start_mark, e->data.scalar.anchor, e->data.scalar.tag);
    if (err < 0)
        return err;
    struct own_node *n = new_node(b, YAML_SCALAR, &e->start_mark);
    if (!n || !(n->text = malloc(e->data.scalar.length + 1)))
        return FG_ENOMEM;
    memcpy(n->text, e->data.scalar.value, e->data.scalar.length);
    n->text[e->data.scalar.length] = '\0';
    n->node.text = n->text;
    n->node.len = e->data.scalar.length;
    n->node.plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return attach(b, n, &e->start_mark);
}

static int on_start(struct builder *b, enum yaml_kind kind, const yaml_event_t *e, const void *anchor,
                    const void *tag)
{
    int err = check_node(b, &e->start_mark, anchor, tag);
    if (err < 0)
        return err;
    if (b->depth == YAML_DOC_DEPTH_MAX)
        return refuse(b, &e->start_mark,
                      _("too many levels inside each other; is a bracket open too often?"));
    struct own_node *n = new_node(b, kind, &e->start_mark);
    if (!n)
        return FG_ENOMEM;
    err = attach(b, n, &e->start_mark);
    if (err < 0)
        return err;
    b->stack[b->depth++] = (struct level){.container = n};
    return 0;
}

/* 1: the end of the stream. */
static int on_event(struct builder *b, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (b->doc->started)
            return refuse(b, &e->start_mark, _("a second document begins here (---); keep one per file"));
        b->doc->started = true;
        return 0;
    case YAML_ALIAS_EVENT:
        return refuse(b, &e->start_mark, _("aliases (*name) are not taken here; write the values out"));
    case YAML_SCALAR_EVENT:
        return on_scalar(b, e);
    case YAML_SEQUENCE_START_EVENT:
        return on_start(b, YAML_LIST, e, e->data.sequence_start.anchor, e->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return on_start(b, YAML_MAP, e, e->data.mapping_start.anchor, e->data.mapping_start.tag);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        b->depth--;
        return 0;
    case YAML_STREAM_END_EVENT:
        return 1;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return 0;
    }
    return 0;
}

static int build(struct builder *b, yaml_parser_t *parser, const char *text, size_t len)
{
    int err = 0;
    while (err == 0) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event)) {
            if (parser->error == YAML_MEMORY_ERROR)
                return FG_ENOMEM;
            return yaml_explain(b->problem, text, len,
                                &(struct yaml_complaint){
                                    .problem = parser->problem,
                                    .context = parser->context,
                                    .line = (int)parser->problem_mark.line + 1,
                                    .column = (int)parser->problem_mark.column + 1,
                                    .context_line = (int)parser->context_mark.line + 1,
                                    .context_column = (int)parser->context_mark.column + 1,
                                });
        }
        err = on_event(b, &event);
        yaml_event_delete(&event);
    }
    return err < 0 ? err : 0;
}

int yaml_doc_parse(const char *text, size_t len, struct yaml_doc **ret, struct yaml_problem *problem)
{
    /* A byte order mark is harmless at the beginning, but libyaml refuses it once told that this is UTF-8. */
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        len -= 3;
    }
    int err = yaml_explain_bytes(problem, text, len);
    if (err < 0)
        return err;
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return FG_ENOMEM;
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);

    struct builder b = {.doc = calloc(1, sizeof(struct yaml_doc)), .problem = problem};
    err = b.doc ? build(&b, &parser, text, len) : FG_ENOMEM;
    yaml_parser_delete(&parser);
    if (err < 0) {
        yaml_doc_free(b.doc);
        return err;
    }
    *ret = b.doc;
    return 0;
}

void yaml_doc_free(struct yaml_doc *doc)
{
    if (!doc)
        return;
    while (doc->newest) {
        struct own_node *n = doc->newest;
        doc->newest = n->older;
        free(n->entries);
        free(n->text);
        free(n);
    }
    free(doc);
}

const struct yaml_node *yaml_doc_root(const struct yaml_doc *doc)
{
    return doc->root && !yaml_doc_is_null(&doc->root->node) ? &doc->root->node : NULL;
}

const struct yaml_node *yaml_doc_find(const struct yaml_node *map, const char *key)
{
    if (!map || map->kind != YAML_MAP)
        return NULL;
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->entries[i].key->text, key) == 0)
            return map->entries[i].value;
    return NULL;
}

bool yaml_doc_is_null(const struct yaml_node *node)
{
    return node->kind == YAML_SCALAR && node->plain &&
           (node->len == 0 || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}

static int read_stream(FILE *file, char **ret_text, size_t *ret_len)
{
    char *text = malloc(YAML_DOC_SIZE_MAX + 1);
    if (!text)
        return FG_ENOMEM;
    size_t len = fread(text, 1, YAML_DOC_SIZE_MAX + 1, file);
    if (ferror(file) || len > YAML_DOC_SIZE_MAX) {
        int err = ferror(file) ? FG_EIO : FG_ERANGE;
        free(text);
        return err;
    }
    text[len] = '\0';
    char *fitting = realloc(text, len + 1);
    if (fitting)
        text = fitting;
    *ret_text = text;
    *ret_len = len;
    return 0;
}

int yaml_doc_read_file(const char *path, char **ret_text, size_t *ret_len, struct yaml_problem *problem)
{
    errno = 0;
    FILE *file = fopen(path, "re");
    int err = file ? read_stream(file, ret_text, ret_len) : FG_EIO;
    if (err == FG_EIO)
        yaml_explain_at(problem, 0, 0, _("cannot be read: %s; %s"), text_errno(errno),
                        errno == EACCES ? _("try again with sudo") : _("check the path"));
    if (err == FG_ERANGE)
        err = yaml_explain_at(problem, 0, 0, _("is larger than %d KiB; is this the right file?"),
                              YAML_DOC_SIZE_MAX / 1024);
    if (file)
        fclose(file);
    return err;
}
