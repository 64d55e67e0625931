/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a support bundle, one function each: see cmd_bundle.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "cmd_bundle.h"
#include "cmd_runtime.h"
#include "cmd_status_page.h"
#include "config.h"
#include "store_export.h"
#include "text.h"

enum { JOURNAL_MS = 20000, JOURNAL_MOST = 4 * 1024 * 1024 };

static void add_buf(struct bundle *b, const char *name, const char *what, const struct buf *text)
{
    bundle_add(b, name, what, text->data ? text->data : "", text->len);
}

/* A file as it is, or why it cannot be had. */
static void add_file(struct bundle *b, const char *name, const char *what, const char *path)
{
    struct buf text = BUF_INIT;
    if (!bundle_read(path, &text)) {
        buf_reset(&text);
        buf_addf(&text, "%s: %s\n", path, strerror(errno));
        what = errno == ENOENT ? _("not there") : _("could not be read; run it with sudo");
    }
    add_buf(b, name, what, &text);
    buf_fini(&text);
}

/* ---- the machine ---- */

static void add_line_of(struct buf *out, const char *path, const char *key)
{
    char line[256];
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0)
            buf_adds(out, line);
    if (f)
        fclose(f);
}

static void add_version(struct bundle *b)
{
    struct buf text = BUF_INIT;
    struct utsname u;
    struct statvfs fs;
    char when[32] = "";
    time_t t = (time_t)b->now_s;
    struct tm tm;
    if (gmtime_r(&t, &tm))
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    buf_addf(&text, "fieldgate %s\nmade %s\n", FG_VERSION, when);
    if (uname(&u) == 0)
        buf_addf(&text, "%s %s %s\n", u.sysname, u.release, u.machine);
    add_line_of(&text, "/etc/os-release", "PRETTY_NAME=");
    add_line_of(&text, "/proc/meminfo", "MemTotal:");
    add_line_of(&text, "/proc/meminfo", "MemAvailable:");
    add_line_of(&text, "/proc/loadavg", "");
    buf_addf(&text, "up for %lld s\n", (long long)(clock_mono_ms() / 1000));
    if (statvfs(b->options.state_dir, &fs) == 0)
        buf_addf(&text, "%s: %llu of %llu MiB free\n", b->options.state_dir,
                 (unsigned long long)fs.f_bavail * fs.f_frsize >> 20,
                 (unsigned long long)fs.f_blocks * fs.f_frsize >> 20);
    add_buf(b, "version.txt", _("version, system, memory, disk"), &text);
    buf_fini(&text);
}

/* ---- configuration ---- */

static void add_profiles(struct bundle *b)
{
    char folder[PATH_MAX], path[PATH_MAX * 2], name[NAME_MAX + 32];
    if (b->options.profile_dir) {
        snprintf(folder, sizeof folder, "%s", b->options.profile_dir);
    } else {
        const char *slash = strrchr(b->options.config_path, '/');
        snprintf(folder, sizeof folder, "%.*sprofiles", slash ? (int)(slash + 1 - b->options.config_path) : 0,
                 b->options.config_path);
    }
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        size_t len = strlen(e->d_name);
        if (len < 6 || strcmp(e->d_name + len - 5, ".yaml") != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        snprintf(name, sizeof name, "config/profiles/%s", e->d_name);
        add_file(b, name, _("a profile of your own"), path);
    }
    if (d)
        closedir(d);
}

static void take_names(struct bundle *b, const struct config *c)
{
    snprintf(b->database, sizeof b->database, "%s", c->store.path);
    if (c->gateway.id)
        snprintf(b->gateway, sizeof b->gateway, "%s", c->gateway.id);
}

static void add_config(struct bundle *b)
{
    const struct config_options options = {.path = b->options.config_path,
                                           .profile_dir = b->options.profile_dir};
    struct config_problems problems = {0};
    struct config *c = NULL;
    struct buf text = BUF_INIT;
    char kept[PATH_MAX];
    add_file(b, "config/fieldgate.yaml", _("the configuration, without secrets"), b->options.config_path);
    int err = config_load(&options, &c, &problems);
    config_problems_print(&problems, &text);
    buf_addf(&text, "%zu errors, %zu warnings\n", problems.errors, problems.warnings);
    add_buf(b, "config/check.txt", err < 0 ? _("what check says: IT HAS ERRORS") : _("what check says"),
            &text);
    buf_reset(&text);
    if (err == 0) {
        take_names(b, c);
        config_show(c, &text);
        add_buf(b, "config/effective.yaml", _("what is in effect, defaults included"), &text);
    }
    config_problems_free(&problems);
    config_free(c);
    buf_fini(&text);
    if (config_kept_path(b->options.state_dir, kept, sizeof kept) == 0)
        add_file(b, "config/last-good.yaml", _("the last good configuration, without secrets"), kept);
    add_profiles(b);
}

/* ---- the running gateway ---- */

static void add_status(struct bundle *b)
{
    struct runtime_status s;
    struct screen page;
    char path[PATH_MAX];
    int err = runtime_read(b->options.runtime_dir, &s);
    if (err < 0) {
        char why[256];
        int n = snprintf(why, sizeof why, "%s/status.json: %s\n", b->options.runtime_dir, err_text(err));
        bundle_add(b, "status.txt", _("no gateway runs, or it cannot be seen"), why, (size_t)n);
        return;
    }
    snprintf(b->gateway, sizeof b->gateway, "%s", json_string(s.json, "gateway", b->gateway));
    snprintf(b->database, sizeof b->database, "%s",
             json_string(cJSON_GetObjectItemCaseSensitive(s.json, "store"), "path", b->database));
    screen_init(&page, -1);
    status_page(&page, s.json, true);
    if (!runtime_is_alive(&s))
        buf_addf(&page.text, "THE GATEWAY HAS ENDED: this is its last word, %lld s old\n",
                 (long long)(s.age_ms / 1000));
    add_buf(b, "status.txt",
            runtime_is_alive(&s) ? _("status, with the counters of all devices")
                                 : _("the last status of a gateway that HAS ENDED"),
            &page.text);
    screen_fini(&page);
    bundle_add(b, "status.json", _("the same for programs, with the counters of all buses"), s.text,
               strlen(s.text));
    snprintf(path, sizeof path, "%s/metrics.prom", b->options.runtime_dir);
    add_file(b, "metrics.prom", _("the same as metrics"), path);
    runtime_free(&s);
}

/* ---- buffer ---- */

static void add_database(struct buf *out, const char *path)
{
    struct store_export *e = NULL;
    struct err_note note = {""};
    uint64_t first = 0, last = 0, layouts = 0;
    int err = store_export_open(path, &e, &note);
    if (err == 0)
        err = store_export_range(e, &first, &last, &note);
    if (err < 0) {
        buf_addf(out, "%s: %s: %s\n", path, err_text(err), note.text);
    } else {
        for (uint32_t l = 0; (l = store_export_next_layout(e, l)) > 0;)
            layouts++;
        buf_addf(out, "records %llu to %llu, %llu layouts\n", (unsigned long long)first,
                 (unsigned long long)last, (unsigned long long)layouts);
    }
    store_export_close(e);
}

static void add_store(struct bundle *b)
{
    struct buf text = BUF_INIT;
    char folder[PATH_MAX], path[PATH_MAX * 2];
    if (!b->database[0])
        snprintf(b->database, sizeof b->database, "%s/buffer.db", b->options.state_dir);
    snprintf(folder, sizeof folder, "%s", b->database);
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = '\0';
    DIR *d = opendir(slash ? folder : ".");
    if (!d)
        buf_addf(&text, "%s: %s\n", folder, strerror(errno));
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", slash ? folder : ".", e->d_name);
        if (e->d_name[0] != '.' && lstat(path, &st) == 0)
            buf_addf(&text, "%12lld bytes  mode %04o  changed %lld s ago  %s\n", (long long)st.st_size,
                     (unsigned)st.st_mode & 07777, (long long)(b->now_s - st.st_mtim.tv_sec), e->d_name);
    }
    if (d)
        closedir(d);
    add_database(&text, b->database);
    add_buf(b, "store.txt", _("the buffer: files and how far it reaches, no readings"), &text);
    buf_fini(&text);
}

/* ---- log ---- */

static pid_t start_journalctl(int lines, int *ret_fd)
{
    int ends[2];
    char count[16];
    snprintf(count, sizeof count, "%d", lines);
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        execlp("journalctl", "journalctl", "--no-pager", "--quiet", "-o", "short-iso", "-n", count, "-u",
               "fieldgate", (char *)NULL);
        dprintf(STDOUT_FILENO, "journalctl: %s\n", strerror(errno));
        _exit(127);
    }
    close(ends[1]);
    if (pid < 0)
        close(ends[0]);
    *ret_fd = ends[0];
    return pid;
}

static void add_log(struct bundle *b)
{
    struct buf text = BUF_INIT;
    const int64_t until = clock_mono_ms() + JOURNAL_MS;
    int fd = -1;
    pid_t pid = start_journalctl(b->options.log_lines, &fd);
    while (pid > 0 && text.len < JOURNAL_MOST) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        char chunk[4096];
        int64_t left = until - clock_mono_ms();
        if (left <= 0 || poll(&p, 1, (int)left) <= 0)
            break;
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n <= 0)
            break;
        buf_add(&text, chunk, (size_t)n);
    }
    if (pid > 0) {
        kill(pid, SIGKILL); /* it has ended, or takes too long */
        waitpid(pid, NULL, 0);
        close(fd);
    }
    add_buf(b, "log.txt",
            text.len > 0 ? _("the newest lines of the log") : _("the log has nothing, or it may not be read"),
            &text);
    buf_fini(&text);
}

void bundle_collect(struct bundle *b)
{
    add_version(b);
    add_config(b);
    add_status(b);
    add_store(b);
    add_log(b);
    struct buf contents = BUF_INIT;
    buf_addf(&contents, "fieldgate bundle of %s. Secrets were replaced by %s.\n\n", b->gateway, REDACTED);
    if (b->contents.data)
        buf_adds(&contents, b->contents.data);
    bundle_add(b, "CONTENTS.txt", _("this list"), contents.data ? contents.data : "", contents.len);
    buf_fini(&contents);
}
