/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said about bad configurations: every file of tests/golden/config has its messages beside it
 * (.expect). FG_GOLDEN_WRITE=1 writes them anew; each change of one is to be explained in its commit.
 */
#include <dirent.h>

#include "../../gateway/config_problem.h"
#include "config_fixture.h"

#define GOLDEN "tests/golden/config"
#define CASES_MAX 200

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t list_cases(char *names[CASES_MAX])
{
    DIR *dir = opendir(GOLDEN);
    struct dirent *entry;
    size_t count = 0;
    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        size_t len = strlen(entry->d_name);
        if (len > 5 && strcmp(entry->d_name + len - 5, ".yaml") == 0) {
            assert_true(count < CASES_MAX);
            names[count++] = strndup(entry->d_name, len - 5);
        }
    }
    closedir(dir);
    qsort(names, count, sizeof(names[0]), by_name);
    return count;
}

/* Returns whether the messages are the expected ones; prints both when they are not. */
static bool check_case(const char *name)
{
    char path[300], expect_path[300];
    snprintf(path, sizeof(path), GOLDEN "/%s.yaml", name);
    snprintf(expect_path, sizeof(expect_path), GOLDEN "/%s.expect", name);
    struct config *c = NULL;
    struct buf said = BUF_INIT;
    load(path, GOLDEN "/profiles", &c, &said);
    config_free(c);
    if (getenv("FG_GOLDEN_WRITE"))
        write_text(expect_path, said.data, said.len);
    char *expected = read_text(expect_path);
    bool same = expected && strcmp(said.data, expected) == 0;
    if (!same)
        fprintf(stderr, "%s: expected\n%s--- but got\n%s", name, expected ? expected : "(no file)\n",
                said.data);
    free(expected);
    buf_fini(&said);
    return same;
}

static void every_bad_file_gets_exactly_the_expected_messages(void **state)
{
    (void)state;
    char *names[CASES_MAX];
    size_t count = list_cases(names), wrong = 0;
    assert_true(count >= 50);
    for (size_t i = 0; i < count; i++) {
        wrong += !check_case(names[i]);
        free(names[i]);
    }
    assert_int_equal(wrong, 0);
}

static void all_problems_of_all_files_come_in_one_run_in_file_order(void **state)
{
    (void)state;
    struct config *c;
    struct buf said = BUF_INIT;
    load(GOLDEN "/broken_profiles.yaml", GOLDEN "/profiles", &c, &said);
    const char *main_file = strstr(said.data, "broken_profiles.yaml:4:");
    const char *first = strstr(said.data, "profiles/broken.yaml:2:"),
               *later = strstr(said.data, "profiles/broken.yaml:7:");
    const char *other = strstr(said.data, "profiles/torn.yaml:");
    assert_true(main_file && first && later && other);
    assert_true(main_file < first && first < later && later < other);
    buf_fini(&said);
}

static void a_missing_file_is_named_with_the_reason(void **state)
{
    (void)state;
    struct config *c;
    struct buf said = BUF_INIT;
    assert_int_equal(load("/nonexistent/fieldgate.yaml", NULL, &c, &said), FG_EINVALID);
    assert_string_equal(said.data,
                        "/nonexistent/fieldgate.yaml: error: cannot be read: No such file or directory; "
                        "check the path\n");
    buf_fini(&said);
}

static void a_flood_of_problems_is_counted_but_not_listed(void **state)
{
    struct fixture *f = *state;
    struct buf text = BUF_INIT, said = BUF_INIT;
    buf_adds(&text, "buses:\n");
    for (int i = 0; i < 3000; i++)
        buf_adds(&text, "- {nme: x}\n");
    write_text(f->path, text.data, text.len);
    struct config *c;
    load(f->path, NULL, &c, &said);
    assert_non_null(strstr(said.data, "... and 8502 more problems; mend these first\n"));
    buf_fini(&text);
    buf_fini(&said);
}

/* ---- secrets ---- */

static const char with_file[] =
    "uplinks:\n- name: u\n  url: mqtts://b.example\n  username: x\n  password_file: %s/pw\n"
    "  ca_file: %s/ca\n  cert_file: %s/cert\n  key_file: %s/key\n";

static void write_uplink(const struct fixture *f)
{
    char text[1024];
    snprintf(text, sizeof(text), with_file, f->dir, f->dir, f->dir, f->dir);
    write_text(f->path, text, strlen(text));
}

static void write_secret(const struct fixture *f, const char *name, mode_t mode)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", f->dir, name);
    write_text(path, "x", 1);
    assert_int_equal(chmod(path, mode), 0);
}

static void a_password_or_key_that_everybody_can_read_is_refused(void **state)
{
    struct fixture *f = *state;
    struct config *c = NULL;
    struct buf said = BUF_INIT;
    write_uplink(f);
    write_secret(f, "pw", 0644);
    write_secret(f, "ca", 0644);
    write_secret(f, "cert", 0644);
    write_secret(f, "key", 0604);
    assert_int_equal(load(f->path, NULL, &c, &said), FG_EINVALID);
    assert_non_null(strstr(said.data, ":5:18: error: uplinks[0].password_file: everybody on this machine"));
    assert_non_null(strstr(said.data, ":8:13: error: uplinks[0].key_file: everybody on this machine"));
    assert_null(strstr(said.data, "ca_file"));
    write_secret(f, "pw", 0640);
    write_secret(f, "key", 0600);
    assert_int_equal(load(f->path, NULL, &c, &said), 0);
    assert_non_null(strstr(c->uplinks[0].password_path, "/pw"));
    config_free(c);
    buf_fini(&said);
}

static int load_as(const struct fixture *f, bool required, bool optional, struct buf *said)
{
    struct config_problems problems = {0};
    struct config *c = NULL;
    struct config_options options = {
        .path = f->path, .secrets_required = required, .secrets_optional = optional};
    int err = config_load(&options, &c, &problems);
    buf_reset(said);
    config_problems_print(&problems, said);
    if (c && optional)
        assert_non_null(c->uplinks[0].password_path);
    config_problems_free(&problems);
    config_free(c);
    return err;
}

static void a_secret_gone_missing_does_not_stop_the_last_good_configuration(void **state)
{
    struct fixture *f = *state;
    struct buf said = BUF_INIT;
    static const char *const texts[] = {
        "uplinks: [{name: u, url: mqtts://b.example, username: x, credential: gone}]\n",
        "uplinks: [{name: u, url: mqtts://b.example, username: x, password_file: /nonexistent/pw}]\n"};
    write_secret(f, "pw", 0644);
    write_uplink(f); /* one file that everybody can read, and three that are gone */
    assert_int_equal(load_as(f, false, true, &said), 0);
    for (size_t i = 0; i < 2; i++) {
        write_text(f->path, texts[i], strlen(texts[i]));
        assert_int_equal(load_as(f, true, false, &said), FG_EINVALID);
        assert_int_equal(load_as(f, false, false, &said), FG_EINVALID);
        assert_int_equal(load_as(f, false, true, &said), 0);
        assert_non_null(strstr(said.data, "warning: uplinks[0]."));
    }
    buf_fini(&said);
}

static void a_secret_that_this_user_may_not_read_is_a_warning_until_it_is_required(void **state)
{
    struct fixture *f = *state;
    struct buf said = BUF_INIT;
    write_uplink(f);
    write_secret(f, "pw", 0600);
    write_secret(f, "ca", 0644);
    write_secret(f, "cert", 0644);
    write_secret(f, "key", 0000);
    assert_int_equal(chmod(f->dir, 0755), 0);
    if (getuid() == 0) /* root reads everything: be somebody else for a moment */
        assert_int_equal(seteuid(65534), 0);
    int checked = load_as(f, false, false, &said);
    bool warned = strstr(said.data, "warning: uplinks[0].key_file: may not be read by you") != NULL;
    int required = load_as(f, true, false, &said);
    if (getuid() == 0)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(checked, 0);
    assert_true(warned);
    assert_int_equal(required, FG_EINVALID);
    buf_fini(&said);
}

static void no_message_repeats_a_secret(void **state)
{
    struct fixture *f = *state;
    static const char text[] =
        "uplinks:\n"
        "- {name: a, url: \"mqtts://user:hunter2@b.example\", username: x, password: hunter2}\n"
        "- {name: b, url: mqtts://b.example, username: x, credential: hunter2}\n"
        "- {name: c, url: mqtts://b.example, username: x, password_file: hunter2}\n"
        "- {name: d, url: mqtts://b.example, username: x, credential: \"hunter2/\"}\n";
    struct config *c;
    struct buf said = BUF_INIT;
    write_text(f->path, text, strlen(text));
    assert_int_equal(load(f->path, NULL, &c, &said), FG_EINVALID);
    assert_non_null(strstr(said.data, "holds a user name or password"));
    assert_null(strstr(said.data, "hunter2"));
    buf_fini(&said);
}

/* ---- ports ---- */

static void two_paths_to_one_adapter_are_a_warning(void **state)
{
    struct fixture *f = *state;
    char text[600], link[160];
    snprintf(link, sizeof(link), "%s/link", f->dir);
    assert_int_equal(symlink("/dev/null", link), 0);
    snprintf(text, sizeof(text),
             "buses:\n- {name: a, protocol: rtu, port: /dev/null}\n- {name: b, protocol: rtu, port: %s}\n",
             link);
    write_text(f->path, text, strlen(text));
    struct config *c;
    struct buf said = BUF_INIT;
    assert_int_equal(load(f->path, NULL, &c, &said), 0);
    assert_non_null(strstr(said.data,
                           ":3:34: warning: buses[1].port: leads to the same adapter now as the port of the "
                           "bus a in line 2"));
    config_free(c);
    buf_fini(&said);
}

/* ---- did you mean ---- */

static const char *nearest(const char *word)
{
    static const char *const known[] = {"every", "enabled", "timeout", "unit", "bus", "soil_moisture"};
    struct config_near near;
    config_near_begin(&near, word);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        config_near_try(&near, known[i]);
    return near.best ? near.best : "";
}

static void a_slip_finds_the_word_that_was_meant_and_nonsense_finds_none(void **state)
{
    (void)state;
    assert_string_equal(nearest("evry"), "every");
    assert_string_equal(nearest("unti"), "unit"); /* swapped letters */
    assert_string_equal(nearest("Time-Out"), "timeout");
    assert_string_equal(nearest("soil-moisture"), "soil_moisture");
    assert_string_equal(nearest("soil"), "soil_moisture");
    assert_string_equal(nearest("x"), "");
    assert_string_equal(nearest(""), "");
    assert_string_equal(nearest("completely"), "");
    char long_word[200];
    memset(long_word, 'a', sizeof(long_word) - 1);
    long_word[sizeof(long_word) - 1] = '\0';
    assert_string_equal(nearest(long_word), "");
}

int main(void)
{
    setenv("CREDENTIALS_DIRECTORY", GOLDEN "/credentials", 1);
#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bad_file_gets_exactly_the_expected_messages),
        cmocka_unit_test(all_problems_of_all_files_come_in_one_run_in_file_order),
        cmocka_unit_test(a_missing_file_is_named_with_the_reason),
        WITH_FOLDER(a_flood_of_problems_is_counted_but_not_listed),
        WITH_FOLDER(a_password_or_key_that_everybody_can_read_is_refused),
        WITH_FOLDER(a_secret_gone_missing_does_not_stop_the_last_good_configuration),
        WITH_FOLDER(a_secret_that_this_user_may_not_read_is_a_warning_until_it_is_required),
        WITH_FOLDER(no_message_repeats_a_secret),
        WITH_FOLDER(two_paths_to_one_adapter_are_a_warning),
        cmocka_unit_test(a_slip_finds_the_word_that_was_meant_and_nonsense_finds_none),
    };
    return cmocka_run_group_tests(tests, enter_source, NULL);
}
