/* SPDX-License-Identifier: Apache-2.0 */
/* config_fixture - small helpers of the configuration's tests: a folder of their own, files in it, loading.
 */
#ifndef FG_CONFIG_FIXTURE_H
#define FG_CONFIG_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../gateway/config.h"
#include "../../gateway/err.h"

struct fixture {
    char dir[64];
    char path[128]; /* of the configuration in it */
};

/* Tests use relative paths, so that messages do not depend on where the sources are. */
static inline int enter_source(void **state)
{
    const char *root = getenv("FG_SOURCE");
    (void)state;
    return root ? chdir(root) : 0;
}

static inline int fixture_open(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (!f)
        return -1;
    snprintf(f->dir, sizeof(f->dir), "/tmp/fieldgate-config-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    snprintf(f->path, sizeof(f->path), "%s/fieldgate.yaml", f->dir);
    *state = f;
    return 0;
}

static inline int fixture_close(void **state)
{
    struct fixture *f = *state;
    char command[160];
    snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
    int failed = system(command);
    free(f);
    return failed;
}

static inline void write_text(const char *path, const char *text, size_t len)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static inline char *read_text(const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return NULL;
    char *text = calloc(1, 256 * 1024);
    assert_non_null(text);
    assert_true(fread(text, 1, 256 * 1024 - 1, file) < 256 * 1024 - 1);
    fclose(file);
    return text;
}

static inline int load(const char *path, const char *profiles, struct config **ret, struct buf *said)
{
    struct config_problems problems = {0};
    struct config_options options = {.path = path, .profile_dir = profiles};
    int err = config_load(&options, ret, &problems);
    assert_true((err == 0) == (*ret != NULL));
    assert_true((err == FG_EINVALID) == (problems.errors > 0));
    if (said) {
        buf_reset(said);
        buf_reserve(said, 1);
        config_problems_print(&problems, said);
    }
    config_problems_free(&problems);
    return err;
}

/* Loads without errors, or fails the test with what was said. */
static inline struct config *load_good(const char *path, const char *profiles)
{
    struct config *c = NULL;
    struct buf said = BUF_INIT;
    if (load(path, profiles, &c, &said) < 0)
        fail_msg("%s", said.data);
    buf_fini(&said);
    return c;
}

static inline struct config *load_written(const struct fixture *f, const char *text, const char *profiles)
{
    write_text(f->path, text, strlen(text));
    return load_good(f->path, profiles);
}

static inline char *shown(const struct config *c)
{
    struct buf out = BUF_INIT;
    config_show(c, &out);
    assert_true(buf_ok(&out));
    return out.data;
}

#endif
