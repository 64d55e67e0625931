/* SPDX-License-Identifier: Apache-2.0 */
/* The whole gateway in one process, against ports where nobody listens: it must start, tell, and stop all the
 * same. */
#include "unit.h"

#include <sys/syscall.h>

#include "../../gateway/cmd_runtime.h"
#include "../../gateway/gateway.h"
#include "../../gateway/health.h"
#include "../../gateway/json.h"
#include "../../gateway/store_turn.h"

struct fixture {
    char dir[64];
    struct config *config;
    struct gateway *gateway;
};

static const char CONFIG[] =
    "gateway: {name: Test farm, labels: {plot: A1}, latitude: 10.8412, longitude: 107.879}\n"
    "store: {path: %s/buffer.db, commit_every: 100ms}\n"
    "clock: {trust: always}\n"
    "buses:\n"
    "  - {name: net, protocol: tcp, host: 127.0.0.1, tcp_port: 1}\n"
    "  - {name: line, protocol: rtu, port: %s/no-such-port}\n"
    "devices:\n"
    "  - {name: pump, bus: net, unit: 1, every: 1s, points: [{name: run, register: coil, "
    "address: 3}]}\n"
    "  - {name: soil, bus: line, unit: 2, every: 1s, points: [{name: level, register: "
    "holding, address: 0, scale: 0.1, unit: cm}]}\n"
    "uplinks:\n"
    "  - {name: province, url: \"mqtt://127.0.0.1:1\", topic: \"farm/{gateway}\"}\n";

/* Takes the place of the C library's: what was asked to be on the disk. */
static struct {
    _Atomic unsigned files, folders;
} synced;

int fsync(int fd)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        synced.folders++;
    else
        synced.files++;
    return (int)syscall(SYS_fsync, fd);
}

/* These stand before those of store_turn.h: how often this thread waited for the disk, and a disk that hangs.
 */
static _Thread_local int turns;
static _Atomic bool disk_hangs;

void __real_store_turn_take(struct store_turn *t);
void __wrap_store_turn_take(struct store_turn *t);
bool __real_store_turn_try(struct store_turn *t, int64_t most_ms);
bool __wrap_store_turn_try(struct store_turn *t, int64_t most_ms);

void __wrap_store_turn_take(struct store_turn *t)
{
    turns++;
    __real_store_turn_take(t);
}

bool __wrap_store_turn_try(struct store_turn *t, int64_t most_ms)
{
    turns++;
    return !disk_hangs && __real_store_turn_try(t, most_ms);
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    char path[128], text[2048];
    unit_folder(f->dir);
    snprintf(path, sizeof path, "%s/fieldgate.yaml", f->dir);
    snprintf(text, sizeof text, CONFIG, f->dir, f->dir);
    write_text(path, text);
    struct config_options options = {.path = path, .secrets_required = true};
    struct config_problems problems = {0};
    int err = config_load(&options, &f->config, &problems);
    struct buf said = BUF_INIT;
    config_problems_print(&problems, &said);
    if (err)
        print_error("%s", said.data);
    buf_fini(&said);
    config_problems_free(&problems);
    assert_int_equal(err, 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    if (f->gateway)
        gateway_stop(f->gateway);
    gateway_free(f->gateway);
    config_free(f->config);
    unit_remove_folder(f->dir);
    free(f);
    return 0;
}

static void start(struct fixture *f)
{
    struct gateway_options options = {.config = f->config,
                                      .gateway_id = "gw-test",
                                      .config_path = "fieldgate.yaml",
                                      .config_state = "current",
                                      .state_dir = f->dir,
                                      .first_retry_max_ms = 100};
    struct err_note note = {0};
    assert_int_equal(config_expand(f->config, "gw-test"), 0);
    assert_int_equal(gateway_new(&options, &f->gateway, &note), 0);
    assert_int_equal(gateway_start(f->gateway, &note), 0);
}

static cJSON *status(struct fixture *f)
{
    struct buf json = BUF_INIT, metrics = BUF_INIT;
    gateway_status(f->gateway, &json, &metrics);
    assert_true(buf_ok(&json) && buf_ok(&metrics));
    assert_non_null(strstr(metrics.data, "fieldgate_uplink_waiting_records{uplink=\"province\"} "));
    cJSON *parsed = json_parse(json.data, json.len);
    assert_non_null(parsed);
    buf_fini(&json);
    buf_fini(&metrics);
    return parsed;
}

/* Waits until both devices have a failed poll recorded and committed. */
static void wait_for_failed_polls(struct fixture *f)
{
    for (int64_t deadline = clock_mono_ms() + 20000;;) {
        assert_true(clock_mono_ms() < deadline);
        cJSON *s = status(f);
        const cJSON *store = cJSON_GetObjectItemCaseSensitive(s, "store");
        int failed = 0;
        for (const cJSON *device = json_first(s, "devices"); device; device = device->next)
            failed += strcmp(json_string(device, "failed_with", ""), "not_connected") == 0;
        bool enough = failed == 2 && json_int(store, "newest", 0) >= 4;
        cJSON_Delete(s);
        if (enough)
            return;
        assert_true(gateway_tick(f->gateway));
        clock_sleep_until_us(clock_mono_us() + 10000);
    }
}

static void it_runs_with_neither_bus_nor_broker_and_keeps_the_failures(void **state)
{
    struct fixture *f = *state;
    start(f);
    wait_for_failed_polls(f);
    cJSON *s = status(f);
    const cJSON *uplink = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(s, "uplinks"), 0);
    assert_string_equal(json_string(s, "gateway", ""), "gw-test");
    assert_false(json_bool(uplink, "connected", true));
    assert_int_equal(json_int(uplink, "accepted", -1), json_int(uplink, "waiting", -2) +
                                                           json_int(uplink, "delivered", -2) +
                                                           json_int(uplink, "dropped", -2));
    assert_true(json_int(uplink, "waiting", -1) >= 4);
    cJSON_Delete(s);
    struct buf line = BUF_INIT;
    gateway_summary(f->gateway, &line);
    assert_string_equal(line.data, "0 of 2 devices answer, 0 of 1 uplinks connected");
    buf_fini(&line);
}

static void a_stop_is_quick_and_a_second_life_goes_on_counting(void **state)
{
    struct fixture *f = *state;
    start(f);
    wait_for_failed_polls(f);
    int64_t began = clock_mono_ms();
    assert_true(gateway_stop(f->gateway));
    assert_true(clock_mono_ms() - began < 5000);
    gateway_free(f->gateway);
    f->gateway = NULL;
    start(f);
    cJSON *s = status(f);
    const cJSON *uplink = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(s, "uplinks"), 0);
    assert_true(json_int(uplink, "waiting", -1) >= 4);
    assert_int_equal(json_int(uplink, "dropped", -1), 0);
    cJSON_Delete(s);
    assert_true(gateway_stop(f->gateway));
}

static void an_id_is_made_once_and_kept(void **state)
{
    struct fixture *f = *state;
    char first[64], second[64];
    struct err_note note;
    assert_int_equal(gateway_id(f->config, f->dir, first, sizeof first, &note), 0);
    assert_int_equal(gateway_id(f->config, f->dir, second, sizeof second, &note), 0);
    assert_string_equal(first, second);
    assert_memory_equal(first, "gw-", 3);
}

/* Or the gateway would be another one after a power cut, and its readings would come twice. */
static void an_id_is_on_the_disk_before_it_is_used(void **state)
{
    struct fixture *f = *state;
    char id[64];
    struct err_note note;
    synced.files = synced.folders = 0;
    assert_int_equal(gateway_id(f->config, f->dir, id, sizeof id, &note), 0);
    assert_int_equal(synced.files, 1);
    assert_int_equal(synced.folders, 1);
}

static void a_state_folder_from_another_machine_gives_another_id(void **state)
{
    struct fixture *f = *state;
    char path[128], id[64];
    struct err_note note;
    snprintf(path, sizeof path, "%s/gateway-id", f->dir);
    write_text(path, "gw-cloned 00000000000000000000000000000000\n");
    assert_int_equal(gateway_id(f->config, f->dir, id, sizeof id, &note), 0);
    assert_string_not_equal(id, "gw-cloned");
}

static void an_id_that_cannot_be_kept_is_used_and_kept_later(void **state)
{
    struct fixture *f = *state;
    char id[64];
    struct err_note note;
    assert_int_equal(gateway_id(f->config, "/nonexistent", id, sizeof id, &note), FG_EIO);
    assert_non_null(strstr(note.text, "/nonexistent"));
    assert_memory_equal(id, "gw-", 3);
    char later[64];
    assert_int_equal(gateway_id_keep(f->dir, id, &note), 0);
    assert_int_equal(gateway_id(f->config, f->dir, later, sizeof later, &note), 0);
    assert_string_equal(later, id);
}

static void a_command_reads_what_a_gateway_wrote_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    struct runtime_status s;
    assert_int_equal(runtime_read(f->dir, &s), FG_ENOTFOUND);
    char path[128];
    snprintf(path, sizeof path, "%s/status.json", f->dir);
    write_text(path, "{\"pid\":\"x\"}");
    assert_int_equal(runtime_read(f->dir, &s), FG_ECORRUPT);
    write_text(path, "");
    assert_int_equal(runtime_read(f->dir, &s), FG_ECORRUPT);
    start(f);
    struct buf json = BUF_INIT, metrics = BUF_INIT;
    gateway_status(f->gateway, &json, &metrics);
    assert_int_equal(health_write_file(f->dir, "status.json", &json, NULL), 0);
    assert_int_equal(runtime_read(f->dir, &s), 0);
    assert_int_equal(s.pid, getpid());
    assert_false(runtime_is_alive(&s)); /* this process is a test, not fieldgate */
    runtime_free(&s);
    buf_fini(&json);
    buf_fini(&metrics);
    assert_true(gateway_stop(f->gateway));
}

static void status_and_metrics_together_wait_for_the_disk_once(void **state)
{
    struct fixture *f = *state;
    start(f);
    turns = 0;
    cJSON_Delete(status(f));
    assert_int_equal(turns, 1);
}

/* Asking for the size of a file there might hang too: it would be seen here as a size of nothing. */
static void a_disk_that_hangs_is_not_asked_how_large_its_file_is(void **state)
{
    struct fixture *f = *state;
    char path[2][128], away[2][128];
    static const char *const TAILS[] = {"", "-wal"};
    start(f);
    wait_for_failed_polls(f);
    disk_hangs = true;
    for (int i = 0; i < 2; i++) {
        snprintf(path[i], sizeof path[i], "%s/buffer.db%s", f->dir, TAILS[i]);
        snprintf(away[i], sizeof away[i], "%s/away%s", f->dir, TAILS[i]);
        assert_int_equal(rename(path[i], away[i]), 0);
    }
    cJSON *s = status(f);
    const cJSON *store = cJSON_GetObjectItemCaseSensitive(s, "store");
    assert_true(json_int(store, "bytes", -1) > 0);
    assert_true(json_int(store, "max_bytes", -1) > 0);
    assert_true(json_int(store, "stalled_ms", -1) > 0);
    cJSON_Delete(s);
    for (int i = 0; i < 2; i++)
        assert_int_equal(rename(away[i], path[i]), 0);
    disk_hangs = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_runs_with_neither_bus_nor_broker_and_keeps_the_failures, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(status_and_metrics_together_wait_for_the_disk_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_disk_that_hangs_is_not_asked_how_large_its_file_is, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_stop_is_quick_and_a_second_life_goes_on_counting, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_id_is_made_once_and_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_id_is_on_the_disk_before_it_is_used, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_state_folder_from_another_machine_gives_another_id, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_id_that_cannot_be_kept_is_used_and_kept_later, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_command_reads_what_a_gateway_wrote_and_nothing_else, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("gateway", tests, NULL, NULL);
}
