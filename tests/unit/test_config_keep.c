/* SPDX-License-Identifier: Apache-2.0 */
/* The last good configuration: kept as a whole, replaced as a whole. */
#include <fcntl.h>

#include "config_fixture.h"

#define GOLDEN "tests/golden/config"

static const char first_text[] = "buses: [{name: b, protocol: tcp, host: h}]\n"
                                 "devices: [{name: d, bus: b, unit: 1, profile: good}]\n";
static const char second_text[] =
    "buses: [{name: b, protocol: tcp, host: h}]\n"
    "devices: [{name: d, bus: b, unit: 1, points: [{name: p, register: coil, address: 0}]}]\n";

static void keep(const struct fixture *f, const char *text)
{
    struct config *c = load_written(f, text, GOLDEN "/profiles");
    struct config_options options = {.path = f->path};
    assert_int_equal(config_keep(&options, c, f->dir), 0);
    config_free(c);
}

static void in_folder(const struct fixture *f, const char *name, char ret[192])
{
    snprintf(ret, 192, "%s/%s", f->dir, name);
}

static bool exists(const struct fixture *f, const char *name)
{
    char path[192];
    in_folder(f, name, path);
    return access(path, F_OK) == 0;
}

static void without_a_kept_configuration_none_is_found(void **state)
{
    struct fixture *f = *state;
    char path[256];
    assert_int_equal(config_kept_path(f->dir, path, sizeof(path)), FG_ENOTFOUND);
    assert_int_equal(config_kept_path("/nonexistent", path, sizeof(path)), FG_ENOTFOUND);
}

static void the_kept_copy_loads_without_the_original_and_its_profiles(void **state)
{
    struct fixture *f = *state;
    char path[256];
    keep(f, first_text);
    unlink(f->path);
    assert_int_equal(config_kept_path(f->dir, path, sizeof(path)), 0);
    struct config *c = load_good(path, NULL);
    assert_string_equal(c->devices[0].profile, "good");
    assert_int_equal(c->devices[0].point_count, 2);
    config_free(c);
}

static void what_is_kept_is_what_was_read_even_if_the_file_changed_since(void **state)
{
    struct fixture *f = *state;
    struct config *c = load_written(f, first_text, GOLDEN "/profiles");
    write_text(f->path, "torn: [", 7);
    struct config_options options = {.path = f->path};
    assert_int_equal(config_keep(&options, c, f->dir), 0);
    config_free(c);
    char path[256];
    assert_int_equal(config_kept_path(f->dir, path, sizeof(path)), 0);
    char *kept = read_text(path);
    assert_string_equal(kept, first_text);
    free(kept);
}

static void a_newer_one_replaces_file_and_profiles_together(void **state)
{
    struct fixture *f = *state;
    char path[256];
    keep(f, first_text);
    assert_true(exists(f, "last-good/profiles/good.yaml"));
    keep(f, second_text);
    assert_false(exists(f, "last-good/profiles/good.yaml"));
    assert_false(exists(f, "last-good.new"));
    assert_false(exists(f, "last-good.old"));
    assert_int_equal(config_kept_path(f->dir, path, sizeof(path)), 0);
    struct config *c = load_good(path, NULL);
    assert_null(c->devices[0].profile);
    config_free(c);
}

static void keeping_the_same_again_writes_nothing(void **state)
{
    struct fixture *f = *state;
    struct stat before, after;
    char path[192];
    keep(f, first_text);
    in_folder(f, "last-good/fieldgate.yaml", path);
    assert_int_equal(stat(path, &before), 0);
    keep(f, first_text);
    assert_int_equal(stat(path, &after), 0);
    assert_true(before.st_ino == after.st_ino);
}

static void a_half_written_folder_of_an_earlier_start_does_no_harm(void **state)
{
    struct fixture *f = *state;
    char path[192];
    in_folder(f, "last-good.new", path);
    assert_int_equal(mkdir(path, 0700), 0);
    in_folder(f, "last-good.new/profiles", path);
    assert_int_equal(mkdir(path, 0700), 0);
    in_folder(f, "last-good.new/profiles/stale.yaml", path);
    write_text(path, "x", 1);
    keep(f, first_text);
    assert_false(exists(f, "last-good/profiles/stale.yaml"));
    assert_true(exists(f, "last-good/profiles/good.yaml"));
}

/* The moment between two renames on a file system that cannot exchange folders. */
static void a_stop_between_two_renames_leaves_the_older_one_in_reach(void **state)
{
    struct fixture *f = *state;
    char kept[192], old[192], path[256];
    keep(f, first_text);
    in_folder(f, "last-good", kept);
    in_folder(f, "last-good.old", old);
    assert_int_equal(rename(kept, old), 0);
    assert_int_equal(config_kept_path(f->dir, path, sizeof(path)), 0);
    struct config *c = load_good(path, NULL);
    config_free(c);
    keep(f, second_text);
    assert_false(exists(f, "last-good.old"));
    assert_true(exists(f, "last-good/fieldgate.yaml"));
}

static void a_folder_that_cannot_be_written_is_reported_and_the_old_copy_stays(void **state)
{
    struct fixture *f = *state;
    char blocked[192], path[256];
    keep(f, first_text);
    in_folder(f, "last-good.new", blocked);
    write_text(blocked, "a file where the folder should be", 33);
    struct config *c = load_written(f, second_text, NULL);
    struct config_options options = {.path = f->path};
    assert_int_equal(config_keep(&options, c, f->dir), FG_EIO);
    config_free(c);
    assert_int_equal(config_kept_path(f->dir, path, sizeof(path)), 0);
    char *kept = read_text(path);
    assert_string_equal(kept, first_text);
    free(kept);
}

int main(void)
{
#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(without_a_kept_configuration_none_is_found),
        WITH_FOLDER(the_kept_copy_loads_without_the_original_and_its_profiles),
        WITH_FOLDER(what_is_kept_is_what_was_read_even_if_the_file_changed_since),
        WITH_FOLDER(a_newer_one_replaces_file_and_profiles_together),
        WITH_FOLDER(keeping_the_same_again_writes_nothing),
        WITH_FOLDER(a_half_written_folder_of_an_earlier_start_does_no_harm),
        WITH_FOLDER(a_stop_between_two_renames_leaves_the_older_one_in_reach),
        WITH_FOLDER(a_folder_that_cannot_be_written_is_reported_and_the_old_copy_stays),
    };
    return cmocka_run_group_tests(tests, enter_source, NULL);
}
