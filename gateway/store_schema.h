/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_schema - the SQL text of a store: its tables, its view for people, its statements.
 *
 * Threads    Constant.
 * Ownership  Constant.
 * Errors     None.
 */
#ifndef FG_STORE_SCHEMA_H
#define FG_STORE_SCHEMA_H

#include "store_db.h"

extern const char *const store_schema_sql;
const char *store_schema_statement(enum store_stmt which);

#endif
