/* SPDX-License-Identifier: Apache-2.0 */
#include "config_profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config_parse.h"
#include "config_point.h"
#include "config_rule.h"
#include "config_tables.h"
#include "config_value.h"
#include "text.h"
#include "yaml_doc.h"

void config_profile_folders(const struct config_options *options, struct config_folders *ret)
{
    *ret = (struct config_folders){0};
    if (options->profile_dir) {
        ret->list[0] = options->profile_dir;
        return;
    }
    const char *slash = strrchr(options->path, '/');
    int folder = slash ? (int)(slash - options->path + 1) : 0;
    snprintf(ret->beside, sizeof(ret->beside), "%.*sprofiles", folder, options->path);
    ret->list[0] = ret->beside;
    ret->list[1] = FG_SHARE "/profiles";
}

int config_profile_find(const char *const *folders, const char *name, char *ret_path, size_t cap)
{
    for (; *folders; folders++) {
        int len = snprintf(ret_path, cap, "%s/%s.yaml", *folders, name);
        if (len > 0 && (size_t)len < cap && access(ret_path, F_OK) == 0)
            return 0;
    }
    return FG_ENOTFOUND;
}

static void check_name(const struct config_file *f, const struct yaml_node *root,
                       const struct config_profile *p, const char *name)
{
    if (p->name && strcmp(p->name, name) != 0)
        config_error(f, config_place(root, "profile"), &(struct config_at){.key = "profile"},
                     _("is \"%s\", but the file is called %s.yaml; make them the same"), p->name, name);
}

static int parse(const struct config_file *f, const struct yaml_doc *doc, const char *name,
                 struct config_profile *p)
{
    const struct yaml_node *root = yaml_doc_root(doc);
    if (!root) {
        config_error(f, NULL, NULL, _("the profile is empty; compare it with another one"));
        return 0;
    }
    int err = config_parse_map(f, NULL, &config_profile_keys, root, p);
    if (err < 0)
        return err;
    check_name(f, root, p, name);
    config_points_finish(f, NULL, root, p->points, p->point_count);
    config_rule_finish(f, NULL, root, NULL, &p->report, &p->aggregate_ms);
    return 0;
}

/* Takes the text over, into the source or to free it. */
static int read_text(const struct config_file *f, const char *name, char *text, size_t len,
                     struct config_profile **ret, struct config_source *ret_source)
{
    struct yaml_doc *doc = NULL;
    struct yaml_problem problem;
    struct config_profile *p = calloc(1, sizeof(*p));
    size_t errors = f->problems->errors;
    int err = p ? yaml_doc_parse(text, len, &doc, &problem) : FG_ENOMEM;
    if (err == FG_EINVALID)
        config_yaml_error(f, &problem);
    if (err == 0)
        err = parse(f, doc, name, p);
    if (err == 0 && f->problems->errors > errors)
        err = FG_EINVALID;
    yaml_doc_free(doc);
    if (err == 0 && ret_source) {
        char kept[128];
        snprintf(kept, sizeof(kept), "profiles/%s.yaml", name);
        *ret_source = (struct config_source){.name = strdup(kept), .text = text, .len = len};
        text = NULL;
    }
    free(text);
    if (err < 0)
        config_profile_free(p);
    else
        *ret = p;
    return err;
}

int config_profile_read(const char *const *folders, const char *name, struct config_profile **ret,
                        struct config_source *ret_source, struct config_problems *problems)
{
    char path[4224];
    if (config_profile_find(folders, name, path, sizeof(path)) < 0)
        return FG_ENOTFOUND;
    struct config_file f = {.path = path, .problems = problems};
    struct yaml_problem problem;
    char *text;
    size_t len;
    int err = yaml_doc_read_file(path, &text, &len, &problem);
    if (err == FG_ENOMEM)
        return err;
    if (err < 0) {
        config_yaml_error(&f, &problem);
        return FG_EINVALID;
    }
    return read_text(&f, name, text, len, ret, ret_source);
}

void config_profile_free(struct config_profile *p)
{
    if (!p)
        return;
    config_struct_free(&config_profile_keys, p);
    free(p);
}
