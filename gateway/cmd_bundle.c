/* SPDX-License-Identifier: Apache-2.0 */
/* fieldgate bundle: what support needs, in one file that anybody can open, without secrets. */
#include "cmd_bundle.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "cmd.h"
#include "cmd_options.h"
#include "compress.h"
#include "err.h"
#include "tar.h"
#include "text.h"

enum { LOG_LINES = 2000, LOG_LINES_MOST = 1000000, FILE_MOST = 4 * 1024 * 1024, SECRET_MOST = 64 * 1024 };

static void usage(FILE *out)
{
    fprintf(
        out,
        _("usage: fieldgate bundle [--config FILE] [--profiles DIR] [--runtime-dir DIR] [--state-dir DIR]\n"
          "                        [--log-lines N] [--output FILE]\n\n"
          "Collects what support needs into one .tar.gz: versions, configuration and what check says of it,\n"
          "status, the newest log lines, the state of the buffer; no readings. Passwords and keys are taken\n"
          "out. Works also when nothing runs or the configuration is broken. Run it with sudo, so that it\n"
          "can read all.\n\n"
          "  --log-lines N    the newest N lines of the log; usually 2000\n"
          "  --output FILE    instead of fieldgate-GATEWAY-TIME.tar.gz here\n"));
}

static const char *take_log_lines(const char *value, void *arg)
{
    char *end;
    long lines = strtol(value, &end, 10);
    *(int *)arg = (int)lines;
    bool good = end != value && *end == '\0' && lines >= 1 && lines <= LOG_LINES_MOST;
    return good ? NULL : _("a number from 1 to 1000000");
}

static int parse_options(int argc, char **argv, struct bundle_options *o)
{
    *o = (struct bundle_options){.config_path = CMD_DEFAULT_CONFIG,
                                 .runtime_dir = CMD_DEFAULT_RUNTIME_DIR,
                                 .state_dir = CMD_DEFAULT_STATE_DIR,
                                 .log_lines = LOG_LINES};
    const struct cmd_option options[] = {
        {"config", 'c', .text = &o->config_path},
        {"profiles", .text = &o->profile_dir},
        {"runtime-dir", .text = &o->runtime_dir},
        {"state-dir", .text = &o->state_dir},
        {"log-lines", .take = take_log_lines, .arg = &o->log_lines},
        {"output", 'o', .text = &o->output},
        {NULL},
    };
    return cmd_options_take(argc, argv, &(struct cmd_syntax){.help = usage, .options = options});
}

/* ---- the bundle ---- */

void bundle_init(struct bundle *b, const struct bundle_options *options)
{
    memset(b, 0, sizeof *b);
    b->options = *options;
    b->now_s = clock_wall_ms() / 1000;
    redact_init(&b->redact);
    buf_init(&b->archive);
    buf_init(&b->contents);
    snprintf(b->gateway, sizeof b->gateway, "unknown");
}

void bundle_fini(struct bundle *b)
{
    redact_fini(&b->redact);
    buf_fini(&b->archive);
    buf_fini(&b->contents);
}

bool bundle_read(const char *path, struct buf *ret)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return false;
    errno = EISDIR;
    bool ok = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    buf_adds(ret, "");
    for (ssize_t n; ok && ret->len < FILE_MOST;) {
        char chunk[4096];
        n = read(fd, chunk, sizeof chunk);
        if (n <= 0) {
            ok = n == 0;
            break;
        }
        buf_add(ret, chunk, (size_t)n);
    }
    close(fd);
    return ok;
}

void bundle_add(struct bundle *b, const char *name, const char *what, const char *text, size_t len)
{
    struct buf clean = BUF_INIT;
    char path[100];
    redact_text(&b->redact, text, len, &clean);
    snprintf(path, sizeof path, "fieldgate-bundle/%s", name);
    if (buf_ok(&clean))
        tar_add(&b->archive, path, b->now_s, clean.data ? clean.data : "", clean.len);
    else
        b->archive.failed = true;
    int columns = (int)text_width(name);
    buf_addf(&b->contents, "  %s%*s %7.1f KiB  %s\n", name, columns < 34 ? 34 - columns : 0, "",
             (double)clean.len / 1024, what);
    buf_fini(&clean);
}

/* ---- secrets ---- */

static void learn_file(struct bundle *b, const char *path)
{
    struct buf text = BUF_INIT;
    struct stat st;
    if (stat(path, &st) == 0 && st.st_size <= SECRET_MOST && bundle_read(path, &text) && text.len > 0)
        redact_know(&b->redact, text.data, text.len);
    if (text.data)
        explicit_bzero(text.data, text.cap);
    buf_fini(&text);
}

static void learn_folder(struct bundle *b, const char *folder)
{
    DIR *d = folder && *folder ? opendir(folder) : NULL;
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (e->d_name[0] != '.')
            learn_file(b, path);
    }
    closedir(d);
}

/* The value of a YAML line such as `  password_file: /x  # why`, whatever else is wrong with the file. */
static bool value_of(const char *line, size_t len, const char *key, char ret[PATH_MAX])
{
    size_t n = strlen(key);
    const char *at = memmem(line, len, key, n);
    if (!at || (at > line && !strchr(" -{,\t\"'", at[-1])))
        return false;
    const char *end = line + len;
    for (at += n; at < end && strchr("\"' \t:", *at); at++)
        ;
    size_t length = 0;
    while (at + length < end && !strchr("\"',}#", at[length]))
        length++;
    while (length > 0 && strchr(" \t\r", at[length - 1]))
        length--;
    snprintf(ret, PATH_MAX, "%.*s", (int)length, at);
    return length > 0;
}

/* Somebody may have written the secret itself where its file should be named: what names no file is taken for
 * one. */
static void learn_line(struct bundle *b, const char *line, size_t len)
{
    static const char *const keys[] = {"password_file:", "key_file:"};
    static const char *const folders[] = {"/etc/fieldgate/credentials/",
                                          "/run/credentials/fieldgate.service/credentials_"};
    char value[PATH_MAX], path[PATH_MAX * 2];
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (!value_of(line, len, keys[i], value))
            continue;
        learn_file(b, value);
        if (value[0] != '/' && access(value, F_OK) != 0)
            redact_know(&b->redact, value, strlen(value));
    }
    if (!value_of(line, len, "credential:", value))
        return;
    const char *given = getenv("CREDENTIALS_DIRECTORY");
    bool there = geteuid() != 0 && access("/etc/fieldgate/credentials/", X_OK) != 0; /* cannot tell */
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s%s", folders[i], value);
        there = access(path, F_OK) == 0 || there;
    }
    snprintf(path, sizeof path, "%s/credentials_%s", given ? given : "", value);
    if (!there && (!given || access(path, F_OK) != 0))
        redact_know(&b->redact, value, strlen(value));
}

static void learn_config(struct bundle *b, const char *path)
{
    struct buf text = BUF_INIT;
    if (bundle_read(path, &text) && text.data)
        for (const char *line = text.data, *end = text.data + text.len; line < end;) {
            const char *stop = memchr(line, '\n', (size_t)(end - line));
            size_t len = stop ? (size_t)(stop - line) : (size_t)(end - line);
            learn_line(b, line, len);
            line += len + 1;
        }
    buf_fini(&text);
}

void bundle_learn_secrets(struct bundle *b)
{
    char kept[PATH_MAX];
    snprintf(kept, sizeof kept, "%s/last-good/fieldgate.yaml", b->options.state_dir);
    learn_folder(b, getenv("CREDENTIALS_DIRECTORY"));
    learn_folder(b, "/etc/fieldgate/credentials");
    learn_folder(b, "/run/credentials/fieldgate.service");
    learn_config(b, b->options.config_path);
    learn_config(b, kept);
}

/* ---- the file ---- */

static const char *file_name(const struct bundle *b, char ret[PATH_MAX])
{
    char when[32];
    time_t t = (time_t)b->now_s;
    struct tm tm;
    if (b->options.output)
        return b->options.output;
    if (!gmtime_r(&t, &tm) || strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", &tm) == 0)
        snprintf(when, sizeof when, "now");
    snprintf(ret, PATH_MAX, "fieldgate-%s-%s.tar.gz", b->gateway, when);
    return ret;
}

/* A file of that name is replaced, never written through: it may be a link, or readable for others. */
static int write_file(const char *path, const struct buf *bytes)
{
    if (unlink(path) != 0 && errno != ENOENT)
        return -1;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    size_t done = 0;
    while (done < bytes->len) {
        ssize_t n = write(fd, bytes->data + done, bytes->len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    int err = done < bytes->len || fsync(fd) != 0 ? errno : 0;
    if (close(fd) != 0 && err == 0)
        err = errno;
    errno = err;
    return err ? -1 : 0;
}

static int finish(struct bundle *b)
{
    char made[PATH_MAX];
    const char *path = file_name(b, made);
    struct buf packed = BUF_INIT;
    struct compress *c = compress_new();
    tar_end(&b->archive);
    bool ok = c && redact_ok(&b->redact) && buf_ok(&b->archive) &&
              compress_gzip(c, b->archive.data, b->archive.len, &packed) == 0;
    compress_free(c);
    if (!ok)
        fprintf(stderr, "fieldgate bundle: %s\n", err_text(FG_ENOMEM));
    else if (write_file(path, &packed) != 0) {
        fprintf(stderr, _("fieldgate bundle: %s: %s; write --output FILE for another place\n"), path,
                text_errno(errno));
        ok = false;
    } else {
        printf("%s", b->contents.data);
        printf(
            _("\nPasswords and keys were taken out; names, labels, positions and addresses of brokers are in "
              "it. "
              "Look\nthrough it before you send it: tar -tzvf %s\n\n%s  (%.1f KiB, readable for you only)\n"),
            path, path, (double)packed.len / 1024);
    }
    buf_fini(&packed);
    return ok ? CMD_DONE : CMD_FAILED;
}

int cmd_bundle(int argc, char **argv)
{
    struct bundle_options o;
    struct bundle b;
    int code = parse_options(argc, argv, &o);
    if (code != CMD_GO_ON)
        return code;
    bundle_init(&b, &o);
    bundle_learn_secrets(&b);
    bundle_collect(&b);
    code = finish(&b);
    bundle_fini(&b);
    return code;
}
