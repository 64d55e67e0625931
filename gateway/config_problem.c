/* SPDX-License-Identifier: Apache-2.0 */
#include "config_problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

/* Beyond that nobody reads on, and a hostile file shall not eat memory. */
#define PROBLEMS_MAX 500

static struct config_problem *add(struct config_problems *p, bool warning)
{
    if (warning)
        p->warnings++;
    else
        p->errors++;
    if (p->count == PROBLEMS_MAX)
        return NULL;
    if (p->count == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 16;
        struct config_problem *items = realloc(p->items, cap * sizeof(*items));
        if (!items)
            return NULL;
        p->items = items;
        p->cap = cap;
    }
    struct config_problem *item = &p->items[p->count++];
    *item = (struct config_problem){.warning = warning};
    return item;
}

/* devices[2].every */
static void add_path(struct buf *out, const struct config_at *path)
{
    if (!path)
        return;
    add_path(out, path->up);
    if (!path->key) {
        buf_addf(out, "[%zu]", path->index);
        return;
    }
    struct config_shown shown;
    if (out->len > 0)
        buf_addc(out, '.');
    buf_adds(out, config_shown(path->key, &shown));
}

static void report(const struct config_file *f, const struct yaml_node *at, const struct config_at *path,
                   bool warning, const char *format, va_list args)
{
    struct config_problem *item = add(f->problems, warning);
    if (!item)
        return;
    char said[1024];
    vsnprintf(said, sizeof(said), _(format), args);
    text_mend(said);
    struct buf text = BUF_INIT;
    add_path(&text, path);
    if (text.len > 0)
        buf_adds(&text, ": ");
    buf_adds(&text, said);
    item->file = strdup(f->path);
    item->line = at ? at->line : 0;
    item->column = at ? at->column : 0;
    item->text = buf_ok(&text) ? text.data : NULL;
    if (!item->text)
        buf_fini(&text);
}

void config_error(const struct config_file *f, const struct yaml_node *at, const struct config_at *path,
                  const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report(f, at, path, false, format, args);
    va_end(args);
}

void config_warning(const struct config_file *f, const struct yaml_node *at, const struct config_at *path,
                    const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report(f, at, path, true, format, args);
    va_end(args);
}

void config_yaml_error(const struct config_file *f, const struct yaml_problem *problem)
{
    struct yaml_node place = {.line = problem->line, .column = problem->column};
    config_error(f, &place, NULL, "%s", problem->text);
}

static int order(const struct config_problem *a, const struct config_problem *b, const char *first_file)
{
    const char *af = a->file ? a->file : "", *bf = b->file ? b->file : "";
    int by_file = strcmp(af, bf);
    if (by_file != 0) {
        if (strcmp(af, first_file) == 0)
            return -1;
        return strcmp(bf, first_file) == 0 ? 1 : by_file;
    }
    return a->line != b->line ? a->line - b->line : a->column - b->column;
}

void config_problems_sort(struct config_problems *p, const char *first_file)
{
    for (size_t i = 1; i < p->count; i++) {
        struct config_problem item = p->items[i];
        size_t k = i;
        for (; k > 0 && order(&p->items[k - 1], &item, first_file) > 0; k--)
            p->items[k] = p->items[k - 1];
        p->items[k] = item;
    }
}

void config_problems_print(const struct config_problems *p, struct buf *out)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct config_problem *item = &p->items[i];
        buf_adds(out, item->file ? item->file : "?");
        if (item->line > 0)
            buf_addf(out, ":%d:%d", item->line, item->column);
        buf_addf(out, ": %s: %s\n", item->warning ? _("warning") : _("error"),
                 item->text ? item->text : _("no memory to say what is wrong"));
    }
    size_t more = p->errors + p->warnings - p->count;
    if (more > 0)
        buf_addf(out, _("... and %zu more problems; mend these first\n"), more);
}

void config_problems_free(struct config_problems *p)
{
    for (size_t i = 0; i < p->count; i++) {
        free(p->items[i].file);
        free(p->items[i].text);
    }
    free(p->items);
    *p = (struct config_problems){0};
}

const char *config_shown(const char *text, struct config_shown *buf)
{
    size_t room = sizeof(buf->text) - 4, n = 0;
    while (n < room && text[n] != '\0') {
        buf->text[n] = (unsigned char)text[n] < 0x20 ? ' ' : text[n];
        n++;
    }
    if (text[n] != '\0') {
        /* Not in the middle of a character. */
        while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80)
            n--;
        memcpy(buf->text + n, "...", 3);
        n += 3;
    }
    buf->text[n] = '\0';
    return buf->text;
}
