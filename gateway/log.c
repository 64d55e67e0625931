/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "text.h"

enum { FIELDS = 12, FIELD_KEY = 24, FIELD_TEXT = 320 };

/* The log is the one thing every part shares; its two settings are written once, before the first thread. */
static struct {
    bool debug;
    bool journal;
    bool terminal;
} settings;

/* systemd tells in JOURNAL_STREAM which socket it connected stderr to; somebody may have redirected it since.
 */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat st;
    unsigned long long dev, ino;
    return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
           st.st_dev == dev && st.st_ino == ino;
}

void log_init(int debug)
{
    settings.debug = debug != 0;
    settings.journal = stderr_is_journal();
    settings.terminal = isatty(STDERR_FILENO) == 1;
}

/* The field of one `key=value` that text begins with; 0: it does not. *end: that was the last one, a colon
 * follows. The value of bus=field becomes FIELDGATE_BUS=field. */
static size_t take_field(const char *text, char ret[FIELD_TEXT], bool *end)
{
    size_t key = strspn(text, "abcdefghijklmnopqrstuvwxyz_"), len = strcspn(text, " "), value_end = len;
    *end = text[len] == '\0' || text[len - 1] == ':';
    if (key == 0 || key > FIELD_KEY || text[key] != '=')
        return 0;
    if (value_end > key + 1 && text[value_end - 1] == ':')
        value_end--;
    snprintf(ret, FIELD_TEXT, "FIELDGATE_%.*s", (int)value_end, text);
    for (size_t i = 0; i < key; i++)
        ret[sizeof "FIELDGATE_" - 1 + i] = (char)toupper((unsigned char)text[i]);
    return len + (text[len] == ' ');
}

static void send_to_journal(enum log_priority priority, const char *code, const char *text)
{
    char fields[FIELDS + 3][FIELD_TEXT], message[1152];
    struct iovec parts[FIELDS + 3];
    int n = 3;
    snprintf(fields[0], FIELD_TEXT, "PRIORITY=%d", (int)priority);
    snprintf(fields[1], FIELD_TEXT, "FIELDGATE_CODE=%s", code);
    snprintf(message, sizeof message, "MESSAGE=%s %s", code, text);
    bool end = false;
    for (size_t took; !end && n < FIELDS + 3 && (took = take_field(text, fields[n], &end)) > 0; n++)
        text += took;
    for (int i = 0; i < n; i++)
        parts[i] = (struct iovec){fields[i], strlen(fields[i])};
    parts[2] = (struct iovec){message, strlen(message)};
    sd_journal_sendv(parts, n);
}

void log_line(enum log_priority priority, const char *code, const char *format, ...)
{
    if (priority == LOG_PRI_DEBUG && !settings.debug)
        return;
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, _(format), args);
    va_end(args);
    text_mend(text);
    for (char *c = text; *c; c++) /* one event, one line, whatever a broker or device put into a text */
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            *c = ' ';
    if (settings.journal) {
        send_to_journal(priority, code, text);
        return;
    }
    char line[1152];
    int n = settings.terminal ? snprintf(line, sizeof line, "%s %s\n", code, text)
                              : snprintf(line, sizeof line, "<%d>%s %s\n", (int)priority, code, text);
    /* One write, so that lines of several threads do not mix; a log that cannot be written is given up. */
    if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0)
        return;
}
