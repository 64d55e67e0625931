/* SPDX-License-Identifier: Apache-2.0 */
#include "err.h"

#include <stdarg.h>
#include <stdio.h>

#include "text.h"

const char *err_text(int err)
{
    if (err >= 0)
        return _("success");
    switch ((enum fg_err)err) {
    case FG_ERETRY:
        return _("not now");
    case FG_ETIMEOUT:
        return _("no answer in time");
    case FG_ECLOSED:
        return _("closed");
    case FG_EFULL:
        return _("no room");
    case FG_EIO:
        return _("input/output failed");
    case FG_ECORRUPT:
        return _("damaged");
    case FG_EFOREIGN:
        return _("not ours, or newer than this program");
    case FG_EINVALID:
        return _("invalid");
    case FG_ENOTFOUND:
        return _("not found");
    case FG_ENOMEM:
        return _("out of memory");
    case FG_ERANGE:
        return _("number out of range");
    }
    return _("unknown error");
}

int err_note(struct err_note *note, int err, const char *format, ...)
{
    if (note) {
        va_list args;
        va_start(args, format);
        vsnprintf(note->text, sizeof note->text, _(format), args);
        va_end(args);
        text_mend(note->text);
    }
    return err;
}
