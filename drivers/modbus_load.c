/* SPDX-License-Identifier: Apache-2.0 */
#include "modbus_load.h"

#include <stdlib.h>

#include "modbus_device.h"

struct modbus_load {
    size_t count;
    struct modbus_device devices[];
};

int modbus_load_new(const struct modbus_options *options, struct modbus_load **ret, struct err_note *note)
{
    struct modbus_load *l = calloc(1, sizeof *l + options->device_count * sizeof l->devices[0]);
    int err = l ? 0 : FG_ENOMEM;
    for (size_t i = 0; err == 0 && i < options->device_count; i++) {
        err = modbus_device_check(options, &options->devices[i], note);
        if (err < 0)
            break;
        l->count = i + 1;
        err = modbus_device_init(&l->devices[i], options->protocol, &options->devices[i]);
    }
    if (err < 0) {
        modbus_load_free(l);
        return err;
    }
    *ret = l;
    return 0;
}

void modbus_load_free(struct modbus_load *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->count; i++)
        modbus_device_fini(&l->devices[i]);
    free(l);
}

int64_t modbus_load_cost_us(void *load, size_t device, const bool *due)
{
    struct modbus_load *l = load;
    return modbus_device_poll_us(&l->devices[device], due);
}
