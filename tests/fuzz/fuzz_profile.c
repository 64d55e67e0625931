/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_profile - any text as a profile and as a configuration: it is taken or refused with messages, and what
 * is taken can be shown, laid out, weighed and loaded again.
 *
 * Input: text. One that begins like a profile is read as one, too; "fuzzed" is its name.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../gateway/config.h"
#include "../../gateway/config_profile.h"
#include "demand.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[64], profile_path[96], config_path[96];

static void remove_folder(void)
{
    unlink(profile_path);
    unlink(config_path);
    rmdir(folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    snprintf(folder, sizeof folder, "/tmp/fieldgate-fuzz-XXXXXX");
    demand(mkdtemp(folder));
    snprintf(profile_path, sizeof profile_path, "%s/fuzzed.yaml", folder);
    snprintf(config_path, sizeof config_path, "%s/fieldgate.conf", folder);
    return atexit(remove_folder);
}

static void write_file(const char *path, const void *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    demand(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    close(fd);
}

static void print(const struct config_problems *problems)
{
    struct buf text = BUF_INIT;
    config_problems_print(problems, &text);
    buf_fini(&text);
}

static void read_profile(void)
{
    const char *const folders[] = {folder, NULL};
    struct config_profile *profile = NULL;
    struct config_source source = {0};
    struct config_problems problems = {0};
    int err = config_profile_read(folders, "fuzzed", &profile, &source, &problems);
    demand((err == 0) == (profile != NULL));
    demand(err < 0 || problems.errors == 0);
    print(&problems);
    config_profile_free(profile);
    free(source.name);
    free(source.text);
    config_problems_free(&problems);
}

/* What was taken must stand on its own feet. */
static void use(const struct config *c)
{
    struct buf layout = BUF_INIT;
    config_layout(c, &layout);
    for (size_t i = 0; i < c->bus_count; i++) {
        struct busload load;
        (void)config_bus_load(c, i, &load);
    }
    buf_fini(&layout);
}

static struct config *read_config(void)
{
    struct config_options options = {.path = config_path, .profile_dir = folder, .secrets_optional = true};
    struct config_problems problems = {0};
    struct config *config = NULL;
    int err = config_load(&options, &config, &problems);
    demand((err == 0) == (config != NULL));
    demand(err < 0 || problems.errors == 0);
    print(&problems);
    config_problems_free(&problems);
    return config;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    write_file(profile_path, data, size);
    if (size > 8 && memcmp(data, "profile:", 8) == 0)
        read_profile();
    write_file(config_path, data, size);
    struct config *config = read_config();
    if (!config)
        return 0;
    use(config);
    struct buf shown = BUF_INIT;
    config_show(config, &shown);
    config_free(config);
    if (buf_ok(&shown)) {
        write_file(config_path, shown.data, shown.len);
        config = read_config();
        demand(config); /* what show prints can be loaded again */
        config_free(config);
    }
    buf_fini(&shown);
    return 0;
}
