/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../gateway/err.h"
#include "../../gateway/yaml_doc.h"

static struct yaml_doc *parse(const char *text)
{
    struct yaml_doc *doc = NULL;
    struct yaml_problem problem;
    if (yaml_doc_parse(text, strlen(text), &doc, &problem) < 0)
        fail_msg("%d:%d: %s", problem.line, problem.column, problem.text);
    return doc;
}

static void assert_refused(const char *text, int line, int column, const char *words)
{
    struct yaml_doc *doc = NULL;
    struct yaml_problem problem = {0};
    assert_int_equal(yaml_doc_parse(text, strlen(text), &doc, &problem), FG_EINVALID);
    assert_null(doc);
    if (!strstr(problem.text, words))
        fail_msg("\"%s\" does not say \"%s\"", problem.text, words);
    assert_int_equal(problem.line, line);
    assert_int_equal(problem.column, column);
}

static void nodes_know_their_line_and_column(void **state)
{
    (void)state;
    struct yaml_doc *doc = parse("a: 1\nnhà:\n  - x\n  - {ô: 'hai', c: 3}\n");
    const struct yaml_node *root = yaml_doc_root(doc);
    assert_int_equal(root->kind, YAML_MAP);
    assert_int_equal(root->count, 2);
    const struct yaml_node *list = yaml_doc_find(root, "nhà");
    assert_int_equal(list->kind, YAML_LIST);
    assert_int_equal(list->entries[0].value->line, 3);
    assert_int_equal(list->entries[0].value->column, 5);
    const struct yaml_node *c = yaml_doc_find(list->entries[1].value, "c");
    assert_string_equal(c->text, "3");
    /* Columns count characters, not bytes. */
    assert_int_equal(c->line, 4);
    assert_int_equal(c->column, 19);
    assert_true(c->plain);
    assert_false(yaml_doc_find(list->entries[1].value, "ô")->plain);
    assert_null(yaml_doc_find(root, "missing"));
    assert_null(yaml_doc_find(list, "a"));
    yaml_doc_free(doc);
}

static void nothing_null_and_tilde_are_null_and_quoted_ones_are_not(void **state)
{
    (void)state;
    struct yaml_doc *doc = parse("a:\nb: ~\nc: null\nd: ''\ne: \"null\"\n");
    const struct yaml_node *root = yaml_doc_root(doc);
    assert_true(yaml_doc_is_null(yaml_doc_find(root, "a")));
    assert_true(yaml_doc_is_null(yaml_doc_find(root, "b")));
    assert_true(yaml_doc_is_null(yaml_doc_find(root, "c")));
    assert_false(yaml_doc_is_null(yaml_doc_find(root, "d")));
    assert_false(yaml_doc_is_null(yaml_doc_find(root, "e")));
    yaml_doc_free(doc);
}

static void a_text_without_content_has_no_root(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "# only this\n", "---\n", "~\n", "\xef\xbb\xbf"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct yaml_doc *doc = parse(texts[i]);
        assert_null(yaml_doc_root(doc));
        yaml_doc_free(doc);
    }
}

static void a_byte_order_mark_and_windows_line_ends_are_taken(void **state)
{
    (void)state;
    struct yaml_doc *doc = parse("\xef\xbb\xbfname: x\r\nother: y\r\n");
    const struct yaml_node *name = yaml_doc_find(yaml_doc_root(doc), "name");
    assert_string_equal(name->text, "x");
    assert_int_equal(name->line, 1);
    assert_int_equal(name->column, 7);
    assert_int_equal(yaml_doc_find(yaml_doc_root(doc), "other")->line, 2);
    yaml_doc_free(doc);
}

static void a_tab_in_the_indentation_is_named_at_its_place(void **state)
{
    (void)state;
    assert_refused("a:\n\tb: 1\n", 2, 1, "a tab stands in the indentation; use spaces");
    assert_refused("a:\n  b: 1\n \tc: 2\n", 3, 2, "use spaces");
    assert_refused("a:\n  - x\n\t- y\n", 3, 1, "use spaces");
}

static void features_that_hide_what_a_file_says_are_refused(void **state)
{
    (void)state;
    assert_refused("a: &x 1\n", 1, 4, "anchors");
    assert_refused("a: *x\n", 1, 4, "aliases");
    assert_refused("a: &x [1]\nb: *x\n", 1, 4, "anchors");
    assert_refused("a: !!str 1\n", 1, 4, "tags");
    assert_refused("a: !local {b: 1}\n", 1, 4, "tags");
    assert_refused("a: 1\n---\nb: 2\n", 2, 1, "second document");
    assert_refused("? [a]\n: 1\n", 1, 3, "a key must be a plain word");
}

static void depth_and_number_of_entries_are_bounded(void **state)
{
    (void)state;
    char deep[400] = "a: ";
    memset(deep + 3, '[', 300);
    assert_refused(deep, 1, 3 + YAML_DOC_DEPTH_MAX, "too many levels");

    size_t entries = YAML_DOC_NODES_MAX + 1;
    char *wide = malloc(entries * 4 + 8);
    assert_non_null(wide);
    for (size_t i = 0; i < entries; i++)
        memcpy(wide + i * 4, "- a\n", 5);
    struct yaml_doc *doc = NULL;
    struct yaml_problem problem;
    assert_int_equal(yaml_doc_parse(wide, strlen(wide), &doc, &problem), FG_EINVALID);
    assert_non_null(strstr(problem.text, "too many entries"));
    free(wide);
}

static void text_that_is_no_utf8_is_reported_at_the_first_bad_byte(void **state)
{
    (void)state;
    assert_refused("a: 1\nb: x\xe1y\n", 2, 5, "0xE1 is no UTF-8");
    assert_refused("a: \xc0\xaf\n", 1, 4, "0xC0 is no UTF-8");         /* overlong */
    assert_refused("a: \xed\xa0\x80\n", 1, 4, "0xED is no UTF-8");     /* surrogate */
    assert_refused("a: \xf5\x80\x80\x80\n", 1, 4, "0xF5 is no UTF-8"); /* beyond Unicode */
    assert_refused("a: \xe1\xba", 1, 4, "0xE1 is no UTF-8");           /* cut off */
    assert_refused("a: \x01\n", 1, 4, "U+0001");
    assert_refused("a: \xc2\x80\n", 1, 4, "U+0080");
    struct yaml_doc *doc = NULL;
    struct yaml_problem problem;
    assert_int_equal(yaml_doc_parse("a\0:\0 \0", 6, &doc, &problem), FG_EINVALID);
    assert_non_null(strstr(problem.text, "UTF-16"));
}

static void a_file_that_cannot_be_read_says_why(void **state)
{
    (void)state;
    struct yaml_problem problem;
    char *text;
    size_t len;
    assert_int_equal(yaml_doc_read_file("/nonexistent/file", &text, &len, &problem), FG_EIO);
    assert_non_null(strstr(problem.text, "No such file or directory"));
    assert_int_equal(yaml_doc_read_file("/", &text, &len, &problem), FG_EIO);
    assert_int_equal(problem.line, 0);
}

static void a_file_beyond_the_size_limit_is_refused_and_one_at_it_is_read(void **state)
{
    (void)state;
    char path[] = "/tmp/fieldgate-yaml-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    struct yaml_problem problem;
    char *text;
    size_t len;
    assert_int_equal(ftruncate(fd, YAML_DOC_SIZE_MAX), 0);
    assert_int_equal(yaml_doc_read_file(path, &text, &len, &problem), 0);
    assert_int_equal(len, YAML_DOC_SIZE_MAX);
    free(text);
    assert_int_equal(ftruncate(fd, YAML_DOC_SIZE_MAX + 1), 0);
    assert_int_equal(yaml_doc_read_file(path, &text, &len, &problem), FG_EINVALID);
    assert_non_null(strstr(problem.text, "1024 KiB"));
    close(fd);
    unlink(path);
}

/* Every byte of a valid text replaced by others: never a crash, and a refusal always has words. */
static void no_damaged_text_is_fatal(void **state)
{
    (void)state;
    static const char good[] = "a: [1, {b: 'x', c: \"y\\n\"}]\nd:\n  - e: |\n      f\n  - g: !h &i *j\n";
    static const char bytes[] = "\t\n:{}[]\"'-%&*!|>#\\ \x80\xff";
    char text[sizeof(good)];
    for (size_t i = 0; i < sizeof(good) - 1; i++)
        for (size_t k = 0; k < sizeof(bytes) - 1; k++) {
            memcpy(text, good, sizeof(good));
            text[i] = bytes[k];
            struct yaml_doc *doc = NULL;
            struct yaml_problem problem = {0};
            int err = yaml_doc_parse(text, sizeof(good) - 1, &doc, &problem);
            assert_true(err == 0 || (err == FG_EINVALID && problem.text[0] != '\0' && problem.line > 0));
            yaml_doc_free(doc);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_know_their_line_and_column),
        cmocka_unit_test(nothing_null_and_tilde_are_null_and_quoted_ones_are_not),
        cmocka_unit_test(a_text_without_content_has_no_root),
        cmocka_unit_test(a_byte_order_mark_and_windows_line_ends_are_taken),
        cmocka_unit_test(a_tab_in_the_indentation_is_named_at_its_place),
        cmocka_unit_test(features_that_hide_what_a_file_says_are_refused),
        cmocka_unit_test(depth_and_number_of_entries_are_bounded),
        cmocka_unit_test(text_that_is_no_utf8_is_reported_at_the_first_bad_byte),
        cmocka_unit_test(a_file_that_cannot_be_read_says_why),
        cmocka_unit_test(a_file_beyond_the_size_limit_is_refused_and_one_at_it_is_read),
        cmocka_unit_test(no_damaged_text_is_fatal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
