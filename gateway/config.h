/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config - the configuration file and the profiles it uses, read, checked and complete with defaults.
 *
 * Threads    One thread builds it; read-only afterwards.
 * Ownership  config_free() frees everything, strings too.
 * Errors     config_load() collects *all* problems of all files in one run; FG_EINVALID when one is an error.
 *
 * One declarative table per section (config_tables.c) drives parsing, defaults, `fieldgate show`,
 * docs/CONFIG.md and config/schema/fieldgate.json.
 */
#ifndef FG_CONFIG_H
#define FG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../drivers/modbus.h"
#include "buf.h"
#include "busload.h"
#include "clock.h"

struct config_label {
    char *name, *value;
};
struct config_labels {
    struct config_label *items;
    size_t count;
};

/* What messages, log lines and status are written in. */
enum config_language {
    CONFIG_LANGUAGE_AUTO, /* as the environment says */
    CONFIG_LANGUAGE_EN,
    CONFIG_LANGUAGE_VI,
};

struct config_gateway {
    char *id;   /* NULL: made at first start */
    char *name; /* NULL: none */
    bool has_position;
    struct decimal latitude, longitude;
    struct config_labels labels;
};

struct config_store {
    char *path;
    int64_t max_size; /* bytes */
    int64_t commit_every_ms;
    int64_t keep_delivered_ms;
};

struct config_clock {
    enum clock_trust trust;
    int64_t hold_ms;
};

struct config_bus {
    char *name;
    enum modbus_protocol protocol;
    char *port; /* rtu */
    enum modbus_rs485 rs485;
    struct modbus_line line;
    char *host; /* tcp, rtu_over_tcp */
    int tcp_port;
    int64_t timeout_ms;
    int64_t gap_ms;
};

struct config_device {
    char *name;
    size_t bus; /* index */
    int unit;
    char *profile;   /* NULL: points only */
    bool own_points; /* points were added to or given instead of the profile's */
    int64_t every_ms;
    bool enabled;
    struct config_labels labels;
    struct point_report report;       /* for points without a rule of their own; in effect */
    int64_t aggregate_ms;             /* the same; 0: none */
    struct modbus_line line;          /* in effect: device's, else bus' */
    int64_t timeout_ms, gap_ms;       /* in effect */
    uint16_t max_registers, max_hole; /* from the profile's limits; 0: none given */
    struct point *points;
    size_t point_count;
    size_t profile_points; /* the first so many points are the profile's */
};

enum config_order { CONFIG_LIVE_FIRST, CONFIG_OLDEST_FIRST };

struct config_uplink {
    char *name;
    char **urls;
    size_t url_count;
    char *
        topic; /* placeholders replaced, except when gateway.id is made at first start: see config_expand() */
    char *format; /* "json" */
    bool gzip;
    int version; /* 5 or 311 */
    char *client_id;
    char *username;      /* NULL: none */
    char *credential;    /* as written */
    char *password_file; /* as written */
    char *password_path; /* from credential or password_file; NULL: none */
    char *ca_file, *cert_file, *key_file;
    bool any_host_name; /* the broker's certificate may be for any host */
    int64_t keepalive_ms;
    bool start_now;
    enum config_order order;
    int64_t max_rate;   /* bytes per second; 0: none */
    int64_t max_age_ms; /* 0: none */
    size_t batch_samples;
    size_t batch_bytes;
    int64_t batch_delay_ms;
    char **commands;
    size_t command_count;
};

/* A file as it was read: what is kept as the last good configuration is exactly what was checked. */
struct config_source {
    char *name; /* inside the kept folder: fieldgate.yaml, profiles/x.yaml */
    char *text;
    size_t len;
};

struct config {
    enum config_language language;
    struct config_gateway gateway;
    struct config_store store;
    struct config_clock clock;
    struct config_bus *buses;
    size_t bus_count;
    struct config_device *devices;
    size_t device_count;
    struct config_uplink *uplinks;
    size_t uplink_count;
    struct config_source *sources;
    size_t source_count;
};

struct config_problem {
    char *file;
    int line, column; /* 1-based; 0: the whole file */
    bool warning;
    char *text; /* what is wrong, likely cause, next step */
};
struct config_problems {
    struct config_problem *items;
    size_t count, cap;
    size_t errors, warnings;
};

struct config_options {
    const char *path;
    const char *profile_dir; /* NULL: `profiles` beside the file, then the installed folder */
    /* Whether missing credentials count as errors (run, apply) or may be unreadable for this user (check). */
    bool secrets_required;
    /* For the last good configuration: a secret that has gone missing silences its uplink, not the farm; it
     * is a warning then, and the uplink keeps trying to read the file. */
    bool secrets_optional;
};

/* "auto", "en" or "vi". */
const char *config_language_word(enum config_language language);

/* Reads and checks, and goes over to the file's language as soon as that is known. On FG_EINVALID *ret is
 * NULL and problems say why; warnings may accompany success. */
int config_load(const struct config_options *options, struct config **ret, struct config_problems *problems);
void config_free(struct config *c);
void config_problems_free(struct config_problems *p);
/* `file:line:column: error: text`, one line each, in file order. */
void config_problems_print(const struct config_problems *p, struct buf *out);

/* Replaces {gateway}, {uplink} and {label.NAME} in topics and client ids, once the gateway's id is known. */
int config_expand(struct config *c, const char *gateway_id);
/* The driver's view of a device, which borrows its texts and points. */
struct modbus_device_options config_device_options(const struct config_device *d);
/* What the enabled devices of a bus need of its time, with usual latencies. FG_ENOTFOUND without any. */
int config_bus_load(const struct config *c, size_t bus, struct busload *ret);
/* With report rules traffic depends on what is measured: everything changes all the time, or nothing ever. */
enum config_traffic { CONFIG_TRAFFIC_MOST, CONFIG_TRAFFIC_LEAST, CONFIG_TRAFFIC_WITHOUT_RULES };
/* What the readings take of an uplink's link once they fill its messages, about: thousandths of a byte a
 * second. */
int64_t config_traffic(const struct config *c, size_t uplink, enum config_traffic which);
/* The layout text (layout.h) of the enabled devices, in configuration order. */
void config_layout(const struct config *c, struct buf *out);
/* What is in effect, defaults included, as YAML that can be loaded again. Secrets never appear: only their
 * paths. */
void config_show(const struct config *c, struct buf *out);

/* Last good configuration: the file and every profile it uses, copied into state_dir/last-good atomically. */
int config_keep(const struct config_options *options, const struct config *c, const char *state_dir);
/* Path of the kept file inside state_dir, or FG_ENOTFOUND. Its profiles stand in `profiles` beside it. */
int config_kept_path(const char *state_dir, char *ret_path, size_t cap);

/* docs/CONFIG.md's reference part and config/schema/fieldgate.json, generated from the tables. */
void config_write_reference(struct buf *out);
void config_write_schema(struct buf *out);

#endif
