/* SPDX-License-Identifier: Apache-2.0 */
/* One bus: search it, and have a model and a name chosen for each device: see cmd_init.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd_init.h"
#include "text.h"

/* Below, a guess is a hint in a comment and not a device: two plausible numbers are not a soil probe. */
enum { SURE_ENOUGH = 60, HINTS = 8, SMALL_NUMBERS = 16 };

bool init_is_name(const char *text)
{
    static const char chars[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t len = strlen(text);
    return len > 0 && len < INIT_NAME_MAX && text[0] != '_' && text[0] != '-' && strspn(text, chars) == len;
}

static bool is_bus_taken(const struct init_choice *c, const char *name)
{
    for (size_t i = 0; i < c->bus_count; i++)
        if (strcmp(c->buses[i].name, name) == 0)
            return true;
    return false;
}

void init_bus_begin(struct init_choice *c, const char *target, const struct config *old)
{
    struct init_bus *b = &c->buses[c->bus_count];
    memset(b, 0, sizeof *b);
    scan_find_place(target, old, &b->scan.place);
    snprintf(b->name, sizeof b->name, "%s", b->scan.place.bus ? b->scan.place.bus : "field");
    for (size_t n = 2; is_bus_taken(c, b->name); n++)
        snprintf(b->name, sizeof b->name, "field-%zu", n);
}

static bool is_device_taken(const struct init_choice *c, const struct init_device *until, const char *name)
{
    for (size_t b = 0; b <= c->bus_count && b < INIT_BUSES_MAX; b++)
        for (size_t i = 0; c->buses[b].devices && i < c->buses[b].scan.findings.count; i++) {
            if (&c->buses[b].devices[i] == until)
                return false;
            if (strcmp(c->buses[b].devices[i].name, name) == 0)
                return true;
        }
    return false;
}

static void propose_name(const struct init_choice *c, struct init_device *d)
{
    char name[INIT_NAME_MAX];
    size_t n = 1;
    do
        snprintf(name, sizeof name, "%.48s-%zu", d->profile ? d->profile->name : "device", n++);
    while (is_device_taken(c, d, name));
    strcpy(d->name, name);
}

static const struct config_profile *profile_of(const struct init_choice *c, const char *name)
{
    for (size_t i = 0; i < c->profiles.count; i++)
        if (strcmp(c->profiles.items[i]->name, name) == 0)
            return c->profiles.items[i];
    return NULL;
}

static void print_similar(const struct init_choice *c, const char *word)
{
    size_t shown = 0;
    printf(_("  there is no model \"%s\"; `fieldgate profiles` lists all"), word);
    for (size_t i = 0; i < c->profiles.count && shown < HINTS; i++)
        if (strstr(c->profiles.items[i]->name, word))
            printf("%s%s", shown++ == 0 ? ": " : ", ", c->profiles.items[i]->name);
    printf("\n");
}

static void print_guesses(const struct scan_finding *f)
{
    if (f->guess_count == 0)
        printf(_("  no known model fits\n"));
    for (int i = 0; i < f->guess_count; i++)
        printf(_("  score %3d of 100: %s (%s)\n"), f->guesses[i].score, f->guesses[i].profile->name,
               f->guesses[i].profile->title);
}

static int choose_model(struct init_ask *a, const struct init_choice *c, const struct scan_finding *f,
                        struct init_device *d)
{
    const struct scan_guess *g = f->guess_count > 0 && f->guesses[0].score >= SURE_ENOUGH ? f->guesses : NULL;
    char word[INIT_NAME_MAX];
    for (;;) {
        int err = init_ask_text(a, _("  Model (- : not known; it is then noted in a comment)"),
                                g ? g->profile->name : "-", word, sizeof word);
        if (err < 0)
            return err;
        d->profile = profile_of(c, word);
        d->score = d->profile && g && d->profile == g->profile ? g->score : 0;
        if (d->profile || strcmp(word, "-") == 0)
            return 0;
        print_similar(c, word);
    }
}

static int choose_name(struct init_ask *a, const struct init_choice *c, struct init_device *d)
{
    char name[INIT_NAME_MAX + 8];
    propose_name(c, d);
    while (d->profile) {
        int err = init_ask_text(a, _("  Name"), d->name, name, sizeof name);
        if (err < 0)
            return err;
        if (init_is_name(name) && !is_device_taken(c, d, name)) {
            strcpy(d->name, name);
            return 0;
        }
        printf(init_is_name(name) ? _("  another device has this name\n")
                                  : _("  a name has small letters a-z, digits, _ and -, no spaces\n"));
    }
    return 0;
}

/* At another speed the line may well have a second one of this number; the configuration may not. */
static bool is_unit_taken(const struct init_bus *b, size_t i)
{
    const struct scan_finding *items = b->scan.findings.items;
    for (size_t n = 0; n < i; n++)
        if (b->devices[n].profile && items[n].how.unit == items[i].how.unit)
            return true;
    return false;
}

static int choose_devices(struct init_ask *a, struct init_choice *c, struct init_bus *b)
{
    const struct scan_findings *found = &b->scan.findings;
    char text[64];
    for (size_t i = 0; i < found->count; i++) {
        const struct scan_finding *f = &found->items[i];
        printf(_("\nDevice %zu of %zu on %s: %s\n"), i + 1, found->count, b->scan.place.where,
               scan_try_text(&f->how, b->scan.place.protocol, text));
        print_guesses(f);
        if (is_unit_taken(b, i)) {
            printf(_(
                "  another device of this line has the same unit number: give one of them another, then run "
                "this again\n"));
            propose_name(c, &b->devices[i]);
            continue;
        }
        int err = choose_model(a, c, f, &b->devices[i]);
        if (err == 0)
            err = choose_name(a, c, &b->devices[i]);
        if (err < 0)
            return err;
        if (!a->on && b->devices[i].profile)
            printf(_("  taken as %s, named %s\n"), b->devices[i].profile->name, b->devices[i].name);
        else if (!b->devices[i].profile)
            printf(_("  noted in a comment of the configuration: what to do stands there\n"));
    }
    return 0;
}

/* Who renumbers sensors counts from 1, and leaves the speed as it is. */
static void look_at_small_numbers(struct scan_limits *limits)
{
    static const int bauds[] = {9600, 4800, 19200};
    limits->quick = false;
    limits->units_said = true;
    limits->first_unit = 1;
    limits->last_unit = SMALL_NUMBERS;
    for (size_t i = 0; limits->baud_count == i && i < sizeof bauds / sizeof bauds[0]; i++)
        limits->bauds[limits->baud_count++] = bauds[i];
    if (limits->format_count == 0)
        strcpy(limits->formats[limits->format_count++], "8N1");
}

static int search_once(struct init_ask *a, struct init_bus *b, const struct init_search *search)
{
    struct scan_limits limits = search->limits;
    struct scan_run *r = &b->scan;
    r->runtime_dir = search->runtime_dir;
    r->signals = a->signals;
    r->failed = r->stopped = r->done = r->saw_box = false;
    r->every = 0;
    r->findings.count = r->findings.garbled = 0;
    const bool usual = !search->thorough && !limits.units_said;
    limits.quick = limits.quick || usual;
    printf(_("Looking for devices on %s; this only reads and changes nothing. Ctrl-C ends the search.\n"),
           r->place.where);
    fflush(stdout);
    int err = scan_whole(r, &limits);
    if (err == 0 && usual && r->findings.count == 0 && !r->failed && !r->interrupted) {
        look_at_small_numbers(&limits);
        err = scan_whole(r, &limits);
    }
    if (err < 0 || r->failed)
        return FG_EIO;
    if (r->interrupted && !a->on)
        a->cancelled = true;
    return a->cancelled ? INIT_CANCELLED : 0;
}

int init_bus_fill(struct init_ask *a, struct init_choice *c, struct init_bus *bus,
                  const struct init_search *search)
{
    struct init_search how = *search;
    bus->scan.profiles = c->profiles;
    bus->scan.findings.items = calloc(SCAN_FINDINGS_MAX, sizeof *bus->scan.findings.items);
    bus->devices = calloc(INIT_DEVICES_MAX, sizeof *bus->devices);
    if (!bus->scan.findings.items || !bus->devices)
        return FG_ENOMEM;
    for (;;) {
        int err = search_once(a, bus, &how);
        if (err < 0)
            return err;
        if (bus->scan.findings.count > 0)
            return choose_devices(a, c, bus);
        printf(
            _("Nobody answered on %s. Check power, wires A/B (try them swapped) and ground, with one device "
              "alone.\n"),
            bus->scan.place.where);
        err = a->on ? init_ask_yes(a, _("Look again, at every number and every speed (takes longer)?"), false)
                    : 0;
        if (err <= 0)
            return err;
        how.thorough = true;
    }
}
