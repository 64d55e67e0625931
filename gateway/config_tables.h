/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_tables - every section and key of the configuration and of profiles, as data: what a key is called,
 * what it takes, where its value goes, what it is by default and what it means.
 *
 * Threads    Constant data.
 * Ownership  Static.
 * Errors     None.
 *
 * Parsing, defaults, freeing, `fieldgate show`, docs/CONFIG.md and the JSON Schema all walk these tables, so
 * that none of them can know a key that another does not.
 */
#ifndef FG_CONFIG_TABLES_H
#define FG_CONFIG_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_kind {
    CONFIG_TEXT,      /* char *; max: bytes; with words: one of them */
    CONFIG_NAME,      /* char *; [a-z0-9][a-z0-9_-]{0,62} */
    CONFIG_PATH,      /* char * */
    CONFIG_BOOL,      /* bool */
    CONFIG_INT,       /* any integer type; decimal or 0x.. */
    CONFIG_BAUD,      /* int; one of the words, which are numbers */
    CONFIG_DURATION,  /* int64_t, ms */
    CONFIG_SIZE,      /* int64_t or size_t, bytes */
    CONFIG_RATE,      /* int64_t, bytes per second */
    CONFIG_DECIMAL,   /* struct decimal; min and max are whole numbers */
    CONFIG_WORD,      /* any integer or enum: the value of one of the words */
    CONFIG_FRAME,     /* char[4]: one of the words itself */
    CONFIG_BUS,       /* a bus' name; stored as its index, and only once all buses are known */
    CONFIG_REFERENCE, /* a manual's 1-based register number; stored as table and address by config_point.c */
    CONFIG_BITS,      /* "0-7" or "3": into struct point */
    CONFIG_RAWS,      /* list of raw values: into struct point, by config_point.c, once the type is known */
    CONFIG_TEXTS,     /* char **, with a count; one text or a list */
    CONFIG_LABELS,    /* struct config_labels: any keys */
    CONFIG_MAP,       /* another section, whose offsets begin at `offset` */
    CONFIG_LIST,      /* array of another section's structs, with a count */
};

struct config_word {
    const char *word; /* NULL: the end */
    int64_t value;
};

/* A key that people write because another program or a manual calls it so. */
struct config_foreign {
    const char *key;    /* NULL: the end */
    const char *advice; /* N_("...") */
};

enum { CONFIG_ON_RTU = 1, CONFIG_ON_TCP = 2, CONFIG_ON_RTU_OVER_TCP = 4 };

struct config_key {
    const char *name;
    enum config_kind kind;
    bool required;              /* with `protocols`: on those */
    bool shown;                 /* by `fieldgate show` even when it is zero */
    unsigned protocols;         /* CONFIG_ON_*; 0: has a meaning everywhere */
    size_t offset, width;       /* in the section's struct */
    size_t count;               /* offset of the size_t beside TEXTS and LIST */
    size_t has;                 /* offset of a bool that is set when the key is given; 0: none */
    const char *otherwise;      /* the default, as it would be written; NULL: none */
    const char *otherwise_says; /* the default in words, for the reference */
    int64_t min, max;           /* in the unit of the kind; max 0: no bounds */
    const struct config_word *words;
    const struct config_section *section; /* MAP, LIST */
    const char *text; /* one line of English; N_("...") when required, since `check` says it then */
};

struct config_section {
    const char *name; /* also of its JSON Schema definition */
    const char *text;
    size_t size; /* of the struct */
    const struct config_key *keys;
    size_t key_count;
    const struct config_foreign *foreign; /* NULL: none */
    const char *schema;                   /* further members of its JSON Schema; NULL: none */
};

extern const struct config_section config_root; /* struct config */
extern const struct config_section config_profile_keys;
extern const struct config_section config_bus_keys; /* struct config_bus */
extern const struct config_section config_device_keys;
extern const struct config_section config_point_keys; /* struct point */
extern const struct config_section config_uplink_keys;
extern const struct config_section config_report_keys; /* struct point_report */
extern const struct config_word config_bauds[]; /* what the kernel's termios knows and libmodbus passes on */
extern const struct config_word config_frames[];

/* NULL when the section has no such key. */
const struct config_key *config_key_find(const struct config_section *section, const char *name);
/* CONFIG_ON_* of an enum modbus_protocol. */
unsigned config_protocol_bit(int protocol);
/* The word of a value, the first that fits; "?" when none does. */
const char *config_word_of(const struct config_word *words, int64_t value);

#endif
