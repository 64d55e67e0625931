/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_status_page - the page that status shows, made of status.json: what is wrong and what to try first,
 * then link, buffer and lines, then what is well as far as there is room.
 *
 * Threads    Main thread.
 * Ownership  Everything is lent.
 * Errors     Only through the screen's buffer.
 */
#ifndef FG_CMD_STATUS_PAGE_H
#define FG_CMD_STATUS_PAGE_H

#include "cmd_screen.h"
#include "json.h"

/* all: every value and counter, however long it gets. */
void status_page(struct screen *s, const cJSON *status, bool all);

/* Parts of it, in cmd_status_devices.c. */
struct status_count {
    size_t devices, well, waiting, paused, bad;
    int64_t suppressed, aggregates;
};
struct status_count status_count(const cJSON *status);
/* Devices and points that are not well, those of one cause together. */
void status_troubles(struct screen *s, const cJSON *status, bool all);
/* Devices that are well: a line each, or, when those are more than there is room for, several in a line. */
void status_well(struct screen *s, const cJSON *status, size_t rows);
/* Every device with every value. */
void status_everything(struct screen *s, const cJSON *status);

#endif
