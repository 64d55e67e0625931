/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_load - what the steps of config_load() share: the configuration as it is being built, beside the
 * text that it comes from.
 *
 * Threads    One thread.
 * Ownership  The loader belongs to config_load(); steps only fill it.
 * Errors     FG_ENOMEM only. What is wrong in the files becomes a problem.
 *
 * Entry i of config->buses, devices and uplinks stands in entry i of the list in the file.
 */
#ifndef FG_CONFIG_LOAD_H
#define FG_CONFIG_LOAD_H

#include "config_parse.h"
#include "config_profile.h"

struct config_loaded_profile {
    char *name;
    struct config_profile *profile; /* NULL: not found or with errors, which are reported */
};

struct config_loader {
    const struct config_options *options;
    struct config_file file; /* the main file */
    const struct yaml_node *root;
    struct config *config;
    struct config_folders folders;
    struct config_loaded_profile *profiles;
    size_t profile_count;
};

/* Buses: what belongs to which protocol, ports, speeds. */
void config_check_buses(struct config_loader *l);
/* Devices: finds their bus and profile, completes them from both and checks them. */
int config_complete_devices(struct config_loader *l);
/* The loaded profile of this name; FG_EINVALID when it cannot be used (reported at `place`). */
int config_use_profile(struct config_loader *l, const char *name, const struct yaml_node *place,
                       const struct config_at *at, const struct config_profile **ret);
/* Devices among each other. */
void config_check_devices(struct config_loader *l);
/* Buses whose devices are asked for more than the line can carry. For a configuration without errors. */
int config_check_busload(struct config_loader *l);
/* Uplinks whose max_rate is not above what the devices make. For a configuration without errors. */
void config_check_traffic(const struct config_loader *l);
/* Uplinks: urls, topics, ids. */
int config_check_uplinks(struct config_loader *l);
/* One uplink's password, certificate and key files. */
int config_check_secrets(struct config_loader *l, size_t uplink);

/* Reports keys that belong to another protocol, and missing ones that this protocol needs. */
void config_check_protocol_keys(const struct config_file *f, const struct config_at *at,
                                const struct config_section *section, const struct yaml_node *map,
                                unsigned protocol);
/* Reports an entry whose name an earlier entry has. name: the offset of a char * in the structs. */
void config_check_names(const struct config_loader *l, const char *list, const void *items, size_t count,
                        size_t size, size_t name);

#endif
