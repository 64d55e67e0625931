/* SPDX-License-Identifier: Apache-2.0 */
#include "layout.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "json.h"

/* Far above any farm; they bound the work that a damaged or hostile text can cause. */
#define LAYOUT_DEVICES_MAX 10000
#define LAYOUT_MODELS_MAX 10000
#define LAYOUT_POINTS_MAX 10000

struct layout_point {
    const char *name;
    const char *unit;   /* NULL: none */
    double scale, wrap; /* of a counter; 0: not said */
};

struct layout_model {
    const char *name;
    const struct layout_point *points;
    size_t point_count;
};

struct layout_device {
    const char *name;
    size_t model;
};

/*
 * The parsed tree of 1,000 points takes some 300 KiB; here remain three arrays and one pool with all names.
 * Decoded and terminated, a string is never longer than it was between its quotes, so the pool is as long as
 * the text.
 */
struct layout {
    struct layout_device *devices;
    size_t device_count;
    struct layout_model *models;
    size_t model_count;
    struct layout_point *points; /* of all models, one after the other */
    size_t point_count;
    char *pool;
    size_t pool_used, pool_size;
};

/* A terminated copy of a string member; NULL when it is missing, empty or no string. */
static const char *keep_string(struct layout *l, const char *text)
{
    if (!text || text[0] == '\0')
        return NULL;
    size_t size = strlen(text) + 1;
    if (size > l->pool_size - l->pool_used)
        return NULL;
    char *kept = l->pool + l->pool_used;
    memcpy(kept, text, size);
    l->pool_used += size;
    return kept;
}

static const cJSON *model_points(const cJSON *model)
{
    const cJSON *points = cJSON_GetObjectItemCaseSensitive(model, "points");
    return cJSON_IsArray(points) ? points : NULL;
}

/* Counts children without trusting that there are few; -1 when there are more than max. */
static int64_t count_children(const cJSON *parent, int64_t max)
{
    int64_t n = 0;
    for (const cJSON *child = parent->child; child; child = child->next)
        if (++n > max)
            return -1;
    return n;
}

/* Fills the three counts; nothing is allocated before they are known to be sane. */
static int count_all(struct layout *l, const cJSON *models, const cJSON *devices)
{
    int64_t model_count = count_children(models, LAYOUT_MODELS_MAX);
    int64_t device_count = count_children(devices, LAYOUT_DEVICES_MAX);
    if (model_count < 0 || device_count < 0)
        return FG_EINVALID;
    size_t point_count = 0;
    for (const cJSON *model = models->child; model; model = model->next) {
        const cJSON *points = model_points(model);
        int64_t n = points ? count_children(points, LAYOUT_POINTS_MAX) : -1;
        if (n < 0)
            return FG_EINVALID;
        point_count += (size_t)n;
    }
    l->model_count = (size_t)model_count;
    l->device_count = (size_t)device_count;
    l->point_count = point_count;
    return 0;
}

static int allocate(struct layout *l, size_t text_len)
{
    /* One more than counted: calloc(0) may give NULL. */
    l->devices = calloc(l->device_count + 1, sizeof(*l->devices));
    l->models = calloc(l->model_count + 1, sizeof(*l->models));
    l->points = calloc(l->point_count + 1, sizeof(*l->points));
    l->pool = malloc(text_len + 1);
    l->pool_size = text_len + 1;
    return l->devices && l->models && l->points && l->pool ? 0 : FG_ENOMEM;
}

static double number_or_zero(const cJSON *object, const char *key)
{
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(number) ? number->valuedouble : 0;
}

static int fill_point(struct layout *l, const cJSON *object, struct layout_point *point)
{
    const cJSON *unit = cJSON_GetObjectItemCaseSensitive(object, "unit");
    if (unit && !cJSON_IsString(unit))
        return FG_EINVALID;
    point->name = keep_string(l, json_string(object, "name", NULL));
    point->unit = unit ? keep_string(l, unit->valuestring) : NULL;
    point->scale = number_or_zero(object, "scale");
    point->wrap = number_or_zero(object, "wrap");
    return point->name ? 0 : FG_EINVALID;
}

static int fill_models(struct layout *l, const cJSON *models)
{
    struct layout_model *model = l->models;
    struct layout_point *point = l->points;
    for (const cJSON *m = models->child; m; m = m->next, model++) {
        model->name = keep_string(l, m->string);
        model->points = point;
        if (!model->name)
            return FG_EINVALID;
        for (const cJSON *p = model_points(m)->child; p; p = p->next, point++)
            if (fill_point(l, p, point) < 0)
                return FG_EINVALID;
        model->point_count = (size_t)(point - model->points);
    }
    return 0;
}

/* The position of a model, or model_count. `guess` is tried first: neighbours are mostly of one model. */
static size_t find_model(const struct layout *l, const char *name, size_t guess)
{
    if (guess < l->model_count && strcmp(l->models[guess].name, name) == 0)
        return guess;
    size_t i = 0;
    while (i < l->model_count && strcmp(l->models[i].name, name) != 0)
        i++;
    return i;
}

static int fill_devices(struct layout *l, const cJSON *devices)
{
    struct layout_device *device = l->devices;
    size_t model = 0;
    for (const cJSON *d = devices->child; d; d = d->next, device++) {
        const char *model_name = json_string(d, "model", NULL);
        device->name = keep_string(l, json_string(d, "name", NULL));
        if (!device->name || !model_name)
            return FG_EINVALID;
        model = find_model(l, model_name, model);
        if (model == l->model_count)
            return FG_EINVALID;
        device->model = model;
    }
    return 0;
}

int layout_parse(const char *text, size_t len, struct layout **ret)
{
    struct layout *l = NULL;
    int result = FG_EINVALID;
    cJSON *tree = json_parse(text, len);
    const cJSON *models = cJSON_GetObjectItemCaseSensitive(tree, "models");
    const cJSON *devices = cJSON_GetObjectItemCaseSensitive(tree, "devices");

    if (!cJSON_IsObject(models) || !cJSON_IsArray(devices))
        goto out; /* a tree that could not be built for lack of memory ends here too: the caller stops alike
                   */
    result = FG_ENOMEM;
    l = calloc(1, sizeof(*l));
    if (!l)
        goto out;
    result = count_all(l, models, devices);
    if (result == 0)
        result = allocate(l, len);
    if (result == 0)
        result = fill_models(l, models);
    if (result == 0)
        result = fill_devices(l, devices);
    if (result == 0) {
        *ret = l;
        l = NULL;
    }
out:
    layout_free(l);
    cJSON_Delete(tree);
    return result;
}

void layout_free(struct layout *l)
{
    if (!l)
        return;
    free(l->devices);
    free(l->models);
    free(l->points);
    free(l->pool);
    free(l);
}

size_t layout_device_count(const struct layout *l)
{
    return l->device_count;
}

const char *layout_device_name(const struct layout *l, size_t device)
{
    return device < l->device_count ? l->devices[device].name : NULL;
}

static const char *layout_device_model(const struct layout *l, size_t device)
{
    return device < l->device_count ? l->models[l->devices[device].model].name : NULL;
}

size_t layout_point_count(const struct layout *l, size_t device)
{
    return device < l->device_count ? l->models[l->devices[device].model].point_count : 0;
}

static const struct layout_point *find_point(const struct layout *l, size_t device, size_t point)
{
    return point < layout_point_count(l, device) ? &l->models[l->devices[device].model].points[point] : NULL;
}

const char *layout_point_name(const struct layout *l, size_t device, size_t point)
{
    const struct layout_point *p = find_point(l, device, point);
    return p ? p->name : NULL;
}

const char *layout_point_unit(const struct layout *l, size_t device, size_t point)
{
    const struct layout_point *p = find_point(l, device, point);
    return p ? p->unit : NULL;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool layout_same_counter(const struct layout *a, size_t device_a, size_t point_a, const struct layout *b,
                         size_t device_b, size_t point_b)
{
    const struct layout_point *p = find_point(a, device_a, point_a), *q = find_point(b, device_b, point_b);
    return p && q && p->scale != 0 && p->scale == q->scale && p->wrap == q->wrap &&
           same_text(p->name, q->name) && same_text(p->unit, q->unit) &&
           same_text(layout_device_name(a, device_a), layout_device_name(b, device_b)) &&
           same_text(layout_device_model(a, device_a), layout_device_model(b, device_b));
}
