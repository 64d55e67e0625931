/* SPDX-License-Identifier: Apache-2.0 */
#include "err.h"

#include <stdarg.h>
#include <stdio.h>

const char *err_text(int err)
{
    if (err >= 0)
        return "success";
    switch ((enum fg_err)err) {
    case FG_ERETRY:
        return "not now";
    case FG_ETIMEOUT:
        return "no answer in time";
    case FG_ECLOSED:
        return "closed";
    case FG_EFULL:
        return "no room";
    case FG_EIO:
        return "input/output failed";
    case FG_ECORRUPT:
        return "damaged";
    case FG_EFOREIGN:
        return "not ours, or newer than this program";
    case FG_EINVALID:
        return "invalid";
    case FG_ENOTFOUND:
        return "not found";
    case FG_ENOMEM:
        return "out of memory";
    case FG_ERANGE:
        return "number out of range";
    }
    return "unknown error";
}

int err_note(struct err_note *note, int err, const char *format, ...)
{
    if (note) {
        va_list args;
        va_start(args, format);
        vsnprintf(note->text, sizeof note->text, format, args);
        va_end(args);
    }
    return err;
}
