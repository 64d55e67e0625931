/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd_runtime.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "buf.h"
#include "clock.h"

static int read_file(const char *path, struct buf *text, int64_t *ret_age_ms)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return errno == ENOENT ? FG_ENOTFOUND : FG_EIO;
    char chunk[4096];
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, f)) > 0;)
        buf_add(text, chunk, n);
    struct stat st;
    int err = ferror(f) || fstat(fileno(f), &st) != 0 ? FG_EIO : 0;
    if (err == 0)
        *ret_age_ms = clock_wall_ms() - ((int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000);
    fclose(f);
    return err == 0 && !buf_ok(text) ? FG_ENOMEM : err;
}

int runtime_read(const char *runtime_dir, struct runtime_status *ret)
{
    char path[PATH_MAX];
    struct buf text = BUF_INIT;
    struct runtime_status s = {0};
    snprintf(path, sizeof path, "%s/status.json", runtime_dir);
    int err = read_file(path, &text, &s.age_ms);
    if (err == 0) {
        s.json = json_parse(text.data ? text.data : "", text.len);
        s.pid = json_int(s.json, "pid", 0);
        s.started_ts = json_int(s.json, "started_ts", 0);
        s.text = text.data;
        if (s.pid > 1 && s.started_ts > 0) {
            *ret = s;
            return 0;
        }
        err = FG_ECORRUPT;
        cJSON_Delete(s.json);
    }
    buf_fini(&text);
    return err;
}

void runtime_free(struct runtime_status *s)
{
    cJSON_Delete(s->json);
    free(s->text);
    memset(s, 0, sizeof *s);
}

bool runtime_is_alive(const struct runtime_status *s)
{
    char path[64], name[32] = "";
    snprintf(path, sizeof path, "/proc/%lld/comm", (long long)s->pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    bool same = fgets(name, sizeof name, f) && strcmp(name, CMD_PROCESS_NAME "\n") == 0;
    fclose(f);
    return same;
}
