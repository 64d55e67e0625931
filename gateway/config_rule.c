/* SPDX-License-Identifier: Apache-2.0 */
#include "config_rule.h"

#include "config_number.h"
#include "config_parse.h"
#include "text.h"

#define AT_LEAST_MS (15 * 60 * 1000)

static bool is_written(const struct point_report *report, int64_t aggregate_ms)
{
    return report->given || aggregate_ms > 0;
}

struct config_rule config_rule(const struct config_device *d, size_t point)
{
    const struct point *p = &d->points[point];
    const bool own = is_written(&p->report, p->aggregate_ms);
    const struct point_report *report = own ? &p->report : &d->report;
    const int64_t window_ms = own ? p->aggregate_ms : d->aggregate_ms;
    struct config_rule rule = {.every_ms = p->every_ms > 0 ? p->every_ms : d->every_ms};
    if (window_ms > 0 && p->type != POINT_BOOL) {
        rule.kind = CONFIG_RULE_AGGREGATE;
        rule.window_ms = window_ms;
    } else if (window_ms > 0 || report->given) {
        rule.kind = CONFIG_RULE_REPORT;
        rule.at_least_ms = window_ms > 0 ? window_ms : report->at_least_ms;
        if (report->has_change && p->type != POINT_BOOL)
            rule.change = report->change;
    }
    return rule;
}

bool config_rule_any(const struct config_device *d)
{
    for (size_t i = 0; i < d->point_count; i++)
        if (config_rule(d, i).kind != CONFIG_RULE_NONE)
            return true;
    return false;
}

static void check_bool(const struct config_file *f, const struct config_at *at, const struct yaml_node *map,
                       const struct point_report *report, int64_t aggregate_ms)
{
    struct config_at here = {.up = at, .key = "aggregate"}, above = {.up = at, .key = "report"},
                     change = {.up = &above, .key = "change"};
    if (aggregate_ms > 0)
        config_error(f, config_place(map, "aggregate"), &here,
                     _("yes and no have no mean; write report: {at_least: 15min}, which keeps every change"));
    if (report->has_change)
        config_error(f, config_place(yaml_doc_find(map, "report"), "change"), &change,
                     _("has no meaning for a bool, of which every change is reported; delete it"));
}

void config_rule_finish(const struct config_file *f, const struct config_at *at, const struct yaml_node *map,
                        const struct point *p, struct point_report *report, int64_t *aggregate_ms)
{
    const struct yaml_node *node = yaml_doc_find(map, "report");
    struct config_at here = {.up = at, .key = "report"}, change = {.up = &here, .key = "change"};
    report->given = node && node->kind == YAML_MAP;
    if (report->given && report->at_least_ms == 0)
        report->at_least_ms = AT_LEAST_MS;
    if (report->has_change && report->change.negative)
        config_error(f, config_place(node, "change"), &change,
                     _("is negative; write by how much the value must have moved either way, like 0.2"));
    if (report->given && yaml_doc_find(map, "aggregate"))
        config_error(f, node, &here,
                     _("stands beside aggregate; keep one of them: either some readings as they are, or "
                       "minimum, mean and maximum of all"));
    if (p && p->type == POINT_BOOL)
        check_bool(f, at, map, report, *aggregate_ms);
}

struct texts {
    struct buf rule, every;
};

static void check_window(const struct config_file *f, const struct config_at *at,
                         const struct yaml_node *place, const struct config_rule *r, const char *point,
                         const struct texts *t)
{
    if (r->every_ms > r->window_ms)
        config_error(
            f, place, at,
            _("%s is read every %s, less often than once in a window of %s; write a longer aggregate:, "
              "or a shorter every:"),
            point, t->every.data, t->rule.data);
    else if (r->every_ms * 2 > r->window_ms)
        config_warning(f, place, at,
                       _("%s is read every %s, once in a window of %s: minimum, mean and maximum will be one "
                         "number; write a longer aggregate:, or a shorter every:"),
                       point, t->every.data, t->rule.data);
}

static void check_heartbeat(const struct config_file *f, const struct config_at *at,
                            const struct yaml_node *place, const struct config_rule *r, const char *point,
                            const struct texts *t)
{
    if (r->every_ms >= r->at_least_ms)
        config_warning(
            f, place, at,
            _("%s is read every %s and reported after %s anyway, so nothing is ever held back; write a "
              "longer at_least:, or a shorter every:"),
            point, t->every.data, t->rule.data);
}

static void check_point(const struct config_file *f, const struct config_at *at,
                        const struct yaml_node *place, const struct config_rule *r, const char *point)
{
    struct texts t = {BUF_INIT, BUF_INIT};
    config_duration_show(r->every_ms, &t.every);
    config_duration_show(r->kind == CONFIG_RULE_AGGREGATE ? r->window_ms : r->at_least_ms, &t.rule);
    if (buf_ok(&t.every) && buf_ok(&t.rule)) {
        if (r->kind == CONFIG_RULE_AGGREGATE)
            check_window(f, at, place, r, point, &t);
        else
            check_heartbeat(f, at, place, r, point, &t);
    }
    buf_fini(&t.every);
    buf_fini(&t.rule);
}

static bool same_times(const struct config_rule *a, const struct config_rule *b)
{
    return a->kind == b->kind && a->every_ms == b->every_ms && a->window_ms == b->window_ms &&
           a->at_least_ms == b->at_least_ms;
}

/* Points that are told the same are told once, by the name of the first. */
static bool is_told(const struct config_device *d, size_t point, const struct config_rule *r)
{
    for (size_t i = 0; i < point; i++) {
        struct config_rule earlier = config_rule(d, i);
        if (same_times(&earlier, r))
            return true;
    }
    return false;
}

void config_rule_check(const struct config_file *f, const struct config_at *at, const struct yaml_node *map,
                       const struct config_device *d)
{
    const struct yaml_node *written = yaml_doc_find(map, d->aggregate_ms > 0 ? "aggregate" : "report");
    for (size_t i = 0; i < d->point_count; i++) {
        struct config_rule r = config_rule(d, i);
        if (r.kind != CONFIG_RULE_NONE && d->points[i].name && !is_told(d, i, &r))
            check_point(f, at, written ? written : config_place(map, "every"), &r, d->points[i].name);
    }
}

void config_rule_layout(const struct point_report *report, int64_t aggregate_ms, struct buf *out)
{
    char text[DECIMAL_TEXT_MAX];
    if (aggregate_ms > 0)
        buf_member_int(out, "aggregate_ms", aggregate_ms);
    if (!report->given)
        return;
    buf_add_key(out, "report");
    buf_addc(out, '{');
    if (report->has_change) {
        buf_add_key(out, "change");
        buf_add(out, text, decimal_format(report->change, text));
    }
    buf_member_int(out, "at_least_ms", report->at_least_ms);
    buf_addc(out, '}');
}
