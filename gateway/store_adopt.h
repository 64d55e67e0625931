/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_adopt - brings together what a file holds and what went to memory while it could not be used.
 *
 * Threads    The writer, with the store's turn.
 * Ownership  -
 * Errors     As store_db.h; everything is then as before, and disk_note says why.
 */
#ifndef FG_STORE_ADOPT_H
#define FG_STORE_ADOPT_H

#include "store_internal.h"

/* In a store that began in memory: opens the file as every start does, and takes up what it holds as records
 * that come before those in memory. It is memory.other then. */
int store_adopt(struct store *s);
/* The file turned out to be damaged while records go to memory: sets it aside, salvages it, and takes up what
 * is left. The damaged one stays open until it is certain that a new one can be written. */
int store_adopt_repaired(struct store *s);

#endif
