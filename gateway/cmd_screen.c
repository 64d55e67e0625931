/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd_screen.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "text.h"

enum { COLUMNS = 80, ROWS = 24, COLUMNS_LEAST = 40 };

#define ELLIPSIS "\xE2\x80\xA6"

static bool wants_colour(int fd)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(fd) == 1 && !(no && *no) && term && *term && strcmp(term, "dumb") != 0;
}

void screen_init(struct screen *s, int fd)
{
    struct winsize size;
    *s = (struct screen){.columns = COLUMNS, .rows = ROWS, .colour = wants_colour(fd)};
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
        s->columns = size.ws_col < COLUMNS_LEAST ? COLUMNS_LEAST : size.ws_col;
        s->rows = size.ws_row;
    }
}

void screen_fini(struct screen *s)
{
    buf_fini(&s->text);
}

static void add(struct screen *s, enum screen_ink ink, const char *text, size_t len)
{
    static const char *const inks[] = {
        [INK_PLAIN] = "",        [INK_BOLD] = "\033[1m",     [INK_DIM] = "\033[2m",
        [INK_GOOD] = "\033[32m", [INK_WARNING] = "\033[33m", [INK_BAD] = "\033[1;31m"};
    bool coloured = s->colour && ink != INK_PLAIN && len > 0;
    if (coloured)
        buf_adds(&s->text, inks[ink]);
    buf_add(&s->text, text, len);
    if (coloured)
        buf_adds(&s->text, "\033[0m");
}

static void add_text(struct screen *s, enum screen_ink ink, const char *text)
{
    add(s, ink, text, strlen(text));
    s->column += text_width(text);
}

static void blanks(struct screen *s, size_t n)
{
    s->column += n;
    for (; n > 0; n--)
        buf_addc(&s->text, ' ');
}

void screen_put(struct screen *s, enum screen_ink ink, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    add_text(s, ink, text);
}

void screen_cell(struct screen *s, enum screen_ink ink, size_t width, const char *text)
{
    size_t columns = text_width(text);
    if (columns <= width) {
        add_text(s, ink, text);
        blanks(s, width - columns);
        return;
    }
    const char *end = text;
    for (size_t n = 0; *end; end++) /* the bytes of the first width - 1 characters */
        if (((unsigned char)*end & 0xC0) != 0x80 && n++ == width - 1)
            break;
    add(s, ink, text, (size_t)(end - text));
    buf_adds(&s->text, ELLIPSIS);
    s->column += width;
}

void screen_piece(struct screen *s, enum screen_ink ink, size_t indent, const char *text)
{
    if (s->column > indent && s->column + text_width(text) > s->columns) {
        if (*text == ',')
            buf_addc(&s->text, *text++);
        text += strspn(text, " ");
        screen_end(s);
    }
    if (s->column < indent)
        blanks(s, indent - s->column);
    add_text(s, ink, text);
}

void screen_words(struct screen *s, enum screen_ink ink, size_t indent, const char *text)
{
    while (*text) {
        char word[512];
        size_t len = strcspn(text, " ");
        snprintf(word, sizeof word, "%.*s", (int)len, text);
        screen_piece(s, ink, indent, word);
        text += len + strspn(text + len, " ");
        if (*text && s->column < s->columns)
            blanks(s, 1);
    }
}

void screen_end(struct screen *s)
{
    while (s->text.len > 0 && s->text.data[s->text.len - 1] == ' ')
        s->text.data[--s->text.len] = '\0';
    buf_addc(&s->text, '\n');
    s->lines++;
    s->column = 0;
}
