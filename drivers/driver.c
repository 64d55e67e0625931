/* SPDX-License-Identifier: Apache-2.0 */
#include "driver.h"

const char *driver_trouble_word(enum driver_trouble t)
{
    switch (t) {
    case DRIVER_NO_TROUBLE:
        return "";
    case DRIVER_SILENCE:
        return "silence";
    case DRIVER_SHORT:
        return "short";
    case DRIVER_BAD_CRC:
        return "bad_crc";
    case DRIVER_WRONG_UNIT:
        return "wrong_unit";
    case DRIVER_WRONG_FUNCTION:
        return "wrong_function";
    case DRIVER_GARBAGE:
        return "garbage";
    case DRIVER_FOREIGN:
        return "foreign";
    case DRIVER_LATE:
        return "late";
    }
    return "";
}
