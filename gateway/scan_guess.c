/* SPDX-License-Identifier: Apache-2.0 */
#include "scan_guess.h"

#include <stdlib.h>
#include <string.h>

#include "../drivers/modbus_plan.h"
#include "probe_hints.h"
#include "probe_plan.h"
#include "scan_expect.h"

enum {
    TABLES = 4,
    WEIGHT_EXPECT = 45,
    WEIGHT_IDENTIFY = 15,
    WEIGHT_POINTS = 40,
    WEIGHT_LINE = 8,
    WEIGHT_UNIT = 7,
    /* Without `expect`: one number in range fits many models, five together few. */
    MOST_OF_NOTHING = 30,
    MORE_FOR_A_POINT = 9,
    LEAST_TOLD = 20,
};

enum state { STATE_UNKNOWN, STATE_THERE, STATE_REFUSED, STATE_SILENT };

/* What is known of the device: profiles ask for the same registers again and again. */
struct memory {
    const struct scan_device *d;
    uint8_t *states; /* TABLES x 65536 */
    uint16_t *words;
};

static size_t place(enum point_register table, uint16_t address)
{
    return (size_t)table * 65536 + address;
}

static void learn(struct memory *m, enum point_register table, uint16_t address, uint16_t count)
{
    uint16_t words[MODBUS_BITS_MAX];
    size_t at = place(table, address);
    bool known = true;
    for (size_t i = 0; i < count; i++)
        known &= m->states[at + i] != STATE_UNKNOWN;
    if (known)
        return;
    int err = m->d->read(m->d->context, table, address, count, words);
    for (size_t i = 0; i < count; i++) {
        if (err == 0)
            m->words[at + i] = words[i];
        /* A refused block says nothing of each register in it. */
        if (err == 0 || count == 1)
            m->states[at + i] = err == 0 ? STATE_THERE : err == FG_ETIMEOUT ? STATE_SILENT : STATE_REFUSED;
    }
}

static bool all_there(const struct memory *m, enum point_register table, uint16_t address, uint16_t count)
{
    for (size_t i = 0; i < count; i++)
        if (m->states[place(table, address) + i] != STATE_THERE)
            return false;
    return true;
}

/* ---- identify ---- */

static void weigh_probe(struct memory *m, const struct config_probe *p, double *got, double *possible,
                        bool *ret_identified)
{
    bool tells = p->expect != NULL;
    *possible += tells ? WEIGHT_EXPECT : WEIGHT_IDENTIFY;
    if (p->address + p->count > 65536)
        return;
    learn(m, p->table, p->address, p->count);
    if (!all_there(m, p->table, p->address, p->count))
        return;
    if (!tells) {
        *got += WEIGHT_IDENTIFY;
        return;
    }
    if (scan_expect_fits(p->expect, m->d->unit, m->words + place(p->table, p->address), p->count) == 1) {
        *got += WEIGHT_EXPECT;
        *ret_identified = true;
    }
}

/* ---- points ---- */

static double weigh_point(const struct memory *m, const struct point *p, bool *ret_good)
{
    struct probe_words w = {.there = all_there(m, p->table, p->address, point_width(p))};
    struct reading r;
    if (w.there)
        memcpy(w.words, m->words + place(p->table, p->address), point_width(p) * sizeof w.words[0]);
    *ret_good = false;
    switch (probe_judge(p, &w, &r)) {
    case PROBE_GOOD:
        *ret_good = true;
        if (r.value.kind != VALUE_NUMBER || r.value.number.magnitude == 0)
            return 0.4; /* zero fits everywhere */
        return p->has_min || p->has_max ? 1 : 0.6;
    case PROBE_NO_NUMBER:
        return p->invalid_count > 0 ? 0.2 : -0.5;
    case PROBE_ABSURD:
    case PROBE_OUT_OF_RANGE:
        return -0.5;
    case PROBE_REFUSED:
        return -0.25;
    }
    return 0;
}

static bool read_points(struct memory *m, const struct config_profile *p)
{
    struct probe_plan plan;
    if (probe_plan(p->points, p->point_count, p->max_registers, &plan) < 0)
        return false;
    for (size_t i = 0; i < plan.count; i++) {
        const struct probe_block *b = &plan.blocks[i];
        learn(m, b->table, b->address, b->count);
        if (all_there(m, b->table, b->address, b->count))
            continue;
        /* One register is enough to see whether anything of the block is there. */
        learn(m, b->table, b->address, 1);
        for (size_t k = b->first; k <= b->last && all_there(m, b->table, b->address, 1); k++) {
            const struct point *one = &p->points[plan.order[k]];
            learn(m, b->table, one->address, point_width(one));
        }
    }
    probe_plan_free(&plan);
    return true;
}

/* Returns how many points tell something: in range, and not zero. */
static size_t weigh_points(struct memory *m, const struct config_profile *p, struct scan_guess *g,
                           double *got, double *possible)
{
    double sum = 0;
    size_t telling = 0;
    g->count = p->point_count;
    for (size_t i = 0; i < p->point_count; i++) {
        bool good;
        double weight = weigh_point(m, &p->points[i], &good);
        sum += weight;
        telling += weight > 0.5;
        g->good += good;
    }
    *possible += WEIGHT_POINTS;
    if (p->point_count > 0)
        *got += WEIGHT_POINTS * sum / (double)p->point_count;
    return telling;
}

/* ---- all together ---- */

static bool weigh(struct memory *m, const struct config_profile *p, struct scan_guess *ret)
{
    const struct scan_device *d = m->d;
    double got = 0, possible = 0;
    bool expects = false;
    *ret = (struct scan_guess){.profile = p};
    for (size_t i = 0; i < p->probe_count; i++) {
        weigh_probe(m, &p->probes[i], &got, &possible, &ret->identified);
        expects |= p->probes[i].expect != NULL;
    }
    if (!read_points(m, p))
        return false;
    size_t telling = weigh_points(m, p, ret, &got, &possible);
    if (d->line.baud > 0 && p->line.baud > 0) {
        possible += WEIGHT_LINE;
        got += d->line.baud == p->line.baud && strcmp(d->line.format, p->line.format) == 0 ? WEIGHT_LINE : 0;
    }
    if (d->unit > 0 && p->unit > 0) {
        possible += WEIGHT_UNIT;
        got += d->unit == p->unit ? WEIGHT_UNIT : 0;
    }
    int score = got > 0 && ret->good > 0 ? (int)(100 * got / possible + 0.5) : 0;
    int most = MOST_OF_NOTHING + MORE_FOR_A_POINT * (telling < 5 ? (int)telling : 5);
    if (!expects && score > most)
        score = most;
    if (expects && !ret->identified)
        score /= 2;
    ret->score = score;
    return true;
}

static bool better(const struct scan_guess *a, const struct scan_guess *b)
{
    if (a->score != b->score)
        return a->score > b->score;
    return a->good > b->good; /* more points that fit are more evidence */
}

static int keep_best(struct scan_guess *best, int count, const struct scan_guess *g)
{
    int at = count;
    while (at > 0 && better(g, &best[at - 1]))
        at--;
    if (at == SCAN_GUESSES_MAX)
        return count;
    int last = count < SCAN_GUESSES_MAX ? count : SCAN_GUESSES_MAX - 1;
    for (int i = last; i > at; i--)
        best[i] = best[i - 1];
    best[at] = *g;
    return last + 1;
}

int scan_guess(const struct scan_device *d, const struct scan_profiles *profiles,
               struct scan_guess ret[SCAN_GUESSES_MAX])
{
    struct memory m = {.d = d,
                       .states = calloc(TABLES * 65536, sizeof *m.states),
                       .words = calloc(TABLES * 65536, sizeof *m.words)};
    int count = 0;
    bool ready = m.states && m.words;
    for (size_t i = 0; i < profiles->count && ready; i++) {
        struct scan_guess g;
        ready = weigh(&m, profiles->items[i], &g);
        if (ready && g.score >= LEAST_TOLD)
            count = keep_best(ret, count, &g);
    }
    free(m.states);
    free(m.words);
    return ready ? count : FG_ENOMEM;
}

int scan_own_unit(const struct scan_device *d, const struct scan_profiles *profiles)
{
    for (size_t i = 0; i < profiles->count; i++)
        for (size_t k = 0; k < profiles->items[i]->probe_count; k++) {
            const struct config_probe *p = &profiles->items[i]->probes[k];
            uint16_t words[MODBUS_REGISTERS_MAX];
            if (!p->expect || strncmp(p->expect, "unit", 4) != 0 || p->count > MODBUS_REGISTERS_MAX)
                continue;
            if (d->read(d->context, p->table, p->address, p->count, words) != 0 || words[0] < 1 ||
                words[0] > 247)
                continue;
            if (scan_expect_fits(p->expect, words[0], words, p->count) == 1)
                return words[0];
        }
    return 0;
}
