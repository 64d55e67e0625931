/* SPDX-License-Identifier: Apache-2.0 */
/* fieldgate profiles as a technician meets it. */
#include "cmd_fixture.h"

#include "../../gateway/config_profile.h"

#define SHIPPED "config/profiles"
#define BROKEN "tests/golden/config/profiles"

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in:\n%s", part, text);
}

static size_t lines(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* A profile of the technician's own, beside the configuration. */
static void add_own(const struct fixture *f, const char *name, const char *title, const char *more)
{
    char path[256], text[1024];
    snprintf(path, sizeof(path), "%s/profiles", f->dir);
    mkdir(path, 0755);
    snprintf(path, sizeof(path), "%s/profiles/%s.yaml", f->dir, name);
    int len = snprintf(text, sizeof(text),
                       "profile: %s\ntitle: %s\n%spoints:\n"
                       "  - {name: level, register: input, address: 9, scale: 0.5, offset: -2, unit: cm}\n",
                       name, title, more);
    write_text(path, text, (size_t)len);
}

static void without_a_word_all_profiles_are_listed_by_name(void **state)
{
    struct outcome o;
    char **names;
    size_t count;
    static const char *const folders[] = {SHIPPED, NULL};
    assert_int_equal(config_profile_names(folders, &names, &count), 0);
    cmd_call(*state, cmd_profiles, ARGS("profiles", "--profiles", SHIPPED), &o);
    assert_int_equal(o.code, CMD_DONE);
    assert_string_equal(o.err, "");
    assert_true(count > 40);
    assert_int_equal(lines(o.out), count + 1);
    const char *at = o.out;
    for (size_t i = 0; i < count; i++) {
        at = strchr(at, '\n') + 1;
        assert_memory_equal(at, names[i], strlen(names[i]));
    }
    assert_has(o.out, "cwt-soil-thc-s");
    assert_has(o.out, "     5  manual    ComWinTop ");
    config_profile_names_free(names, count);
    cmd_fini(&o);
}

static void a_word_is_looked_for_in_name_title_and_manufacturer_in_any_case(void **state)
{
    struct outcome o;
    static const char *const words[][2] = {
        {"SDM6", "eastron-sdm630"}, {"rain gauge", "sonbest-xm9505"}, {"comwintop", "cwt-soil-ph-s"}};
    for (size_t i = 0; i < 3; i++) {
        cmd_call(*state, cmd_profiles, ARGS("profiles", "--profiles", SHIPPED, (char *)words[i][0]), &o);
        assert_int_equal(o.code, CMD_DONE);
        assert_has(o.out, words[i][1]);
        assert_null(strstr(o.out, "xy-md02"));
        cmd_fini(&o);
    }
}

static void accents_need_not_be_typed(void **state)
{
    struct fixture *f = *state;
    struct outcome o;
    static const char *const words[] = {"dau do do man", "ĐẦU ĐO", "Độ mặn", "dau DO"};
    add_own(f, "own-1", "Đầu đo độ mặn ruộng tôm", "");
    add_own(f, "own-2", "Máy bơm", "");
    for (size_t i = 0; i < 4; i++) {
        cmd_call(f, cmd_profiles, ARGS("profiles", "--config", f->path, (char *)words[i]), &o);
        assert_int_equal(o.code, CMD_DONE);
        assert_has(o.out, "own-1 ");
        assert_null(strstr(o.out, "own-2"));
        cmd_fini(&o);
    }
}

static void columns_stand_below_each_other_whatever_the_alphabet(void **state)
{
    struct fixture *f = *state;
    struct outcome o;
    add_own(f, "own-1", "one", "manufacturer: Đại học Cần Thơ\n");
    add_own(f, "own-2", "two", "manufacturer: ACME\n");
    cmd_call(f, cmd_profiles, ARGS("profiles", "--config", f->path, "own"), &o);
    assert_has(o.out, "  manual    Đại học Cần Thơ  one\n");
    assert_has(o.out, "  manual    ACME             two\n");
    cmd_fini(&o);
}

static void an_exact_name_shows_all_a_technician_needs(void **state)
{
    struct outcome o;
    cmd_call(*state, cmd_profiles, ARGS("profiles", "--profiles", SHIPPED, "cwt-soil-npk-s"), &o);
    assert_int_equal(o.code, CMD_DONE);
    assert_has(o.out, "cwt-soil-npk-s: CWT-Soil-NPK-S soil probe");
    assert_has(o.out, "factory line  4800 bit/s, 8N1, unit 1\n");
    assert_has(o.out, "limits        nothing new sooner than every 15s\n");
    assert_has(o.out, "wires         brown 4.5..30 V DC, black 0 V, yellow A, blue B\n");
    assert_has(o.out, "source        ComWinTop CWT-Soil-NPK-S manual V1.0");
    assert_has(o.out, "file          " SHIPPED "/cwt-soil-npk-s.yaml\n");
    assert_has(o.out, "identify      holding 0x07D0..0x07D1: unit address");
    assert_has(o.out, "  soil_temperature  holding 0x0001 (40002)  int16   x 0.1  Cel    -40..80\n");
    assert_has(o.out, "{name: my-sensor, bus: field, unit: 1, profile: cwt-soil-npk-s, every: 1min}\n");
    cmd_fini(&o);
}

static void offsets_orders_limits_and_missing_facts_are_told(void **state)
{
    struct fixture *f = *state;
    struct outcome o;
    add_own(f, "own-1", "level", "limits: {max_registers: 4, max_hole: 2, min_every: 5min, pause: 50ms}\n");
    cmd_call(f, cmd_profiles, ARGS("profiles", "--config", f->path, "own-1"), &o);
    assert_has(o.out, "factory line  not known");
    assert_has(o.out, "sooner than every 5min, silence before each request 50ms, at most 4\n");
    assert_has(o.out, "reads across 2 undescribed registers");
    assert_has(o.out, "  level  input 0x0009 (30010)  uint16  x 0.5 - 2  cm\n");
    assert_has(o.out, "every: 5min}\n");
    cmd_fini(&o);
    cmd_call(f, cmd_profiles, ARGS("profiles", "--profiles", SHIPPED, "pzem-004t"), &o);
    assert_has(o.out, "input 0x0001 (30002)  uint32 CDAB  x 0.001  A     0..100\n");
    cmd_fini(&o);
    cmd_call(f, cmd_profiles, ARGS("profiles", "--profiles", SHIPPED, "danfoss-fc51"), &o);
    assert_has(o.out, "holding 0xC417 (450200)");
    cmd_fini(&o);
}

static void the_example_line_is_accepted_by_check(void **state)
{
    struct fixture *f = *state;
    struct outcome o;
    struct config *c;
    char text[1024];
    cmd_call(f, cmd_profiles, ARGS("profiles", "--profiles", SHIPPED, "ecowitt-wn90lp"), &o);
    snprintf(text, sizeof(text), "buses:\n  - {name: field, protocol: rtu, port: /dev/ttyUSB0}\ndevices:\n%s",
             strstr(o.out, "  - {name: my-sensor"));
    c = load_written(f, text, SHIPPED);
    assert_int_equal(c->devices[0].unit, 144);
    config_free(c);
    cmd_fini(&o);
}

static void broken_profiles_are_reported_with_their_place_and_hide_no_other(void **state)
{
    struct outcome o;
    cmd_call(*state, cmd_profiles, ARGS("profiles", "--profiles", BROKEN), &o);
    assert_int_equal(o.code, CMD_CONFIG);
    assert_has(o.err, BROKEN "/broken.yaml:2:1: error: ");
    assert_has(o.err, BROKEN "/torn.yaml:4:1: error: ");
    assert_has(o.out, "\ngood ");
    assert_int_equal(lines(o.out), 3);
    cmd_fini(&o);
    cmd_call(*state, cmd_profiles, ARGS("profiles", "--profiles", BROKEN, "broken"), &o);
    assert_int_equal(o.code, CMD_CONFIG);
    assert_null(strstr(o.err, "torn.yaml"));
    assert_string_equal(o.out, "");
    cmd_fini(&o);
}

static void a_word_that_nothing_has_exits_with_1_and_says_what_may_have_been_meant(void **state)
{
    struct outcome o;
    cmd_call(*state, cmd_profiles, ARGS("profiles", "--profiles", SHIPPED, "xy-md03"), &o);
    assert_int_equal(o.code, CMD_FAILED);
    assert_string_equal(o.out, "");
    assert_has(o.err, "did you mean \"xy-md02\"?");
    cmd_fini(&o);
    cmd_call(*state, cmd_profiles, ARGS("profiles", "--profiles", "/nowhere"), &o);
    assert_int_equal(o.code, CMD_FAILED);
    assert_has(o.err, "there are no profiles in /nowhere;");
    cmd_fini(&o);
}

static void names_come_sorted_and_once_from_all_folders(void **state)
{
    struct fixture *f = *state;
    char own[128], path[256], **names;
    size_t count;
    add_own(f, "good", "own good", "");
    add_own(f, "a", "own a", "");
    snprintf(own, sizeof(own), "%s/profiles", f->dir);
    snprintf(path, sizeof(path), "%s/.hidden.yaml", own);
    write_text(path, "x", 1);
    snprintf(path, sizeof(path), "%s/notes.txt", own);
    write_text(path, "x", 1);
    const char *const folders[] = {own, "/nowhere", BROKEN, NULL};
    assert_int_equal(config_profile_names(folders, &names, &count), 0);
    assert_int_equal(count, 6);
    static const char *const expected[] = {"a", "broken", "counter", "good", "hollow", "torn"};
    for (size_t i = 0; i < count; i++)
        assert_string_equal(names[i], expected[i]);
    assert_int_equal(config_profile_find(folders, "good", path, sizeof(path)), 0);
    assert_memory_equal(path, own, strlen(own));
    config_profile_names_free(names, count);
}

static void wrong_usage_exits_with_64_and_help_with_0(void **state)
{
    struct outcome o;
    cmd_call(*state, cmd_profiles, ARGS("profiles", "soil", "probe"), &o);
    assert_int_equal(o.code, CMD_USAGE);
    assert_has(o.err, "unexpected \"probe\"");
    cmd_fini(&o);
    cmd_call(*state, cmd_profiles, ARGS("profiles", "--colour"), &o);
    assert_int_equal(o.code, CMD_USAGE);
    assert_has(o.err, "there is no option --colour\n`fieldgate profiles --help` tells more");
    cmd_fini(&o);
    cmd_call(*state, cmd_profiles, ARGS("profiles", "--help"), &o);
    assert_int_equal(o.code, CMD_DONE);
    assert_has(o.out, "usage: fieldgate profiles");
    assert_string_equal(o.err, "");
    cmd_fini(&o);
}

int main(void)
{
#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(without_a_word_all_profiles_are_listed_by_name),
        WITH_FOLDER(a_word_is_looked_for_in_name_title_and_manufacturer_in_any_case),
        WITH_FOLDER(accents_need_not_be_typed),
        WITH_FOLDER(columns_stand_below_each_other_whatever_the_alphabet),
        WITH_FOLDER(an_exact_name_shows_all_a_technician_needs),
        WITH_FOLDER(offsets_orders_limits_and_missing_facts_are_told),
        WITH_FOLDER(the_example_line_is_accepted_by_check),
        WITH_FOLDER(broken_profiles_are_reported_with_their_place_and_hide_no_other),
        WITH_FOLDER(a_word_that_nothing_has_exits_with_1_and_says_what_may_have_been_meant),
        WITH_FOLDER(names_come_sorted_and_once_from_all_folders),
        WITH_FOLDER(wrong_usage_exits_with_64_and_help_with_0),
    };
    return cmocka_run_group_tests(tests, enter_source, NULL);
}
