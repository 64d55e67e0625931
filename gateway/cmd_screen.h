/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_screen - a page of text for a terminal: columns that line up in any language, lines that wrap, colours
 * where they are wanted.
 *
 * Threads    Main thread.
 * Ownership  screen_init() and screen_fini(); the text is the screen's.
 * Errors     Only through the buffer (buf_ok).
 *
 * Colours: only on a terminal that is not "dumb", and not when NO_COLOR is set to anything.
 */
#ifndef FG_CMD_SCREEN_H
#define FG_CMD_SCREEN_H

#include <stdbool.h>

#include "buf.h"

enum screen_ink { INK_PLAIN, INK_BOLD, INK_DIM, INK_GOOD, INK_WARNING, INK_BAD };

struct screen {
    struct buf text;
    size_t columns, rows;
    bool colour;
    size_t lines;  /* that are finished */
    size_t column; /* where the line in hand has come to */
};

/* As large as the terminal that fd is; 80x24 where it is none, and without colours. */
void screen_init(struct screen *s, int fd);
void screen_fini(struct screen *s);
/* Appends to the line in hand, whatever its length. */
void screen_put(struct screen *s, enum screen_ink ink, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same in `width` columns: padded with blanks, or cut with an ellipsis. */
void screen_cell(struct screen *s, enum screen_ink ink, size_t width, const char *text);
/* Appends a piece that is not taken apart: on a new line, indented so far, when it does not fit any more. A
 * comma and blanks that it begins with stay on the old line. */
void screen_piece(struct screen *s, enum screen_ink ink, size_t indent, const char *text);
/* The same word by word. */
void screen_words(struct screen *s, enum screen_ink ink, size_t indent, const char *text);
/* Ends the line in hand. */
void screen_end(struct screen *s);

#endif
