/* SPDX-License-Identifier: Apache-2.0 */
#include "config_template.h"

#include <stdlib.h>
#include <string.h>

#include "config_problem.h"
#include "text.h"

static int expand_label(const char *name, size_t len, const struct config_labels *labels, struct buf *out,
                        struct err_note *note)
{
    char wanted[64];
    struct config_near near;
    size_t n = len < sizeof(wanted) ? len : sizeof(wanted) - 1;
    memcpy(wanted, name, n);
    wanted[n] = '\0';
    config_near_begin(&near, wanted);
    for (size_t i = 0; i < labels->count; i++) {
        if (strlen(labels->items[i].name) == len && memcmp(labels->items[i].name, name, len) == 0) {
            buf_adds(out, labels->items[i].value);
            return 0;
        }
        config_near_try(&near, labels->items[i].name);
    }
    if (near.best)
        return err_note(
            note, FG_EINVALID,
            _("names a label that the gateway does not have: {label.%s}; did you mean {label.%s}?"), wanted,
            near.best);
    return err_note(
        note, FG_EINVALID,
        _("names a label that the gateway does not have: {label.%s}; add it under gateway: labels:"), wanted);
}

static int expand_one(const char *name, size_t len, const struct config_names *names, struct buf *out,
                      struct err_note *note)
{
    if (len == 7 && memcmp(name, "gateway", 7) == 0) {
        buf_adds(out, names->gateway ? names->gateway : "{gateway}");
        return 0;
    }
    if (len == 6 && memcmp(name, "uplink", 6) == 0) {
        buf_adds(out, names->uplink ? names->uplink : "");
        return 0;
    }
    if (len > 6 && memcmp(name, "label.", 6) == 0)
        return expand_label(name + 6, len - 6, names->labels, out, note);
    return err_note(note, FG_EINVALID,
                    _("has an unknown placeholder {%.*s}; possible: {gateway}, {uplink}, {label.NAME}"),
                    (int)(len < 60 ? len : 60), name);
}

int config_template_expand(const char *text, const struct config_names *names, struct buf *out,
                           struct err_note *note)
{
    int err = 0;
    while (*text != '\0' && err == 0) {
        size_t plain = strcspn(text, "{");
        buf_add(out, text, plain);
        text += plain;
        if (*text == '\0')
            break;
        const char *end = strchr(text, '}');
        if (!end)
            return err_note(note, FG_EINVALID, _("opens { and never closes it; write {gateway}"));
        err = expand_one(text + 1, (size_t)(end - text - 1), names, out, note);
        text = end + 1;
    }
    if (err == 0 && !buf_ok(out))
        err = FG_ENOMEM;
    return err;
}

static int expand_field(char **field, const struct config_names *names)
{
    struct buf out = BUF_INIT;
    buf_reserve(&out, 1);
    int err = config_template_expand(*field, names, &out, NULL);
    if (err < 0) {
        buf_fini(&out);
        return err;
    }
    free(*field);
    *field = out.data;
    return 0;
}

int config_expand(struct config *c, const char *gateway_id)
{
    int err = 0;
    if (!c->gateway.id && !(c->gateway.id = strdup(gateway_id)))
        return FG_ENOMEM;
    for (size_t i = 0; i < c->uplink_count && err == 0; i++) {
        struct config_uplink *u = &c->uplinks[i];
        struct config_names names = {.gateway = gateway_id, .uplink = u->name, .labels = &c->gateway.labels};
        err = expand_field(&u->topic, &names);
        if (err == 0)
            err = expand_field(&u->client_id, &names);
    }
    return err;
}
