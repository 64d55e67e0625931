/* SPDX-License-Identifier: Apache-2.0 */
#include "prom.h"

#include <stddef.h>

void prom_head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_label_value(struct buf *out, const char *value)
{
    for (; *value; value++) {
        if (*value == '\\' || *value == '"')
            buf_addc(out, '\\');
        if (*value == '\n')
            buf_adds(out, "\\n");
        else
            buf_addc(out, *value);
    }
}

/* All of a sample's line before its value. Not made by buf_addf(): a gateway writes thousands of them. */
static void begin(struct buf *out, const char *name, const struct prom_label *labels)
{
    buf_adds(out, name);
    for (const struct prom_label *l = labels; l && l->key; l++) {
        buf_addc(out, l == labels ? '{' : ',');
        buf_adds(out, l->key);
        buf_adds(out, "=\"");
        add_label_value(out, l->value);
        buf_addc(out, '"');
    }
    if (labels && labels->key)
        buf_addc(out, '}');
    buf_addc(out, ' ');
}

void prom_add(struct buf *out, const char *name, const struct prom_label *labels, int64_t value)
{
    begin(out, name, labels);
    buf_add_int(out, value);
    buf_addc(out, '\n');
}

void prom_add_milli(struct buf *out, const char *name, const struct prom_label *labels, uint64_t value)
{
    begin(out, name, labels);
    buf_add_uint(out, value / 1000);
    buf_addf(out, ".%03u\n", (unsigned)(value % 1000));
}
