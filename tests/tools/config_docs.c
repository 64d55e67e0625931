/* SPDX-License-Identifier: Apache-2.0 */
/* config_docs - prints what is generated from the configuration tables: `config_docs reference|schema`. */
#include <stdio.h>
#include <string.h>

#include "../../gateway/config.h"

int main(int argc, char **argv)
{
    struct buf text = BUF_INIT;
    if (argc == 2 && strcmp(argv[1], "reference") == 0)
        config_write_reference(&text);
    else if (argc == 2 && strcmp(argv[1], "schema") == 0)
        config_write_schema(&text);
    else
        return 64;
    int failed = !buf_ok(&text) || fwrite(text.data, 1, text.len, stdout) != text.len || fflush(stdout) != 0;
    buf_fini(&text);
    return failed;
}
