/* SPDX-License-Identifier: Apache-2.0 */
/* What a support bundle is made of: texts without secrets, in an archive that tar reads. */
#include "unit.h"

#include "../../gateway/redact.h"
#include "../../gateway/tar.h"

static void expect(const struct redact *r, const char *text, const char *wanted)
{
    struct buf out = BUF_INIT;
    buf_adds(&out, "");
    redact_text(r, text, strlen(text), &out);
    assert_true(buf_ok(&out));
    assert_string_equal(out.data, wanted);
    buf_fini(&out);
}

static void known_secrets_go_wherever_they_stand(void **state)
{
    (void)state;
    struct redact r;
    redact_init(&r);
    redact_know(&r, "hunter22\n", 9);
    static const char MORE[] = "hunter22-and-more\r\nabc\n\n-----BEGIN X-----\nMIIE";
    redact_know(&r, MORE, sizeof MORE - 1);
    assert_true(redact_ok(&r));
    expect(&r, "a=hunter22,b=xhunter22x", "a=[removed],b=x[removed]x");
    expect(&r, "hunter22-and-more!", "[removed]!"); /* the longer one */
    expect(&r, "abc -----BEGIN X----- MIIE",
           "abc -----BEGIN X----- [removed]"); /* too short, and no secret */
    expect(&r, "", "");
    redact_fini(&r);
}

static void what_looks_like_a_secret_goes_and_what_names_one_stays(void **state)
{
    (void)state;
    struct redact r;
    redact_init(&r);
    expect(&r, "url: mqtts://gw:p@ss@b.example:8883/x", "url: mqtts://[removed]@b.example:8883/x");
    expect(&r, "url: mqtts://b.example:8883 # a@b", "url: mqtts://b.example:8883 # a@b");
    expect(&r, "password: x y\nname: z\n", "password: [removed]\nname: z\n");
    expect(&r, "{\"Token\": \"x\"}\n", "{\"Token\": [removed]\n");
    expect(&r, "password_file: /x\ncredential: y\n", "password_file: /x\ncredential: y\n");
    expect(&r, "  - secret: |\n      one\n\n      two\n    url: z\n", "  - secret: [removed]\n    url: z\n");
    expect(&r, "  - secret: x\n    url: z\n", "  - secret: [removed]\n    url: z\n");
    expect(&r, "the password cannot be read", "the password cannot be read");
    expect(&r, "a\n-----BEGIN EC PRIVATE KEY-----\nMII\nabc\n-----END EC PRIVATE KEY-----\nb\n",
           "a\n[removed]\nb\n");
    expect(&r, "-----BEGIN CERTIFICATE-----\nMII\n", "-----BEGIN CERTIFICATE-----\nMII\n");
    expect(&r, "-----BEGIN PRIVATE KEY-----\nMII", "[removed]"); /* cut off */
    redact_fini(&r);
}

static void an_archive_is_read_back_by_tar(void **state)
{
    (void)state;
    char folder[64], path[128], command[512], got[64] = "";
    struct buf out = BUF_INIT;
    unit_folder(folder);
    tar_add(&out, "b/one.txt", 1795308207, "first\n", 6);
    tar_add(&out, "b/empty", 1795308207, "", 0);
    char *block = calloc(1, 512);
    tar_add(&out, "b/block", 1795308207, block, 512);
    free(block);
    tar_end(&out);
    assert_true(buf_ok(&out));
    assert_int_equal(out.len, 512 * 7);
    snprintf(path, sizeof path, "%s/x.tar", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(out.data, 1, out.len, f), out.len);
    assert_int_equal(fclose(f), 0);
    snprintf(command, sizeof command,
             "cd %s && tar -xf x.tar && cat b/one.txt && stat -c %%s%%a b/block b/empty", folder);
    FILE *p = popen(command, "r");
    assert_non_null(p);
    size_t n = fread(got, 1, sizeof got - 1, p);
    got[n] = '\0';
    assert_int_equal(pclose(p), 0);
    assert_string_equal(got, "first\n512600\n0600\n");
    buf_fini(&out);
    unit_remove_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_secrets_go_wherever_they_stand),
        cmocka_unit_test(what_looks_like_a_secret_goes_and_what_names_one_stays),
        cmocka_unit_test(an_archive_is_read_back_by_tar),
    };
    return cmocka_run_group_tests_name("bundle", tests, NULL, NULL);
}
