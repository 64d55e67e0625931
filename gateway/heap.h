/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heap - how the process holds its memory: what ordinary work takes is taken once, at the start, and stays.
 *
 * A gateway runs for years. What it needs is then there from the first minute on, whatever else fills the box
 * later, and growth that nobody can explain is a fault that anybody can see.
 *
 * Threads    heap_begin() before the first thread; the others from any.
 * Ownership  Nothing.
 * Errors     None: without the memory the heap grows as it is needed, like any other.
 *
 * Source: mallopt(3), malloc_trim(3), mallinfo(3) of glibc 2.36.
 */
#ifndef FG_HEAP_H
#define FG_HEAP_H

/* One heap for all threads, with what ordinary work takes. */
void heap_begin(void);
/* Every few seconds: gives back what a flood took, which lies between pieces that stay. */
void heap_look(void);
/* After work out of the ordinary, whose memory was freed: the system has what is above the ordinary again. */
void heap_give_back(void);

#endif
