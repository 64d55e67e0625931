/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_init - asks, searches, and writes a working, commented configuration. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "cmd_init.h"
#include "cmd_options.h"
#include "config_url.h"
#include "text.h"

struct init_options {
    struct config_options config; /* path: the output */
    struct init_search search;
    const char *buses[INIT_BUSES_MAX];
    size_t bus_count;
    const char *broker, *user, *password_file, *ca_file, *id, *name, *language, *every;
    bool yes;
};

static void usage(FILE *out)
{
    fprintf(
        out,
        _("usage: fieldgate init [--bus PORT|HOST[:PORT]]... [--broker URL|none] [--user NAME]\n"
          "                      [--password-file FILE] [--ca-file FILE] [--id ID] [--name NAME]\n"
          "                      [--language en|vi] [--every TIME] [--output FILE] [--yes] [--thorough]\n"
          "                      [--baud N,..] [--format F,..] [--units A-B] [--profiles DIR]\n"
          "                      [--runtime-dir DIR]\n\n"
          "Asks a few questions, searches the lines for devices, tries the broker, and writes a commented\n"
          "configuration that works. An existing file is replaced only when you agree, and kept as a copy.\n"
          "Answers may be given as options; with --yes nothing is asked and everything else is as proposed.\n"
          "Passwords are asked for without echo, or read from a file; they never stand on the command "
          "line.\n\n"
          "  --bus PORT|HOST   a serial adapter or a Modbus TCP box; may be said several times\n"
          "  --broker URL      mqtts://HOST:8883, mqtt://HOST; none: later\n"
          "  --every TIME      how often to read each device: 10s, 5min (usually 60s)\n"
          "  --output FILE     instead of %s\n"
          "  --thorough        search every unit number at every speed, which takes long on a line\n"
          "  --baud, --format, --units: as for `fieldgate scan`\n"),
        CMD_DEFAULT_CONFIG);
}

static const char *take_bus(const char *value, void *arg)
{
    struct init_options *o = arg;
    if (o->bus_count == INIT_BUSES_MAX)
        return _("fewer of them; the others can be added to the file");
    o->buses[o->bus_count++] = value;
    return NULL;
}

static bool is_time(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    const char *unit = text + digits;
    return digits > 0 && digits < 8 &&
           (strcmp(unit, "s") == 0 || strcmp(unit, "min") == 0 || strcmp(unit, "h") == 0);
}

static bool check_texts(const struct init_options *o)
{
    struct err_note note = {""};
    struct config_url url;
    if (o->language && strcmp(o->language, "en") != 0 && strcmp(o->language, "vi") != 0)
        fprintf(stderr, _("fieldgate init: --language is en or vi\n"));
    else if (o->id && !init_is_name(o->id))
        fprintf(stderr, _("fieldgate init: --id has small letters a-z, digits, _ and -, no spaces\n"));
    else if (o->broker && strcmp(o->broker, "none") != 0 && config_url_parse(o->broker, &url, &note) < 0)
        fprintf(stderr, "fieldgate init: --broker: %s\n", note.text);
    else if (o->every && !is_time(o->every))
        fprintf(stderr, _("fieldgate init: --every is a time with its unit, such as 10s or 5min\n"));
    else if (o->password_file && !o->user)
        fprintf(stderr, _("fieldgate init: --password-file needs --user\n"));
    else
        return true;
    return false;
}

static int parse_options(int argc, char **argv, struct init_options *o)
{
    *o = (struct init_options){.config = {.path = CMD_DEFAULT_CONFIG},
                               .search = {.runtime_dir = CMD_DEFAULT_RUNTIME_DIR}};
    struct scan_limits *limits = &o->search.limits;
    const struct cmd_option options[] = {
        {"bus", .take = take_bus, .arg = o},
        {"broker", .text = &o->broker},
        {"user", .text = &o->user},
        {"password-file", .text = &o->password_file},
        {"ca-file", .text = &o->ca_file},
        {"id", .text = &o->id},
        {"name", .text = &o->name},
        {"language", .text = &o->language},
        {"output", .text = &o->config.path},
        {"every", .text = &o->every},
        {"yes", 'y', .flag = &o->yes},
        {"thorough", .flag = &o->search.thorough},
        {"baud", .take = scan_take_bauds, .arg = limits},
        {"format", .take = scan_take_formats, .arg = limits},
        {"units", .take = scan_take_units, .arg = limits},
        {"profiles", .text = &o->config.profile_dir},
        {"runtime-dir", .text = &o->search.runtime_dir},
        {NULL},
    };
    int code = cmd_options_take(argc, argv, &(struct cmd_syntax){.help = usage, .options = options});
    return code == CMD_GO_ON && !check_texts(o) ? CMD_USAGE : code;
}

/* ---- the steps ---- */

static int ask_language(struct init_ask *a, const struct init_options *o, struct init_choice *c)
{
    const char *now = getenv("LANGUAGE") ? getenv("LANGUAGE") : getenv("LANG");
    while (!o->language && a->on) {
        int err =
            init_ask_text(a, "Language / Ngôn ngữ (en English, vi Tiếng Việt)",
                          now && strncmp(now, "vi", 2) == 0 ? "vi" : "en", c->language, sizeof c->language);
        if (err < 0)
            return err;
        if (strcmp(c->language, "en") == 0 || strcmp(c->language, "vi") == 0)
            break;
    }
    if (o->language)
        snprintf(c->language, sizeof c->language, "%s", o->language);
    if (c->language[0])
        text_language(c->language);
    return 0;
}

static int ask_replace(struct init_ask *a, const char *output)
{
    char question[1024];
    if (!a->on || access(output, F_OK) < 0)
        return 0;
    snprintf(question, sizeof question, _("%s exists. Write a new one? The old one is kept as a copy"),
             output);
    int yes = init_ask_yes(a, question, false);
    if (yes == 0)
        printf(_("Nothing was changed. --output FILE writes to another place.\n"));
    return yes > 0 ? 0 : INIT_CANCELLED;
}

static int ask_who(struct init_ask *a, const struct init_options *o, struct init_choice *c)
{
    snprintf(c->name, sizeof c->name, "%s", o->name ? o->name : "");
    snprintf(c->id, sizeof c->id, "%s", o->id ? o->id : "");
    snprintf(c->every, sizeof c->every, "%s", o->every ? o->every : "");
    int err = o->name ? 0 : init_ask_text(a, _("Name of the farm, for people"), "", c->name, sizeof c->name);
    while (err == 0 && !o->id) {
        err = init_ask_text(a, _("Id of this box on the broker, such as farm-01 (Enter: it makes its own)"),
                            "", c->id, sizeof c->id);
        if (err == 0 && (!c->id[0] || init_is_name(c->id)))
            break;
        if (err == 0)
            printf(_("  an id has small letters a-z, digits, _ and -, no spaces\n"));
    }
    return err;
}

static size_t show_ports(struct init_port ports[INIT_PORTS_MAX])
{
    size_t count = init_ports_list("/dev", ports), adapters = 0;
    for (size_t i = 0; i < count; i++)
        adapters += ports[i].adapter;
    if (adapters == 0)
        printf(_("\nNo serial adapter is plugged in. Plug it in, wait a few seconds and press Enter.\n"));
    else
        printf(_("\nSerial ports of this machine:\n"));
    for (size_t i = 0; i < count; i++)
        printf("  %zu  %s\n     %s\n", i + 1, ports[i].path, ports[i].what);
    return count;
}

/* 1: ret is a target; 0: none wanted. */
static int ask_port(struct init_ask *a, char *ret, size_t size)
{
    for (;;) {
        struct init_port ports[INIT_PORTS_MAX];
        size_t count = show_ports(ports);
        bool adapter = count > 0 && ports[0].adapter;
        int err = init_ask_text(
            a, _("Which one? A number, a path, or a box on the network (192.168.1.20); - : none"),
            adapter ? "1" : "", ret, size);
        if (err < 0)
            return err;
        if (strcmp(ret, "-") == 0)
            return 0;
        size_t number = strtoul(ret, NULL, 10);
        if (strspn(ret, "0123456789") != strlen(ret))
            return 1;
        if (number >= 1 && number <= count) {
            snprintf(ret, size, "%s", ports[number - 1].path);
            return 1;
        }
    }
}

/* Nobody can be asked: the only adapter is meant. */
static int only_port(char *ret, size_t size)
{
    struct init_port ports[INIT_PORTS_MAX];
    size_t count = init_ports_list("/dev", ports), adapters = 0;
    for (size_t i = 0; i < count; i++)
        if (ports[i].adapter && adapters++ == 0)
            snprintf(ret, size, "%s", ports[i].path);
    if (adapters == 1)
        return 1;
    fprintf(stderr,
            adapters == 0
                ? _("fieldgate init: no serial adapter is plugged in; plug it in, or name a port or a "
                    "host with --bus\n")
                : _("fieldgate init: there are several serial adapters; name the one with --bus (ls "
                    "/dev/serial/by-id)\n"));
    return FG_ENOTFOUND;
}

static int add_bus(struct init_ask *a, struct init_choice *c, const struct init_options *o,
                   const char *target, const struct config *old)
{
    struct init_bus *bus = &c->buses[c->bus_count];
    init_bus_begin(c, target, old);
    int err = init_bus_fill(a, c, bus, &o->search);
    if (err == 0) {
        c->bus_count++;
        return 0;
    }
    free(bus->devices);
    free(bus->scan.findings.items);
    memset(bus, 0, sizeof *bus);
    return err;
}

static int ask_buses(struct init_ask *a, struct init_choice *c, const struct init_options *o,
                     const struct config *old)
{
    char target[INIT_TEXT_MAX];
    for (size_t i = 0; i < o->bus_count; i++) {
        int err = add_bus(a, c, o, o->buses[i], old);
        if (err < 0)
            return err;
    }
    while (o->bus_count == 0 && c->bus_count < INIT_BUSES_MAX) {
        int more = a->on ? ask_port(a, target, sizeof target) : only_port(target, sizeof target);
        if (more <= 0)
            return more;
        int err = add_bus(a, c, o, target, old);
        if (err < 0 && (err != FG_EIO || !a->on)) /* another port may be named instead */
            return err;
        if (!a->on)
            break;
        more = err == FG_EIO ? 1 : init_ask_yes(a, _("\nAnother adapter or box?"), false);
        if (more <= 0)
            return more;
    }
    return 0;
}

static int read_password(const char *path, struct init_uplink *u)
{
    FILE *f = fopen(path, "re");
    if (!f || !fgets(u->password, sizeof u->password, f)) {
        fprintf(stderr, "fieldgate init: %s: %s\n", path, f ? _("the file is empty") : text_errno(errno));
        if (f)
            fclose(f);
        return FG_EIO;
    }
    fclose(f);
    u->password[strcspn(u->password, "\r\n")] = '\0';
    u->has_password = u->password[0] != '\0';
    return 0;
}

static int ask_account(struct init_ask *a, const struct init_options *o, struct init_uplink *u)
{
    int err = 0;
    if (!o->user)
        err = init_ask_text(a, _("User name at the broker (Enter: none)"), u->user, u->user, sizeof u->user);
    if (err == 0 && o->password_file)
        return read_password(o->password_file, u);
    if (err == 0 && u->user[0] && a->on) {
        err = init_ask_secret(a, _("Password (it is not shown)"), u->password, sizeof u->password);
        u->has_password = err == 0 && u->password[0] != '\0';
    }
    return err;
}

static int ask_url(struct init_ask *a, struct init_uplink *u)
{
    for (;;) {
        struct err_note note = {""};
        struct config_url url;
        int err = init_ask_text(a, _("\nBroker, as mqtts://HOST:8883 or mqtt://HOST (- : none yet)"),
                                u->url[0] ? u->url : "-", u->url, sizeof u->url);
        if (err < 0)
            return err;
        if (strcmp(u->url, "-") == 0)
            u->url[0] = '\0';
        if (!u->url[0] || config_url_parse(u->url, &url, &note) == 0)
            return 0;
        printf("  %s\n", note.text);
        u->url[0] = '\0';
    }
}

static int ask_broker(struct init_ask *a, struct init_choice *c, const struct init_options *o)
{
    struct init_uplink *u = &c->uplink;
    snprintf(u->user, sizeof u->user, "%s", o->user ? o->user : "");
    snprintf(u->ca_file, sizeof u->ca_file, "%s", o->ca_file ? o->ca_file : "");
    if (o->broker && strcmp(o->broker, "none") != 0)
        snprintf(u->url, sizeof u->url, "%s", o->broker);
    for (bool again = false;; again = true) {
        int err = !o->broker || again ? ask_url(a, u) : 0;
        if (err < 0 || !u->url[0])
            return err;
        err = ask_account(a, o, u);
        if (err == 0)
            err = init_broker_try(a, c);
        if (err == 0 || err == INIT_CANCELLED)
            return err;
        if (!a->on) {
            printf(_("  It is written all the same; `fieldgate status` says more.\n"));
            return 0;
        }
        int other = init_ask_yes(a, _("Try other values? (n: it is written all the same)"), true);
        if (other <= 0)
            return other;
        if (strncmp(u->url, "mqtts:", 6) == 0 || strncmp(u->url, "wss:", 4) == 0)
            err = init_ask_text(a, _("File with the broker's certificate authority (Enter: the public ones)"),
                                u->ca_file, u->ca_file, sizeof u->ca_file);
        if (err == INIT_CANCELLED)
            return err;
    }
}

/* The same as the command, so that nobody has to believe us. */
static int check(const struct init_options *o, const struct init_place *place)
{
    char *argv[] = {"check", "--config", (char *)o->config.path, "--profiles", (char *)o->config.profile_dir,
                    NULL};
    printf("\n");
    fflush(stdout);
    int code = cmd_check(o->config.profile_dir ? 5 : 3, argv);
    fflush(stderr);
    if (code != CMD_DONE)
        printf(_("\nNext: mend the lines above in %s, then `fieldgate check`\n"), o->config.path);
    else if (place->installed)
        printf(_("\nNext: sudo fieldgate apply       (the gateway takes it over; then: fieldgate status)\n"));
    else
        printf(_("\nNext: fieldgate run --config %s\n"), o->config.path);
    return code;
}

/* The readings that are there stay in use. A file for a trial keeps its own beside it. */
static void choose_store(struct init_choice *c, const struct init_place *place, const struct config *old)
{
    if (old && old->store.path)
        snprintf(c->store_path, sizeof c->store_path, "%s", old->store.path);
    else if (!place->installed)
        snprintf(c->store_path, sizeof c->store_path, "%.1000s/buffer.db", place->folder);
}

static int make(struct init_ask *a, struct init_choice *c, const struct init_options *o,
                const struct config *old)
{
    struct init_place place;
    struct err_note note = {""};
    struct buf text = BUF_INIT;
    int err = ask_language(a, o, c);
    if (err == 0 && (err = init_place_find(o->config.path, &place, &note)) < 0)
        fprintf(stderr, "fieldgate init: %s\n", note.text);
    if (err == 0)
        err = ask_replace(a, o->config.path);
    if (err == 0)
        err = ask_who(a, o, c);
    if (err == 0)
        err = ask_buses(a, c, o, old);
    if (err == 0)
        err = ask_broker(a, c, o);
    if (err < 0)
        return err;
    choose_store(c, &place, old);
    init_text(c, &place, &text);
    err = init_write(&place, c, &text, &note);
    buf_fini(&text);
    if (err < 0)
        fprintf(stderr, "fieldgate init: %s\n", note.text);
    else
        printf(_("Written: %s\n"), o->config.path);
    return err < 0 ? err : check(o, &place);
}

static void finish(struct init_choice *c)
{
    for (size_t i = 0; i < c->bus_count; i++) {
        free(c->buses[i].devices);
        free(c->buses[i].scan.findings.items);
    }
    explicit_bzero(&c->uplink, sizeof c->uplink);
    scan_profiles_free(&c->profiles);
    free(c);
}

int cmd_init(int argc, char **argv)
{
    struct init_options o;
    struct init_ask a;
    int code = parse_options(argc, argv, &o);
    if (code != CMD_GO_ON)
        return code;
    if (!o.yes && isatty(STDIN_FILENO) != 1) {
        fprintf(stderr, _("fieldgate init: there is no terminal to ask on; say --yes and give the answers as "
                          "options (fieldgate init --help)\n"));
        return CMD_USAGE;
    }
    struct init_choice *c = calloc(1, sizeof *c);
    struct config *old = NULL;
    struct config_problems problems = {0};
    code = FG_ENOMEM;
    if (config_load(&o.config, &old, &problems) < 0)
        old = NULL; /* there may be none, and it is written anew anyway */
    config_problems_free(&problems);
    if (c && init_ask_begin(&a, !o.yes) == 0) {
        if (scan_profiles_load(&o.config, &c->profiles) == 0)
            code = make(&a, c, &o, old);
        if (code == INIT_CANCELLED && a.cancelled)
            fprintf(stderr, _("fieldgate init: cancelled; nothing was written\n"));
        init_ask_end(&a);
    }
    if (c)
        finish(c);
    config_free(old);
    return code < 0 ? CMD_FAILED : code;
}
