/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config_load.h"
#include "config_tables.h"
#include "config_value.h"
#include "text.h"

static void check_position(const struct config_loader *l)
{
    const struct yaml_node *map = yaml_doc_find(l->root, "gateway");
    const struct yaml_node *latitude = yaml_doc_find(map, "latitude"),
                           *longitude = yaml_doc_find(map, "longitude");
    struct config_at at = {.key = "gateway"};
    if (!latitude != !longitude)
        config_error(&l->file, latitude ? latitude : longitude, &at,
                     _("latitude and longitude only go together; add %s"),
                     latitude ? "longitude" : "latitude");
}

/* Only warnings: what is on the disk can change overnight, and a configuration that was good must still load.
 */
static void check_place(const struct config_loader *l, const struct config_at *at,
                        const struct yaml_node *path)
{
    char folder[PATH_MAX];
    struct stat st;
    if (stat(path->text, &st) == 0 && S_ISDIR(st.st_mode)) {
        config_warning(&l->file, path, at, _("is a folder; name the file in it, like %s/buffer.db"),
                       path->text);
        return;
    }
    int len =
        snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path->text, '/') - path->text), path->text);
    bool standard = strcmp(folder, "/var/lib/fieldgate") == 0; /* systemd makes it */
    if (len > 0 && (size_t)len < sizeof folder && !standard && stat(folder, &st) < 0 && errno == ENOENT)
        config_warning(&l->file, path, at, _("the folder %s is not there; make it, writable for the service"),
                       folder);
}

static void check_store(const struct config_loader *l)
{
    const struct yaml_node *path = yaml_doc_find(yaml_doc_find(l->root, "store"), "path");
    struct config_at store = {.key = "store"}, at = {.up = &store, .key = "path"};
    if (!path || path->kind != YAML_SCALAR || path->len == 0)
        return;
    if (path->text[0] == '/')
        check_place(l, &at, path);
    else
        config_warning(&l->file, path, &at,
                       _("is a relative path, and the service starts in /; write the whole path"));
}

static int check(struct config_loader *l)
{
    int err = config_parse_map(&l->file, NULL, &config_root, l->root, l->config);
    if (err < 0)
        return err;
    check_position(l);
    check_store(l);
    config_check_buses(l);
    err = config_complete_devices(l);
    if (err < 0)
        return err;
    config_check_devices(l);
    if (l->file.problems->errors == 0)
        err = config_check_busload(l);
    if (err == 0)
        err = config_check_uplinks(l);
    if (err == 0 && l->file.problems->errors == 0)
        config_check_traffic(l);
    return err;
}

static void free_profiles(struct config_loader *l)
{
    for (size_t i = 0; i < l->profile_count; i++) {
        free(l->profiles[i].name);
        config_profile_free(l->profiles[i].profile);
    }
    free(l->profiles);
}

static int add_main_source(struct config *c, char *text, size_t len)
{
    c->sources = calloc(1, sizeof(*c->sources));
    char *name = strdup("fieldgate.yaml");
    if (!c->sources || !name) {
        free(text);
        free(name);
        return FG_ENOMEM;
    }
    c->sources[c->source_count++] = (struct config_source){.name = name, .text = text, .len = len};
    return 0;
}

const char *config_language_word(enum config_language language)
{
    switch (language) {
    case CONFIG_LANGUAGE_AUTO:
        return "auto";
    case CONFIG_LANGUAGE_EN:
        return "en";
    case CONFIG_LANGUAGE_VI:
        return "vi";
    }
    return "auto";
}

/* The text goes to l->config, or is freed. */
static int load_text(struct config_loader *l, char *text, size_t len)
{
    struct yaml_doc *doc = NULL;
    struct yaml_problem problem;
    int err = add_main_source(l->config, text, len);
    if (err == 0)
        err = yaml_doc_parse(text, len, &doc, &problem);
    if (err < 0) {
        if (err == FG_EINVALID)
            config_yaml_error(&l->file, &problem);
        return err;
    }
    l->root = yaml_doc_root(doc);
    int64_t language;
    if (config_given_word(&config_root, l->root, "language", &language) == 1)
        text_language(config_language_word((enum config_language)language));
    if (l->root)
        err = check(l);
    else
        config_error(&l->file, NULL, NULL, _("the file is empty; begin with the example in %s"),
                     "/usr/share/doc/fieldgate/examples");
    free_profiles(l);
    yaml_doc_free(doc);
    return err;
}

static int load(struct config_loader *l)
{
    struct yaml_problem problem;
    char *text;
    size_t len;
    config_profile_folders(l->options, &l->folders);
    int err = yaml_doc_read_file(l->options->path, &text, &len, &problem);
    if (err == FG_ENOMEM)
        return err;
    if (err < 0) {
        config_yaml_error(&l->file, &problem);
        return err;
    }
    return load_text(l, text, len);
}

int config_load(const struct config_options *options, struct config **ret, struct config_problems *problems)
{
    *ret = NULL;
    size_t errors = problems->errors;
    struct config_loader l = {
        .options = options,
        .file = {.path = options->path, .problems = problems},
        .config = calloc(1, sizeof(struct config)),
    };
    int err = l.config ? load(&l) : FG_ENOMEM;
    config_problems_sort(problems, options->path);
    if (err != FG_ENOMEM && problems->errors > errors)
        err = FG_EINVALID;
    if (err < 0) {
        config_free(l.config);
        return err;
    }
    *ret = l.config;
    return 0;
}

void config_free(struct config *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->uplink_count; i++)
        free(c->uplinks[i].password_path);
    config_struct_free(&config_root, c);
    for (size_t i = 0; i < c->source_count; i++) {
        free(c->sources[i].name);
        free(c->sources[i].text);
    }
    free(c->sources);
    free(c);
}
