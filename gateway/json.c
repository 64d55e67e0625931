/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <string.h>

cJSON *json_parse(const char *text, size_t len)
{
    const char *end = NULL;
    cJSON *json = cJSON_ParseWithLengthOpts(text, len, &end, false);
    /* cJSON is content with a value at the beginning, whatever follows it. */
    while (json && end < text + len && strchr(" \t\r\n", *end) && *end)
        end++;
    if (json && end == text + len)
        return json;
    cJSON_Delete(json);
    return NULL;
}

const char *json_string(const cJSON *object, const char *key, const char *otherwise)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(item) ? item->valuestring : otherwise;
}

int64_t json_int(const cJSON *object, const char *key, int64_t otherwise)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    /* Beyond 2^53 a double no longer tells neighbours apart: such a member is not an integer to us. */
    if (!cJSON_IsNumber(item) || item->valuedouble > 9007199254740992.0 ||
        item->valuedouble < -9007199254740992.0)
        return otherwise;
    return (int64_t)item->valuedouble;
}

bool json_bool(const cJSON *object, const char *key, bool otherwise)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsBool(item) ? cJSON_IsTrue(item) : otherwise;
}
