/* SPDX-License-Identifier: Apache-2.0 */
#include "yaml_explain.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "text.h"

int yaml_explain_at(struct yaml_problem *problem, int line, int column, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    problem->line = line;
    problem->column = column;
    vsnprintf(problem->text, sizeof(problem->text), _(format), args);
    va_end(args);
    text_mend(problem->text);
    return FG_EINVALID;
}

/* The beginning of a line (1-based), or NULL. */
static const char *find_line(const char *text, size_t len, int line, size_t *ret_len)
{
    const char *end = text + len;
    for (; line > 1; line--) {
        const char *next = memchr(text, '\n', (size_t)(end - text));
        if (!next)
            return NULL;
        text = next + 1;
    }
    const char *stop = memchr(text, '\n', (size_t)(end - text));
    *ret_len = (size_t)((stop ? stop : end) - text);
    return text;
}

/* The column (1-based) of a tab in the indentation of a line; 0: none. */
static int tab_in_indentation(const char *text, size_t len, int line)
{
    size_t line_len;
    const char *p = find_line(text, len, line, &line_len);
    for (size_t i = 0; p && i < line_len && (p[i] == ' ' || p[i] == '\t'); i++)
        if (p[i] == '\t')
            return (int)i + 1;
    return 0;
}

/* The character at a place, when it is ASCII; columns count characters, so bytes that continue one are
 * skipped. */
static char char_at(const char *text, size_t len, int line, int column)
{
    size_t line_len;
    const char *p = find_line(text, len, line, &line_len);
    for (size_t i = 0; p && i < line_len; i++) {
        if (((unsigned char)p[i] & 0xC0) == 0x80)
            continue;
        if (--column == 0)
            return (unsigned char)p[i] < 0x80 ? p[i] : '\0';
    }
    return '\0';
}

/* How libyaml 0.2.5 puts it, and what a technician can do about it. The first match counts. */
static const struct {
    const char *said;
    bool in_context; /* `said` is about what the parser was doing, not about what it met */
    bool at_begin;   /* the fault lies where that began, not where it could not go on */
    const char *advice;
} advices[] = {
    {"mapping values are not allowed", false, false,
     N_("a colon does not fit here; either the line is indented deeper than its neighbours, or a value holds "
        "\": \" and needs quotes")},
    {"could not find expected ':'", false, true,
     N_("this is not `key: value`; a colon with a space after it must follow the key")},
    {"did not find expected '-' indicator", false, false,
     N_("this line does not belong to the list above; begin each entry with \"- \", all in the same column")},
    {"did not find expected ',' or", false, false,
     N_("a comma or the closing bracket is missing before this place")},
    {"did not find expected node content", false, false,
     N_("a value is missing or a comma is doubled before this place")},
    {"block sequence entries are not allowed", false, false,
     N_("a list entry (\"- \") cannot begin here; put it on a line of its own")},
    {"did not find expected key", false, false,
     N_("this line does not fit the lines above; the keys of one section begin in the same column, and a "
        "quoted "
        "text ends with its quote")},
    {"unknown escape character", false, false,
     N_("a backslash in double quotes has a meaning of its own; use single quotes for texts with "
        "backslashes")},
    {"quoted scalar", true, true, N_("a quote is opened here and never closed")},
    {"did not find expected <document start>", false, false,
     N_("something stands behind the end of the document; does the first line begin in another column?")},
    {"directive", true, true, N_("a line cannot begin with %; put the value in quotes")},
};

static int explain_by_words(struct yaml_problem *problem, const struct yaml_complaint *said)
{
    for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++) {
        const char *words = advices[i].in_context ? said->context : said->problem;
        if (!words || !strstr(words, advices[i].said))
            continue;
        if (advices[i].at_begin && said->context)
            return yaml_explain_at(problem, said->context_line, said->context_column, "%s",
                                   _(advices[i].advice));
        if (said->context && said->context_line > 0 && said->context_line < said->line)
            return yaml_explain_at(problem, said->line, said->column, _("%s (it begins in line %d)"),
                                   _(advices[i].advice), said->context_line);
        return yaml_explain_at(problem, said->line, said->column, "%s", _(advices[i].advice));
    }
    return yaml_explain_at(problem, said->line, said->column, _("this is no valid YAML: %s"),
                           said->problem ? said->problem : _("it cannot be read"));
}

int yaml_explain(struct yaml_problem *problem, const char *text, size_t len,
                 const struct yaml_complaint *said)
{
    /* Only indentation: a tab elsewhere in a line is legal and hardly ever the cause. */
    for (int line = said->line; line > 0 && line >= said->line - 1; line--) {
        int column = tab_in_indentation(text, len, line);
        if (column > 0)
            return yaml_explain_at(problem, line, column,
                                   _("a tab stands in the indentation; use spaces (2 for each level)"));
    }
    char c = char_at(text, len, said->line, said->column);
    if (said->problem && strstr(said->problem, "cannot start any token") && c != '\0') {
        if (c == '\t')
            return yaml_explain_at(problem, said->line, said->column,
                                   _("a tab stands before the value; use a space"));
        return yaml_explain_at(problem, said->line, said->column,
                               _("a value cannot begin with %c; put it in quotes: \"%c...\""), c, c);
    }
    return explain_by_words(problem, said);
}

/* The length of the UTF-8 character at p, and its number; 0 when it is none (overlong and surrogates too). */
static size_t decode(const unsigned char *p, size_t len, uint32_t *ret)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = p[0] < 0x80             ? 1
               : (p[0] & 0xE0) == 0xC0 ? 2
               : (p[0] & 0xF0) == 0xE0 ? 3
               : (p[0] & 0xF8) == 0xF0 ? 4
                                       : 0;
    if (n == 0 || n > len)
        return 0;
    uint32_t c = n == 1 ? p[0] : (uint32_t)p[0] & (0xFFu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3Fu);
    }
    if (c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        return 0;
    *ret = c;
    return n;
}

/* The same set that libyaml's reader takes. */
static bool printable(uint32_t c)
{
    return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c <= 0x7E) || c == 0x85 ||
           (c >= 0xA0 && c <= 0xD7FF) || (c >= 0xE000 && c <= 0xFFFD && c != 0xFEFF) || c >= 0x10000;
}

static bool looks_like_utf16(const unsigned char *p, size_t len)
{
    return len >= 2 && ((p[0] == 0xFF && p[1] == 0xFE) || (p[0] == 0xFE && p[1] == 0xFF) ||
                        (p[0] != 0 && p[1] == 0) || (p[0] == 0 && p[1] != 0));
}

int yaml_explain_bytes(struct yaml_problem *problem, const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;
    if (looks_like_utf16(p, len))
        return yaml_explain_at(problem, 1, 1,
                               _("the file is saved as UTF-16 (\"Unicode\"); save it as UTF-8"));
    int line = 1, column = 1;
    for (size_t i = 0; i < len;) {
        uint32_t c;
        size_t n = decode(p + i, len - i, &c);
        if (n == 0)
            return yaml_explain_at(problem, line, column,
                                   _("the byte 0x%02X is no UTF-8; the file was saved in another encoding "
                                     "(Windows-1258?): save it as UTF-8"),
                                   p[i]);
        if (!printable(c))
            return yaml_explain_at(problem, line, column,
                                   _("the invisible control character U+%04X stands here; delete it"), c);
        i += n;
        column++;
        if (c == '\n') {
            line++;
            column = 1;
        }
    }
    return 0;
}
