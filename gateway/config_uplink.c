/* SPDX-License-Identifier: Apache-2.0 */
/* Uplinks: urls, topics, client ids. See config_load.h. */
#include <stdlib.h>
#include <string.h>

#include "config_load.h"
#include "config_template.h"
#include "config_url.h"
#include "text.h"

/* The uplink that is being checked, and where it stands. */
struct job {
    struct config_loader *l;
    struct config_uplink *u;
    const struct yaml_node *map;
    const struct config_at *at;
};

static const struct yaml_node *place(const struct job *j, const char *key)
{
    return config_place(j->map, key);
}

/* The node of a url as written: one text or an entry of the list. */
static const struct yaml_node *url_node(const struct job *j, size_t i)
{
    const struct yaml_node *node = yaml_doc_find(j->map, "url");
    return node->kind == YAML_LIST && i < node->count ? node->entries[i].value : node;
}

/* Within the box nobody listens. */
static bool is_loopback(const char *host)
{
    return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 || strncmp(host, "127.", 4) == 0;
}

static void check_parsed(const struct job *j, const struct config_url *url, const struct yaml_node *node,
                         const struct config_at *at)
{
    bool password = j->u->credential || j->u->password_file;
    if (password && !url->tls && !is_loopback(url->host))
        config_warning(
            &j->l->file, node, at,
            _("sends the password so that everybody on the way can read it; write %s:// if the broker can"),
            url->websocket ? "wss" : "mqtts");
}

static void check_urls(const struct job *j, bool *ret_tls, bool *ret_plain)
{
    *ret_tls = *ret_plain = false;
    for (size_t i = 0; i < j->u->url_count; i++) {
        struct config_at url = {.up = j->at, .key = "url"}, entry = {.up = &url, .index = i};
        const struct yaml_node *node = url_node(j, i);
        const struct config_at *at = yaml_doc_find(j->map, "url")->kind == YAML_LIST ? &entry : &url;
        struct config_url parsed = {.tls = true}; /* nothing is said about TLS where it is not known */
        struct err_note note;
        struct config_shown shown;
        /* Not shown in the message: what stands before the @ is a secret. */
        if (strchr(j->u->urls[i], '@'))
            config_error(
                &j->l->file, node, at,
                _("holds a user name or password (before the @); write username: and credential: instead"));
        else if (config_url_parse(j->u->urls[i], &parsed, &note) < 0)
            config_error(&j->l->file, node, at, "\"%s\" %s", config_shown(j->u->urls[i], &shown), note.text);
        else
            check_parsed(j, &parsed, node, at);
        *ret_tls = *ret_tls || parsed.tls;
        *ret_plain = *ret_plain || !parsed.tls;
    }
}

static void check_host_name(const struct job *j, bool tls)
{
    struct config_at map = {.up = j->at, .key = "tls"},
                     at = {.up = &map, .key = "insecure_accept_any_host_name"};
    if (!j->u->any_host_name)
        return;
    const struct yaml_node *node = config_place(yaml_doc_find(j->map, "tls"), at.key);
    if (tls)
        config_warning(&j->l->file, node, &at,
                       _("whoever has any certificate of the same authority can pose as the broker; have one "
                         "issued for the host in url, then delete this line"));
    else
        config_warning(&j->l->file, node, &at,
                       _("has no effect, because no url uses TLS; write mqtts:// (or wss://) in url"));
}

static void check_tls(const struct job *j, bool tls, bool plain)
{
    static const char *const files[] = {"ca_file", "cert_file", "key_file"};
    for (size_t i = 0; i < 3; i++) {
        struct config_at at = {.up = j->at, .key = files[i]};
        if (!tls && plain && yaml_doc_find(j->map, files[i]))
            config_warning(&j->l->file, place(j, files[i]), &at,
                           _("has no effect, because no url uses TLS; write mqtts:// (or wss://) in url"));
    }
    check_host_name(j, tls);
    if (j->u->cert_file && !j->u->key_file)
        config_error(&j->l->file, place(j, "cert_file"), &(struct config_at){.up = j->at, .key = "cert_file"},
                     _("needs its key; add key_file:"));
    if (j->u->key_file && !j->u->cert_file)
        config_error(&j->l->file, place(j, "key_file"), &(struct config_at){.up = j->at, .key = "key_file"},
                     _("needs its certificate; add cert_file:"));
}

/* What is wrong with a topic whose placeholders are replaced; NULL: nothing. */
static const char *topic_fault(const char *topic)
{
    if (*topic == '\0')
        return _("is empty; write fieldgate/v1/{gateway}");
    if (strpbrk(topic, "+#"))
        return _("holds + or #, which are wildcards of subscribers; take them out");
    if (*topic == '$')
        return _("begins with $, which belongs to the broker itself; take it out");
    if (topic[strlen(topic) - 1] == '/')
        return _("ends with /, which would leave an empty level before /data; take it out");
    return NULL;
}

static int check_template(const struct job *j, const char *key, const char *text, bool topic)
{
    struct config_names names = {
        .gateway = j->l->config->gateway.id, .uplink = j->u->name, .labels = &j->l->config->gateway.labels};
    struct config_at at = {.up = j->at, .key = key};
    struct buf out = BUF_INIT;
    struct err_note note;
    buf_reserve(&out, 1);
    int err = config_template_expand(text, &names, &out, &note);
    const char *fault = err == 0 && topic ? topic_fault(out.data) : NULL;
    struct config_shown shown;
    if (err == FG_EINVALID || fault)
        config_error(&j->l->file, place(j, key), &at, "\"%s\" %s", config_shown(text, &shown),
                     fault ? fault : note.text);
    buf_fini(&out);
    return err == FG_ENOMEM ? err : 0;
}

static void check_words(const struct job *j)
{
    struct config_at format = {.up = j->at, .key = "format"}, version = {.up = j->at, .key = "version"};
    if (strcmp(j->u->format, "sparkplug") == 0)
        config_error(&j->l->file, place(j, "format"), &format,
                     _("sparkplug is not available in this version; use json"));
    if (j->u->version == 311)
        config_warning(
            &j->l->file, place(j, "version"), &version,
            _("with 3.1.1 a broker cannot say that it refuses a message, so what it refuses is lost unseen; "
              "write version: 5 where the broker knows it"));
}

static int check_one(const struct job *j, size_t index)
{
    bool tls, plain;
    check_urls(j, &tls, &plain);
    check_tls(j, tls, plain);
    check_words(j);
    int err = check_template(j, "topic", j->u->topic, true);
    if (err == 0)
        err = check_template(j, "client_id", j->u->client_id, false);
    return err < 0 ? err : config_check_secrets(j->l, index);
}

static bool same_broker(const struct config_uplink *a, const struct config_uplink *b)
{
    struct config_url x, y;
    for (size_t i = 0; i < a->url_count; i++)
        for (size_t k = 0; k < b->url_count; k++)
            if (config_url_parse(a->urls[i], &x, NULL) == 0 && config_url_parse(b->urls[k], &y, NULL) == 0 &&
                x.port == y.port && strcmp(x.host, y.host) == 0)
                return true;
    return false;
}

static bool same_client_id(const struct config *c, const struct config_uplink *a,
                           const struct config_uplink *b)
{
    struct buf x = BUF_INIT, y = BUF_INIT;
    struct config_names an = {.uplink = a->name, .labels = &c->gateway.labels, .gateway = c->gateway.id};
    struct config_names bn = {.uplink = b->name, .labels = &c->gateway.labels, .gateway = c->gateway.id};
    bool same = config_template_expand(a->client_id, &an, &x, NULL) == 0 &&
                config_template_expand(b->client_id, &bn, &y, NULL) == 0 && x.len == y.len &&
                (x.len == 0 || memcmp(x.data, y.data, x.len) == 0);
    buf_fini(&x);
    buf_fini(&y);
    return same;
}

static void check_client_ids(const struct config_loader *l, size_t i)
{
    const struct config *c = l->config;
    struct config_at list = {.key = "uplinks"}, at = {.up = &list, .index = i},
                     key = {.up = &at, .key = "client_id"};
    for (size_t k = 0; k < i; k++)
        if (same_broker(&c->uplinks[i], &c->uplinks[k]) &&
            same_client_id(c, &c->uplinks[i], &c->uplinks[k])) {
            const struct yaml_node *other = config_place(config_item(l->root, "uplinks", k), "client_id");
            config_error(
                &l->file, config_place(config_item(l->root, "uplinks", i), "client_id"), &key,
                _("is the same as in line %d on the same broker, which would throw one of them out again and "
                  "again; put {uplink} into it"),
                other->line);
            return;
        }
}

int config_check_uplinks(struct config_loader *l)
{
    struct config *c = l->config;
    struct config_at list = {.key = "uplinks"};
    int err = 0;
    config_check_names(l, "uplinks", c->uplinks, c->uplink_count, sizeof(*c->uplinks),
                       offsetof(struct config_uplink, name));
    for (size_t i = 0; i < c->uplink_count && err == 0; i++) {
        struct config_at at = {.up = &list, .index = i};
        struct job j = {.l = l, .u = &c->uplinks[i], .map = config_item(l->root, "uplinks", i), .at = &at};
        if (j.map->kind == YAML_MAP)
            err = check_one(&j, i);
        check_client_ids(l, i);
    }
    if (c->uplink_count == 0)
        config_warning(&l->file, yaml_doc_find(l->root, "uplinks"), NULL,
                       _("there are no uplinks, so nothing is sent; add them under uplinks:"));
    return err;
}
