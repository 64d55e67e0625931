/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration that `fieldgate init` writes, with the comments a technician needs later: see
 * cmd_init.h. */
#include <string.h>

#include "cmd_init.h"
#include "config_number.h"
#include "text.h"

enum { EVERY_MS = 60000 };

/* A YAML string in double quotes. Control characters cannot come from a line of input but by a paste. */
static void add_quoted(struct buf *out, const char *text)
{
    buf_addc(out, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buf_addc(out, '\\');
        buf_addc(out, (unsigned char)*text < ' ' ? ' ' : *text);
    }
    buf_addc(out, '"');
}

static void add_value(struct buf *out, const char *key, const char *text)
{
    buf_adds(out, key);
    add_quoted(out, text);
    buf_addc(out, '\n');
}

static void add_head(const struct init_choice *c, struct buf *out)
{
    buf_adds(
        out,
        _("# fieldgate: the configuration of this gateway, written by `fieldgate init`.\n"
          "#\n"
          "#   fieldgate check      reads this file, names every mistake with its line, changes nothing\n"
          "#   fieldgate apply      checks, then restarts the gateway with it (no reading is lost)\n"
          "#   fieldgate show       prints what is in effect, defaults included\n"
          "#   fieldgate status     says what each sensor and the link to the broker are doing\n"
          "#\n"
          "# Times and sizes carry their unit: 500ms 10s 5min 1h 7d, 64KiB 1GiB. A line that begins\n"
          "# with # is off. All keys: man fieldgate.yaml\n\n"));
    if (c->language[0])
        buf_addf(out, _("language: %s                  # of messages and log: en, vi, or auto\n\n"),
                 c->language);
}

static void add_gateway(const struct init_choice *c, struct buf *out)
{
    buf_adds(out, "gateway:\n");
    if (c->id[0])
        buf_addf(out, _("  id: %s    # the name of this box in every message; no two boxes may share one\n"),
                 c->id);
    else
        buf_adds(out,
                 _("  # id: farm-01               # the name of this box in every message. Without one, the "
                   "gateway makes its\n"
                   "                              # own at first start and keeps it\n"));
    if (c->name[0])
        add_value(out, "  name: ", c->name);
    else
        buf_adds(out, _("  # name: Example farm        # for people; may hold spaces and accents\n"));
    buf_adds(out, _("  # latitude: 10.8412           # where the farm is, as a phone shows it\n"
                    "  # longitude: 107.8790\n\n"));
    buf_adds(out, "store:\n");
    if (c->store_path[0])
        add_value(out, "  path: ", c->store_path);
    buf_adds(out, _("  max_size: 1GiB                # the buffer never grows beyond this; the oldest goes "
                    "first, sent before unsent\n"
                    "  keep_delivered: 30d           # how long readings stay here after the broker has "
                    "them\n\n"));
}

static const struct modbus_line *line_of(const struct init_bus *b)
{
    const struct scan_run *r = &b->scan;
    if (r->place.line.baud > 0)
        return &r->place.line;
    return r->findings.count > 0 ? &r->findings.items[0].how.line : NULL;
}

static void add_bus(const struct init_bus *b, struct buf *out)
{
    const struct scan_place *p = &b->scan.place;
    const struct modbus_line *line = line_of(b);
    buf_addf(out, "  - name: %s\n", b->name);
    if (p->protocol == MODBUS_RTU) {
        buf_adds(out, "    protocol: rtu\n");
        add_value(out, "    port: ", p->where);
        buf_addf(out, _("    baud: %d                  # as most of the sensors on this line are set\n"),
                 line ? line->baud : 9600);
        buf_addf(
            out,
            _("    format: %s                 # 8 data bits, parity None (N) Even (E) Odd (O), stop bits\n"),
            line ? line->format : "8N1");
    } else {
        buf_addf(out, "    protocol: %s\n", p->protocol == MODBUS_TCP ? "tcp" : "rtu_over_tcp");
        add_value(out, "    host: ", p->where);
        buf_addf(out, "    tcp_port: %d\n", p->tcp_port);
    }
    buf_adds(out, _("    # timeout: 500ms            # how long to wait for a sensor's answer\n"));
}

static void add_buses(const struct init_choice *c, struct buf *out)
{
    buf_adds(out,
             _("# A bus is one pair of RS-485 wires, or one box that speaks Modbus over the network.\n"));
    buf_adds(out, c->bus_count > 0 ? "buses:\n" : "buses: []\n");
    for (size_t i = 0; i < c->bus_count; i++)
        add_bus(&c->buses[i], out);
    if (c->bus_count == 0)
        buf_adds(out, _("  # - name: field             # take the [] away, then the # of these lines\n"
                        "  #   protocol: rtu\n"
                        "  #   port: /dev/serial/by-id/...       # ls /dev/serial/by-id\n"
                        "  #   baud: 9600\n"));
    buf_addc(out, '\n');
}

static void add_line(const struct init_bus *b, const struct scan_finding *f, const char *head,
                     struct buf *out)
{
    const struct modbus_line *own = &f->how.line, *bus = line_of(b);
    if (b->scan.place.protocol == MODBUS_RTU && bus &&
        (own->baud != bus->baud || strcmp(own->format, bus->format) != 0))
        buf_addf(out,
                 _("%sline: {baud: %d, format: %s}    # other than the bus; one speed for all is better\n"),
                 head, own->baud, own->format);
}

static void add_known(const struct init_bus *b, size_t i, const char *every, struct buf *out)
{
    const struct scan_finding *f = &b->scan.findings.items[i];
    const struct init_device *d = &b->devices[i];
    buf_addf(out, "  - name: %s\n    bus: %s\n    unit: %d\n", d->name, b->name,
             f->unit > 0 ? f->unit : f->how.unit);
    if (d->score > 0)
        buf_addf(
            out,
            _("    profile: %s    # %s: a guess of the search, score %d of 100; compare with its label\n"),
            d->profile->name, d->profile->title, d->score);
    else
        buf_addf(out, "    profile: %s    # %s\n", d->profile->name, d->profile->title);
    buf_adds(out, "    every: ");
    if (d->profile->min_every_ms > EVERY_MS && !every[0])
        config_duration_show(d->profile->min_every_ms, out);
    else
        buf_adds(out, every[0] ? every : "60s");
    buf_adds(out, _("                  # how often to ask\n"));
    add_line(b, f, "    ", out);
    buf_adds(out, _("    # labels: {plot: A1}        # sent along, whatever the receivers want to know\n"));
}

static void add_unknown(const struct init_bus *b, size_t i, struct buf *out)
{
    const struct scan_finding *f = &b->scan.findings.items[i];
    char text[64];
    buf_addf(
        out,
        _("  # A device answers on bus %s, %s, but no model was chosen for it. Read its label, look it up\n"
          "  # with `fieldgate profiles WORD`, write the model below and take the # away. A model that\n"
          "  # nobody has described yet: delete profile: and write points: from its manual.\n"),
        b->name, scan_try_text(&f->how, b->scan.place.protocol, text));
    for (int g = 0; g < f->guess_count; g++)
        buf_addf(out, _("  # It might be %s (%s): score %d of 100.\n"), f->guesses[g].profile->name,
                 f->guesses[g].profile->title, f->guesses[g].score);
    buf_addf(out, "  # - name: %s\n  #   bus: %s\n  #   unit: %d\n", b->devices[i].name, b->name,
             f->unit > 0 ? f->unit : f->how.unit);
    buf_addf(out, "  #   profile: %s\n  #   every: 60s\n",
             f->guess_count > 0 ? f->guesses[0].profile->name : "MODEL");
    add_line(b, f, "  #   ", out);
    buf_addf(out,
             _("  #   points:                 # instead of profile; this register answered\n"
               "  #     - {name: value, register: %s, address: %d}\n"),
             f->how.function == 4 ? "input" : "holding", f->how.address);
}

static void add_devices(const struct init_choice *c, struct buf *out)
{
    size_t known = 0, all = 0;
    for (size_t b = 0; b < c->bus_count; b++)
        for (size_t i = 0; i < c->buses[b].scan.findings.count; i++, all++)
            known += c->buses[b].devices[i].profile != NULL;
    buf_adds(out,
             _("# A device is one sensor, meter or drive. Two devices on one bus must not have the same unit "
               "number: most\n"
               "# sensors leave the factory as number 1, so connect and renumber them one at a time.\n"));
    buf_adds(out, known > 0 ? "devices:\n" : "devices: []\n");
    for (size_t b = 0; b < c->bus_count; b++)
        for (size_t i = 0; i < c->buses[b].scan.findings.count; i++)
            if (c->buses[b].devices[i].profile)
                add_known(&c->buses[b], i, c->every, out);
            else
                add_unknown(&c->buses[b], i, out);
    if (known == 0)
        buf_adds(out, _("  # Take the [] away once there is a device. `fieldgate scan PORT` looks for some,\n"
                        "  # `fieldgate profiles` lists the models that can be read.\n"));
    if (all == 0)
        buf_adds(out, "  # - name: soil-a1\n  #   bus: field\n  #   unit: 1\n  #   profile: cwt-soil-npk-s\n"
                      "  #   every: 60s\n");
    buf_addc(out, '\n');
}

static void add_uplink(const struct init_choice *c, const struct init_place *place, struct buf *out)
{
    const struct init_uplink *u = &c->uplink;
    const bool on = u->url[0] != '\0';
    buf_adds(out, _("# An uplink is one place that the readings go to; with a second one each keeps its own "
                    "progress.\n"));
    buf_adds(out, on ? "uplinks:\n" : "uplinks: []\n");
    if (!on) {
        buf_addf(out,
                 _("  # No broker yet: readings are kept here, and sent once there is one. Take the [] "
                   "away, and the #.\n"
                   "  # - name: %s\n"
                   "  #   url: mqtts://HOST:8883\n"
                   "  #   topic: fieldgate/v1/{gateway}\n"),
                 INIT_UPLINK);
        return;
    }
    buf_adds(out, "  - name: " INIT_UPLINK "\n");
    add_value(out, "    url: ", u->url);
    buf_adds(out, "    topic: fieldgate/v1/{gateway}\n");
    if (u->user[0])
        add_value(out, "    username: ", u->user);
    if (u->has_password && place->installed)
        buf_addf(out, _("    credential: %s    # the password, alone in /etc/fieldgate/credentials/%s\n"),
                 INIT_CREDENTIAL, INIT_CREDENTIAL);
    else if (u->has_password)
        buf_addf(out, "    password_file: \"%s/" INIT_CREDENTIAL "\"\n", place->credential_folder);
    if (u->ca_file[0])
        add_value(out, "    ca_file: ", u->ca_file);
    buf_adds(out, _("    # compress: gzip            # saves mobile data, above all when a backlog is sent\n"
                    "    # keepalive: 120s           # shorter costs mobile data, longer notices a dead link "
                    "later\n"));
}

void init_text(const struct init_choice *c, const struct init_place *place, struct buf *out)
{
    add_head(c, out);
    add_gateway(c, out);
    add_buses(c, out);
    add_devices(c, out);
    add_uplink(c, place, out);
}
