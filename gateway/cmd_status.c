/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_status - one screen for a technician: what answers, what does not and what to try, what waits, the
 * link. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "cmd_runtime.h"
#include "text.h"

enum { STALE_MS = 10000, WATCH_SECONDS = 2 };

struct status_options {
    const char *runtime_dir;
    bool json, watch;
};

static void usage(FILE *out)
{
    fprintf(out, _("usage: fieldgate status [--runtime-dir DIR] [--json] [--watch]\n\n"
                   "Prints the health of the running gateway. Exit 0: it runs; 1: it does not, or hangs.\n\n"
                   "  --json     the status file as it is\n"
                   "  --watch    again every 2 seconds, until interrupted\n"));
}

static int parse_options(int argc, char **argv, struct status_options *o)
{
    static const struct option longs[] = {
        {"runtime-dir", required_argument, NULL, 'r'},
        {"json", no_argument, NULL, 'j'},
        {"watch", no_argument, NULL, 'w'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    *o = (struct status_options){.runtime_dir = CMD_DEFAULT_RUNTIME_DIR};
    optind = 0;
    for (int c; (c = getopt_long(argc, argv, "h", longs, NULL)) != -1;) {
        switch (c) {
        case 'r':
            o->runtime_dir = optarg;
            break;
        case 'j':
            o->json = true;
            break;
        case 'w':
            o->watch = true;
            break;
        case 'h':
            usage(stdout);
            return 1;
        default:
            usage(stderr);
            return -1;
        }
    }
    if (optind < argc) {
        fprintf(stderr, _("fieldgate status: unexpected argument \"%s\"\n"), argv[optind]);
        return -1;
    }
    return 0;
}

/* ---- words ---- */

/* "850 ms", "12 s", "3 min", "5 h", "9 d": one unit is enough to judge by. */
static const char *span(int64_t ms, char ret[32])
{
    if (ms < 0)
        ms = 0;
    if (ms < 1000)
        snprintf(ret, 32, "%lld ms", (long long)ms);
    else if (ms < 120 * 1000)
        snprintf(ret, 32, "%lld s", (long long)(ms / 1000));
    else if (ms < 120 * 60000)
        snprintf(ret, 32, "%lld min", (long long)(ms / 60000));
    else if (ms < 48 * 3600000LL)
        snprintf(ret, 32, "%lld h", (long long)(ms / 3600000));
    else
        snprintf(ret, 32, "%lld d", (long long)(ms / 86400000));
    return ret;
}

static const char *local_time(int64_t wall_ms, char ret[32])
{
    time_t t = (time_t)(wall_ms / 1000);
    struct tm tm;
    if (!localtime_r(&t, &tm) || strftime(ret, 32, "%Y-%m-%d %H:%M:%S", &tm) == 0)
        ret[0] = '\0';
    return ret;
}

/* What to try when a device does not give data, by the reason of the last failed poll. */
static const char *advice_for(const char *reason)
{
    static const struct {
        const char *reason, *text;
    } advices[] = {
        {"no_reply", N_("check power, wires A/B, address, baud")},
        {"bad_crc", N_("check wires, ground and termination, or two devices with one address")},
        {"bad_frame", N_("check baud and parity, or another master on this line")},
        {"short", N_("the answer breaks off; check the supply, loose terminals and termination")},
        {"wrong_unit", N_("another unit answers; check for two devices with one address")},
        {"wrong_function", N_("it answers something else; check for two devices with one address")},
        {"garbage", N_("check baud, format (parity) and A/B")},
        {"foreign", N_("look for another master on this line, or a sensor that sends unasked")},
        {"late", N_("its answers come too late; raise its timeout")},
        {"exception", N_("the device refuses; check profile and registers")},
        {"not_connected", N_("check the port or network; see the log line FG-BUS-PORT")},
        {"config_error", N_("the profile does not fit this device")},
        {"sensor_fault", N_("the device says that its sensor has no measurement")},
    };
    for (size_t i = 0; i < sizeof advices / sizeof advices[0]; i++)
        if (strcmp(advices[i].reason, reason) == 0)
            return advices[i].text;
    return "";
}

/* The kind of failure says more than the quality that it leads to. */
static const char *advice(const cJSON *device)
{
    const char *special = advice_for(json_string(device, "trouble", ""));
    return special[0] ? special : advice_for(json_string(device, "failed_with", ""));
}

/* ---- the parts of the screen ---- */

static void print_head(const struct runtime_status *s)
{
    char up[32], when[32];
    printf(_("%s  %s  running for %s (%s)\n"), json_string(s->json, "gateway", "?"),
           json_string(s->json, "software", "?"), span(json_int(s->json, "uptime_ms", 0), up),
           local_time(json_int(s->json, "ts", 0), when));
    if (strcmp(json_string(s->json, "config", ""), "current") != 0)
        printf(_("configuration: LAST GOOD ONE (%s): the file has errors; run `fieldgate check`\n"),
               json_string(s->json, "config_path", "?"));
    if (strcmp(json_string(s->json, "clock", ""), "trusted") != 0)
        printf(_("clock: NOT TRUSTED: readings are marked; check network time or the clock battery\n"));
}

static void print_value(const cJSON *reading)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(reading, "value");
    const char *quality = json_string(reading, "quality", "");
    const char *unit = json_string(reading, "unit", "");
    if (strcmp(quality, "not_due") == 0)
        return;
    printf("    %-24s ", json_string(reading, "name", "?"));
    const char *state = cJSON_IsTrue(value) ? _("on") : _("off");
    if (cJSON_IsBool(value))
        printf("%*s", text_field(state, 10), state);
    else if (cJSON_IsNumber(value))
        printf("%10.15g", value->valuedouble);
    else
        printf("%10s", "-");
    printf(" %s", unit);
    if (strcmp(quality, "good") != 0)
        printf("  %s", quality);
    printf("\n");
}

/* How fast it answers, and how long we wait by now: a device that grows slow is on its way out. */
static void print_times(const cJSON *device)
{
    const cJSON *counters = cJSON_GetObjectItemCaseSensitive(device, "counters");
    if (json_int(counters, "replies", 0) == 0)
        return;
    printf(_("   answers in %lld ms (%lld to %lld)"), (long long)json_int(counters, "reply_mean_ms", 0),
           (long long)json_int(counters, "reply_min_ms", 0),
           (long long)json_int(counters, "reply_max_ms", 0));
    if (json_int(device, "timeout_ms", 0) > 0)
        printf(_(", waited for %lld ms"), (long long)json_int(device, "timeout_ms", 0));
}

static void print_device(const cJSON *device)
{
    char age[32];
    const char *state = json_string(device, "state", "?");
    const char *reason = json_string(device, "failed_with", "");
    int64_t good_age = json_int(device, "last_good_age_ms", -1);
    printf("  %-20s %-10s %-8s ", json_string(device, "name", "?"), json_string(device, "bus", "?"), state);
    if (good_age >= 0)
        printf(_("%s ago"), span(good_age, age));
    else
        printf("%s", _("never answered"));
    if (reason[0])
        printf("  %s: %s", reason, _(advice(device)));
    print_times(device);
    printf("\n");
    for (const cJSON *reading = json_first(device, "readings"); reading; reading = reading->next)
        print_value(reading);
}

/* "12 of 3400 questions failed: 8 silence, 4 bad_crc": the share says how bad, the kinds where to look. */
static void print_bus(const cJSON *bus)
{
    static const struct {
        const char *key, *word;
    } kinds[] = {{"timeouts", "silence"},
                 {"bad_crc", "bad_crc"},
                 {"short", "short"},
                 {"wrong_unit", "wrong_unit"},
                 {"wrong_function", "wrong_function"},
                 {"garbage", "garbage"},
                 {"foreign", "foreign"},
                 {"late", "late"}};
    const cJSON *counters = cJSON_GetObjectItemCaseSensitive(bus, "counters");
    long long requests = (long long)json_int(counters, "requests", 0);
    long long failed = requests - (long long)json_int(counters, "replies", 0);
    printf(_("  %-20s %3lld %% busy"), json_string(bus, "name", "?"),
           (long long)(json_int(bus, "busy_permille", 0) + 5) / 10);
    if (failed > 0)
        printf(_("   %lld of %lld questions failed"), failed, requests);
    const char *before = ": ";
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && failed > 0; i++) {
        long long n = (long long)json_int(counters, kinds[i].key, 0);
        if (n == 0)
            continue;
        printf("%s%lld %s", before, n, kinds[i].word);
        before = ", ";
    }
    if (json_int(bus, "missed", 0) > 0)
        printf(_("   %lld periods missed"), (long long)json_int(bus, "missed", 0));
    printf("\n");
}

static void print_uplink(const cJSON *u)
{
    char a[32], b[32];
    printf("  %-20s ", json_string(u, "name", "?"));
    if (json_bool(u, "connected", false))
        printf(_("connected to %s for %s\n"), json_string(u, "url", "?"), span(json_int(u, "for_ms", 0), a));
    else
        printf(_("DOWN for %s: %s; next try in %s\n"), span(json_int(u, "for_ms", 0), a),
               json_string(u, "reason", ""), span(json_int(u, "next_try_in_ms", 0), b));
    if (json_bool(u, "id_clash", false))
        printf(
            _("    ANOTHER CLIENT USES OUR client_id ON THIS BROKER: most likely a second gateway with this "
              "gateway's id;\n    give one of them another gateway: id, then `fieldgate apply`\n"));
    printf(_("    delivered %lld   waiting %lld   dropped %lld"), (long long)json_int(u, "delivered", 0),
           (long long)json_int(u, "waiting", 0), (long long)json_int(u, "dropped", 0));
    int64_t oldest = json_int(u, "oldest_waiting_ts", 0), drain = json_int(u, "drain_ms", -1);
    if (oldest)
        printf(_("   oldest waiting from %s"), local_time(oldest, a));
    if (drain > 0)
        printf(_("   empty in about %s"), span(drain, b));
    printf("\n");
}

static void print_store(const cJSON *store)
{
    double used = (double)json_int(store, "bytes", 0), max = (double)json_int(store, "max_bytes", 1);
    printf(_("  %.1f of %.0f MiB used, %lld records, newest %lld\n"), used / 1048576, max / 1048576,
           (long long)json_int(store, "records", 0), (long long)json_int(store, "newest", 0));
    if (json_bool(store, "failing", false))
        printf(_("  THE DISK REFUSES WRITES: %s\n"), json_string(store, "why", ""));
    if (json_int(store, "in_memory", 0))
        printf(_("  %lld records are in memory only: what is not delivered is lost if the power goes now\n"),
               (long long)json_int(store, "in_memory", 0));
    if (json_int(store, "queue_dropped", 0))
        printf(_("  %lld samples lost because the disk was too slow\n"),
               (long long)json_int(store, "queue_dropped", 0));
}

static void print_status(const struct runtime_status *s)
{
    print_head(s);
    printf(_("\ndevices\n"));
    for (const cJSON *device = json_first(s->json, "devices"); device; device = device->next)
        print_device(device);
    printf(_("\nbuses\n"));
    for (const cJSON *bus = json_first(s->json, "buses"); bus; bus = bus->next)
        print_bus(bus);
    printf(_("\nuplinks\n"));
    for (const cJSON *uplink = json_first(s->json, "uplinks"); uplink; uplink = uplink->next)
        print_uplink(uplink);
    printf(_("\nbuffer\n"));
    print_store(cJSON_GetObjectItemCaseSensitive(s->json, "store"));
}

/* ---- command ---- */

static int say_why_not(int err, const char *runtime_dir)
{
    if (err == FG_ENOTFOUND)
        fprintf(stderr,
                _("fieldgate status: no gateway runs here (%s/status.json is missing); start it with "
                  "`systemctl start fieldgate`\n"),
                runtime_dir);
    else if (err == FG_EIO)
        fprintf(stderr, _("fieldgate status: %s/status.json: %s\n"), runtime_dir, text_errno(errno));
    else
        fprintf(stderr, _("fieldgate status: %s/status.json is not what a gateway writes: %s\n"), runtime_dir,
                err_text(err));
    return CMD_FAILED;
}

static int show_once(const struct status_options *o)
{
    struct runtime_status s;
    int err = runtime_read(o->runtime_dir, &s);
    if (err < 0)
        return say_why_not(err, o->runtime_dir);
    text_language(json_string(s.json, "language", "auto"));
    if (o->json)
        fputs(s.text, stdout);
    else
        print_status(&s);
    int code = CMD_DONE;
    char age[32];
    if (!runtime_is_alive(&s)) {
        fprintf(stderr,
                _("fieldgate status: the gateway has ended; this is its last word, from %s ago; see its log: "
                  "journalctl -u fieldgate\n"),
                span(s.age_ms, age));
        code = CMD_FAILED;
    } else if (s.age_ms > STALE_MS) {
        fprintf(stderr, _("fieldgate status: the gateway has written nothing for %s; it may hang\n"),
                span(s.age_ms, age));
        code = CMD_FAILED;
    }
    runtime_free(&s);
    fflush(stdout);
    return code;
}

int cmd_status(int argc, char **argv)
{
    struct status_options o;
    int parsed = parse_options(argc, argv, &o);
    if (parsed)
        return parsed > 0 ? CMD_DONE : CMD_USAGE;
    if (!o.watch)
        return show_once(&o);
    for (;;) {
        if (isatty(STDOUT_FILENO) == 1 && !o.json)
            printf("\033[H\033[2J");
        show_once(&o);
        if (ferror(stdout))
            return CMD_FAILED;
        sleep(WATCH_SECONDS);
    }
}
