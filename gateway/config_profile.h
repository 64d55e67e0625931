/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_profile - a device model's register map, read from PROFILES/<name>.yaml.
 *
 * Threads    One thread.
 * Ownership  config_profile_free() frees a profile and its strings, config_profile_names_free() a list
 *            of names.
 * Errors     config_profile_read(): FG_EINVALID when the file has errors (they are in the problems),
 *            FG_ENOTFOUND when there is no such file, FG_ENOMEM.
 */
#ifndef FG_CONFIG_PROFILE_H
#define FG_CONFIG_PROFILE_H

#include "config.h"

/* Where a scan may look, reading only. */
struct config_probe {
    enum point_register table;
    uint16_t address;
    uint16_t count;
    char *expect; /* what a device of this model answers there (scan_expect.h); NULL: anything */
    char *note;
};

struct config_profile {
    char *name, *title, *manufacturer, *source;
    bool tested;             /* maturity */
    struct modbus_line line; /* factory setting; baud 0 or format "" when not said */
    int unit;                /* factory setting; 0: not said */
    uint16_t max_registers, max_hole;
    int64_t min_every_ms, pause_ms;
    char *wires; /* NULL: not said */
    char **notes;
    size_t note_count;
    struct config_probe *probes;
    size_t probe_count;
    struct point *points;
    size_t point_count;
    struct point_report report; /* for points without a rule of their own */
    int64_t aggregate_ms;
};

/* Looks for <name>.yaml in the folders (NULL ends them). *ret_text (optional) gets the file's text, to be
 * freed. */
int config_profile_read(const char *const *folders, const char *name, struct config_profile **ret,
                        struct config_source *ret_source, struct config_problems *problems);
void config_profile_free(struct config_profile *p);

/* The path of the file that config_profile_read() would read; FG_ENOTFOUND. */
int config_profile_find(const char *const *folders, const char *name, char *ret_path, size_t cap);
/* The names of all profiles in the folders, sorted, each once. Folders that are not there hold none. */
int config_profile_names(const char *const *folders, char ***ret, size_t *ret_count);
void config_profile_names_free(char **names, size_t count);

/* The folders that these options mean, ending with NULL. The first is made from options->path. */
struct config_folders {
    char beside[4096];
    const char *list[3];
};
void config_profile_folders(const struct config_options *options, struct config_folders *ret);

#endif
