/* SPDX-License-Identifier: Apache-2.0 */
/* "Did you mean ..": see config_problem.h. */
#include <ctype.h>
#include <string.h>

#include "config_problem.h"

#define WORD_MAX 63

/* Letter case and - for _ are not what somebody got wrong. */
static size_t fold(const char *word, char ret[WORD_MAX + 1])
{
    size_t n = 0;
    for (; n < WORD_MAX && word[n] != '\0'; n++)
        ret[n] = word[n] == '-' ? '_' : (char)tolower((unsigned char)word[n]);
    ret[n] = '\0';
    return n;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Letters to change, add, leave out or swap with their neighbour. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b_len; j++)
        above[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t change = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = least(change, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
        size_t *next = before;
        before = above;
        above = row;
        row = next;
    }
    return above[b_len];
}

static size_t limit(size_t len)
{
    return len <= 3 ? 1 : len <= 6 ? 2 : 3;
}

void config_near_begin(struct config_near *n, const char *word)
{
    *n = (struct config_near){.word = word};
}

void config_near_try(struct config_near *n, const char *candidate)
{
    char a[WORD_MAX + 1], b[WORD_MAX + 1];
    size_t a_len = fold(n->word, a), b_len = fold(candidate, b);
    size_t d = distance(a, a_len, b, b_len);
    /* soil -> soil_moisture: the beginning of a word is near too, but less than a slip of the finger. */
    size_t shorter = least(a_len, b_len);
    if (shorter >= 3 && d > limit(a_len) && memcmp(a, b, shorter) == 0)
        d = limit(a_len);
    if (d > limit(a_len) || d >= shorter || (n->best && d >= n->distance))
        return;
    n->best = candidate;
    n->distance = d;
}
