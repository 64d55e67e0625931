/* SPDX-License-Identifier: Apache-2.0 */
#include "payload.h"

#include <string.h>

const struct payload_format *payload_format(const char *name)
{
    return strcmp(name, "json") == 0 ? &payload_json : NULL;
}
