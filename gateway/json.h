/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json - the door to cJSON, for reading JSON that is not on a hot path. Writing is done with buf.h, because
 * numbers must come out as exact decimals and cJSON keeps doubles only.
 *
 * Threads    A parsed tree belongs to one thread.
 * Ownership  json_parse() gives a tree that cJSON_Delete() frees; the getters lend.
 * Errors     NULL, or the given default, when a member is missing or of another type.
 */
#ifndef FG_JSON_H
#define FG_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* NULL when text is not one JSON value. */
cJSON *json_parse(const char *text, size_t len);
const char *json_string(const cJSON *object, const char *key, const char *otherwise);
/* The first element of an array member, NULL when it is missing or empty; the others follow by ->next. */
static inline const cJSON *json_first(const cJSON *object, const char *key)
{
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsArray(array) ? array->child : NULL;
}
int64_t json_int(const cJSON *object, const char *key, int64_t otherwise);
bool json_bool(const cJSON *object, const char *key, bool otherwise);

#endif
