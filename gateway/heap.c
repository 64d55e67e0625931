/* SPDX-License-Identifier: Apache-2.0 */
#include "heap.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* ORDINARY: with 2.5 MiB a farm of eight sensors with two uplinks, one of them with TLS, still grew by 184
 * KiB in ten minutes of faults, with 3 MiB by none (`make soak-short`). SPARE: what may lie free at the end
 * beyond it. BLOCK is below glibc's threshold for mappings of their own. */
enum { ORDINARY_BYTES = 3 * 1024 * 1024, SPARE_BYTES = 128 * 1024, BLOCK_BYTES = 64 * 1024 };

/* Fills the heap up to ORDINARY_BYTES and lets go: the pages stay, as free ones. */
static void take_ordinary(void)
{
    void *blocks[ORDINARY_BYTES / BLOCK_BYTES];
    size_t count = 0;
    while (count < sizeof blocks / sizeof blocks[0] && mallinfo2().uordblks < ORDINARY_BYTES) {
        void *block = malloc(BLOCK_BYTES);
        if (!block)
            break;
        blocks[count++] = memset(block, 0xA5, BLOCK_BYTES); /* a page is there once it was written to */
        __asm__ volatile("" : : "r"(block) : "memory");     /* which the compiler must not leave out */
    }
    while (count > 0)
        free(blocks[--count]);
}

/* glibc would give each thread a heap of its own, in which stays what one busy minute took, out of reach of
 * the others; and it would keep more and more of what is freed, going by the largest piece it has seen. */
void heap_begin(void)
{
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_TRIM_THRESHOLD, ORDINARY_BYTES + SPARE_BYTES);
    mallopt(M_TOP_PAD, ORDINARY_BYTES); /* what a free() that trims leaves */
    take_ordinary();
}

void heap_look(void)
{
    if (mallinfo2().fordblks > ORDINARY_BYTES + SPARE_BYTES)
        heap_give_back();
}

void heap_give_back(void)
{
    malloc_trim(0); /* also from between pieces that stay */
    take_ordinary();
}
