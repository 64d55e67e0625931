/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "text.h"

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
        sd_journal_send("PRIORITY=%d", (int)priority, "MESSAGE=%s %s", code, text, "FIELDGATE_CODE=%s", code,
                        NULL);
        return;
    }
    char line[1152];
    int n = settings.terminal ? snprintf(line, sizeof line, "%s %s\n", code, text)
                              : snprintf(line, sizeof line, "<%d>%s %s\n", (int)priority, code, text);
    /* One write, so that lines of several threads do not mix; a log that cannot be written is given up. */
    if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0)
        return;
}
