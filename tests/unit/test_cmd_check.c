/* SPDX-License-Identifier: Apache-2.0 */
/* fieldgate check and show as a technician meets them: what is printed where, and the exit code. */
#include "cmd_fixture.h"

#define GOLDEN "tests/golden/config"

static void a_good_file_is_summed_up_with_the_load_of_its_buses_and_links(void **state)
{
    struct outcome o;
    cmd_call(*state, cmd_check,
             ARGS("check", "--config", GOLDEN "/good.yaml", "--profiles", GOLDEN "/profiles"), &o);
    assert_int_equal(o.code, CMD_DONE);
    assert_string_equal(o.out, GOLDEN "/good.yaml: OK: 3 buses, 4 devices, 13 points, 2 uplinks\n"
                                      "bus field: under 1 % of the line's time\n"
                                      "bus pumphouse: under 1 % of the line's time\n"
                                      "bus server: under 1 % of the line's time\n"
                                      "uplink province: about 224 kB of readings a day\n"
                                      "uplink second: about 1.3 MB of readings a day\n");
    cmd_fini(&o);
}

static void rules_are_summed_up_with_the_bytes_that_they_save(void **state)
{
    struct outcome o;
    cmd_call(*state, cmd_check, ARGS("check", "--config", GOLDEN "/good_rules.yaml"), &o);
    assert_int_equal(o.code, CMD_DONE);
    assert_non_null(strstr(o.out, "uplink province: from "));
    assert_non_null(strstr(o.out, " of readings a day, when nothing changes, to "));
    assert_non_null(strstr(o.out, " without report: and aggregate:\n"));
    cmd_fini(&o);
}

static void show_prints_the_rules_in_effect(void **state)
{
    struct outcome o;
    cmd_call(*state, cmd_show, ARGS("show", "--config", GOLDEN "/good_rules.yaml"), &o);
    assert_int_equal(o.code, CMD_DONE);
    assert_non_null(strstr(o.out, "    report:\n      change: 0.2\n      at_least: 15min\n"));
    assert_non_null(strstr(o.out, "        report:\n          at_least: 15min\n"));
    assert_non_null(strstr(o.out, "    aggregate: 5min\n"));
    cmd_fini(&o);
}

static void errors_go_to_stderr_and_exit_with_78(void **state)
{
    struct outcome o;
    cmd_call(*state, cmd_check, ARGS("check", "--config", GOLDEN "/urls.yaml"), &o);
    assert_int_equal(o.code, CMD_CONFIG);
    assert_non_null(strstr(o.err, "urls.yaml:2:20: error: uplinks[0].url"));
    assert_string_equal(o.out, GOLDEN "/urls.yaml: NOT OK: 13 errors, 1 warning\n");
    cmd_fini(&o);
}

static void warnings_fail_only_when_strict(void **state)
{
    struct outcome o;
    cmd_call(*state, cmd_check, ARGS("check", "--config", GOLDEN "/store_path.yaml"), &o);
    assert_int_equal(o.code, CMD_DONE);
    assert_string_equal(o.out,
                        GOLDEN "/store_path.yaml: OK: 0 buses, 0 devices, 0 points, 0 uplinks, 3 warnings\n");
    cmd_fini(&o);
    cmd_call(*state, cmd_check, ARGS("check", "--strict", "--config", GOLDEN "/store_path.yaml"), &o);
    assert_int_equal(o.code, CMD_CONFIG);
    assert_string_equal(o.out, GOLDEN "/store_path.yaml: NOT OK: 0 errors, 3 warnings\n");
    cmd_fini(&o);
}

static void wrong_usage_exits_with_64_and_help_with_0(void **state)
{
    struct outcome o;
    static int (*const commands[])(int, char **) = {cmd_check, cmd_show};
    for (size_t i = 0; i < 2; i++) {
        cmd_call(*state, commands[i], ARGS("it", "--colour"), &o);
        assert_int_equal(o.code, CMD_USAGE);
        assert_non_null(strstr(o.err, "there is no option --colour\n`fieldgate it --help` tells more"));
        cmd_fini(&o);
        cmd_call(*state, commands[i], ARGS("it", "file.yaml"), &o);
        assert_int_equal(o.code, CMD_USAGE);
        assert_non_null(strstr(o.err, "unexpected \"file.yaml\""));
        cmd_fini(&o);
        cmd_call(*state, commands[i], ARGS("it", "--help"), &o);
        assert_int_equal(o.code, CMD_DONE);
        assert_non_null(strstr(o.out, "usage: fieldgate"));
        assert_string_equal(o.err, "");
        cmd_fini(&o);
    }
}

static void the_option_that_is_wrong_is_the_one_that_is_named(void **state)
{
    struct outcome o;
    cmd_call(*state, cmd_check, ARGS("it", "--config=x.yaml", "-xq"), &o);
    assert_non_null(strstr(o.err, "there is no option -x\n"));
    cmd_fini(&o);
    cmd_call(*state, cmd_check, ARGS("it", "--config=x.yaml", "-\u00e9"), &o);
    assert_non_null(strstr(o.err, "there is no option -\u00e9\n"));
    cmd_fini(&o);
    cmd_call(*state, cmd_check, ARGS("it", "--strict=1"), &o);
    assert_non_null(strstr(o.err, "option --strict takes no value\n"));
    cmd_fini(&o);
}

static void show_prints_yaml_that_check_accepts(void **state)
{
    struct fixture *f = *state;
    struct outcome o;
    cmd_call(f, cmd_show, ARGS("show", "--config", GOLDEN "/good.yaml", "--profiles", GOLDEN "/profiles"),
             &o);
    assert_int_equal(o.code, CMD_DONE);
    assert_non_null(strstr(o.out, "keepalive: 1min\n"));
    assert_null(strstr(o.out, "not-a-real-password"));
    write_text(f->path, o.out, strlen(o.out));
    cmd_fini(&o);
    cmd_call(f, cmd_check, ARGS("check", "--config", f->path, "--profiles", GOLDEN "/profiles"), &o);
    assert_int_equal(o.code, CMD_DONE);
    assert_null(strstr(o.err, "error"));
    cmd_fini(&o);
}

static void show_of_a_bad_file_prints_its_errors_only(void **state)
{
    struct outcome o;
    cmd_call(*state, cmd_show, ARGS("show", "--config", GOLDEN "/urls.yaml"), &o);
    assert_int_equal(o.code, CMD_CONFIG);
    assert_string_equal(o.out, "");
    assert_non_null(strstr(o.err, "error:"));
    cmd_fini(&o);
}

int main(void)
{
    setenv("CREDENTIALS_DIRECTORY", GOLDEN "/credentials", 1);
#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(a_good_file_is_summed_up_with_the_load_of_its_buses_and_links),
        WITH_FOLDER(rules_are_summed_up_with_the_bytes_that_they_save),
        WITH_FOLDER(show_prints_the_rules_in_effect),
        WITH_FOLDER(errors_go_to_stderr_and_exit_with_78),
        WITH_FOLDER(warnings_fail_only_when_strict),
        WITH_FOLDER(wrong_usage_exits_with_64_and_help_with_0),
        WITH_FOLDER(the_option_that_is_wrong_is_the_one_that_is_named),
        WITH_FOLDER(show_prints_yaml_that_check_accepts),
        WITH_FOLDER(show_of_a_bad_file_prints_its_errors_only),
    };
    return cmocka_run_group_tests(tests, enter_source, NULL);
}
