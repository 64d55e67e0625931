/* SPDX-License-Identifier: Apache-2.0 */
/* What libraries say about an error, in the technician's language: see text.h. */
#include <string.h>

#include "text.h"

/* Nobody reads this table but xgettext: gettext finds a translation by the English words themselves. Those of
 * libc are here too, since its own translations are on few boxes. */
__attribute__((unused)) static const char *const usual[] = {
    N_("No such file or directory"),
    N_("Permission denied"),
    N_("Operation not permitted"),
    N_("Device or resource busy"),
    N_("File exists"),
    N_("Is a directory"),
    N_("Not a directory"),
    N_("No space left on device"),
    N_("Read-only file system"),
    N_("Input/output error"),
    N_("Remote I/O error"),
    N_("Connection refused"),
    N_("Connection timed out"),
    N_("No route to host"),
    N_("Network is unreachable"),
    N_("Network is down"),
    N_("Host is down"),
    N_("Connection reset by peer"),
    N_("Software caused connection abort"),
    N_("Broken pipe"),
    N_("File name too long"),
    N_("No such device"),
    N_("No such device or address"),
    N_("No such process"),
    N_("Invalid argument"),
    N_("Too many open files"),
    N_("Too many open files in system"),
    N_("Cannot allocate memory"),
    N_("Address already in use"),
    N_("Cannot assign requested address"),
    N_("Disk quota exceeded"),
    N_("File too large"),
    N_("Too many levels of symbolic links"),
    N_("Inappropriate ioctl for device"),
    N_("Operation not supported"),
    N_("Protocol error"),
    N_("Text file busy"),
    N_("Name or service not known"),
    N_("Temporary failure in name resolution"),
    N_("Non-recoverable failure in name resolution"),
    N_("No address associated with hostname"),
    N_("Memory allocation failure"),
    N_("database or disk is full"),
    N_("disk I/O error"),
    N_("unable to open database file"),
    N_("attempt to write a readonly database"),
    N_("database disk image is malformed"),
    N_("file is not a database"),
    N_("database is locked"),
    N_("unable to get issuer certificate"),
    N_("unable to get local issuer certificate"),
    N_("unable to verify the first certificate"),
    N_("self-signed certificate"),
    N_("self-signed certificate in certificate chain"),
    N_("certificate signature failure"),
    N_("certificate revoked"),
    N_("certificate not trusted"),
    N_("certificate rejected"),
    N_("certificate verify failed"),
    N_("unexpected eof while reading"),
    N_("wrong version number"),
    N_("unsupported protocol"),
    N_("no start line"),
    N_("bad decrypt"),
    N_("sslv3 alert handshake failure"),
    N_("tlsv1 alert unknown ca"),
    N_("tlsv1 alert protocol version"),
    N_("tlsv13 alert certificate required"),
    N_("sslv3 alert certificate expired"),
    N_("sslv3 alert certificate unknown"),
    N_("sslv3 alert bad certificate"),
};

const char *text_said(const char *english)
{
    return _(english);
}

const char *text_errno(int error)
{
    const char *english = strerrordesc_np(error);
    return english ? text_said(english) : strerror(error);
}
