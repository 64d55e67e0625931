/* SPDX-License-Identifier: Apache-2.0 */
/* Every shipped profile against recorded frames of its device (tests/golden/dialogues, docs/PROFILES.md): the
 * profile is read by the configuration's reader, the frames go through the real driver over a pseudo
 * terminal.
 */
#include <ctype.h>
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <sys/eventfd.h>
#include <termios.h>

#include "../../drivers/modbus.h"
#include "../../drivers/modbus_link.h"
#include "../../gateway/config_profile.h"
#include "config_fixture.h"

#define DIALOGUES "tests/golden/dialogues"
#define PROFILES "config/profiles"
#define MISPRINTED "tests/golden/misprinted_frames.txt"
/* A good answer comes at once; only a failing test waits for this. */
#define TIMEOUT_MS 1500
#define PROFILES_MAX 200
#define POLLS_MAX 8
#define EXCHANGES_MAX 16
#define POINTS_MAX 48

static const struct modbus_line fast = {115200, "8N1"};

/* ---- what stands in a file ---- */

struct bytes {
    uint8_t data[MODBUS_FRAME_MAX];
    size_t len;
};

struct exchange {
    struct bytes request, answer;
};

struct expected {
    char point[64], value[48], quality[32];
};

struct talk {
    char title[160];
    struct exchange exchanges[EXCHANGES_MAX];
    size_t exchange_count;
    struct expected expected[POINTS_MAX];
    size_t expected_count;
    uint8_t right[2]; /* of a misprinted answer */
};

struct dialogue {
    struct talk talks[POLLS_MAX];
    size_t count;
};

static struct bytes parse_hex(const char *text)
{
    struct bytes b = {.len = 0};
    for (char *end; *text; text = end) {
        unsigned long byte = strtoul(text, &end, 16);
        if (end == text)
            fail_msg("not hex: %s", text);
        assert_true(byte <= 0xFF && b.len < sizeof b.data);
        b.data[b.len++] = (uint8_t)byte;
        while (isspace((unsigned char)*end))
            end++;
    }
    return b;
}

static void parse_line(struct dialogue *d, const char *line)
{
    struct talk *t = d->count > 0 ? &d->talks[d->count - 1] : NULL;
    bool starts = strncmp(line, "poll: ", 6) == 0 || (strncmp(line, "source: ", 8) == 0 && !t);
    if (!line[0] || line[0] == '#')
        return;
    if (starts) {
        assert_true(d->count < POLLS_MAX);
        snprintf(d->talks[d->count++].title, sizeof t->title, "%s", strchr(line, ' ') + 1);
        return;
    }
    assert_non_null(t);
    if (line[0] == '>') {
        assert_true(t->exchange_count < EXCHANGES_MAX);
        t->exchanges[t->exchange_count++].request = parse_hex(line + 1);
    } else if (line[0] == '<') {
        assert_true(t->exchange_count > 0);
        t->exchanges[t->exchange_count - 1].answer = parse_hex(line + 1);
    } else if (strncmp(line, "right: ", 7) == 0) {
        memcpy(t->right, parse_hex(line + 7).data, 2);
    } else if (strncmp(line, "source: ", 8) != 0) {
        assert_true(t->expected_count < POINTS_MAX);
        struct expected *e = &t->expected[t->expected_count++];
        assert_int_equal(sscanf(line, "%63s %47s %31s", e->point, e->value, e->quality), 3);
    }
}

/* Each block between empty lines is a poll of its own when sources begin them. */
static void read_dialogue(const char *path, bool by_source, struct dialogue *ret)
{
    char line[1024];
    FILE *f = fopen(path, "r");
    if (!f)
        fail_msg("%s is missing: docs/PROFILES.md says how to make it", path);
    memset(ret, 0, sizeof *ret);
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        if (by_source && strncmp(line, "source: ", 8) == 0)
            memcpy(line, "poll:  ", 7);
        parse_line(ret, line);
    }
    fclose(f);
    assert_true(ret->count > 0);
}

/* ---- a device that knows only its lines ---- */

struct actor {
    pthread_t thread;
    int stop_fd, fd, terminal;
    char port[64];
    pthread_mutex_t lock; /* guards what follows */
    const struct talk *talk;
    size_t next;
    struct bytes wrong; /* the first request that is not in the text */
};

/* Under the lock. */
static void act(struct actor *a, const struct bytes *heard)
{
    const struct talk *t = a->talk;
    const struct exchange *e = t && a->next < t->exchange_count ? &t->exchanges[a->next] : NULL;
    if (!e || heard->len != e->request.len || memcmp(heard->data, e->request.data, heard->len) != 0) {
        if (a->wrong.len == 0)
            a->wrong = *heard;
        return;
    }
    a->next++;
    if (write(a->fd, e->answer.data, e->answer.len) != (ssize_t)e->answer.len)
        a->wrong = *heard;
}

static void *actor_main(void *context)
{
    struct actor *a = context;
    struct bytes heard = {.len = 0};
    for (;;) {
        struct pollfd fds[2] = {{.fd = a->fd, .events = POLLIN}, {.fd = a->stop_fd, .events = POLLIN}};
        poll(fds, 2, -1);
        if (fds[1].revents)
            return NULL;
        ssize_t n = read(a->fd, heard.data + heard.len, MODBUS_FRAME_REQUEST_RTU - heard.len);
        heard.len += n > 0 ? (size_t)n : 0;
        if (heard.len < MODBUS_FRAME_REQUEST_RTU)
            continue;
        pthread_mutex_lock(&a->lock);
        act(a, &heard);
        pthread_mutex_unlock(&a->lock);
        heard.len = 0;
    }
}

/* On the heap, because its thread outlives a test that fails. */
static struct actor *actor_start(void)
{
    struct termios raw;
    struct actor *a = calloc(1, sizeof *a);
    assert_non_null(a);
    /* The terminal stays open here too, so that the master never reads EIO. */
    assert_int_equal(openpty(&a->fd, &a->terminal, NULL, NULL, NULL), 0);
    tcgetattr(a->terminal, &raw);
    cfmakeraw(&raw);
    tcsetattr(a->terminal, TCSANOW, &raw);
    assert_int_equal(ptsname_r(a->fd, a->port, sizeof a->port), 0);
    a->stop_fd = eventfd(0, EFD_CLOEXEC);
    pthread_mutex_init(&a->lock, NULL);
    assert_int_equal(pthread_create(&a->thread, NULL, actor_main, a), 0);
    return a;
}

static void actor_stop(struct actor *a)
{
    uint64_t one = 1;
    assert_int_equal(write(a->stop_fd, &one, sizeof one), sizeof one);
    pthread_join(a->thread, NULL);
    pthread_mutex_destroy(&a->lock);
    close(a->stop_fd);
    close(a->terminal);
    close(a->fd);
    free(a);
}

static void actor_take(struct actor *a, const struct talk *t)
{
    pthread_mutex_lock(&a->lock);
    a->talk = t;
    a->next = 0;
    a->wrong.len = 0;
    pthread_mutex_unlock(&a->lock);
}

static void assert_all_was_said(struct actor *a, const char *what)
{
    char hex[3 * MODBUS_FRAME_REQUEST_RTU + 1] = "";
    pthread_mutex_lock(&a->lock);
    size_t next = a->next;
    struct bytes wrong = a->wrong;
    pthread_mutex_unlock(&a->lock);
    for (size_t i = 0; i < wrong.len && i < MODBUS_FRAME_REQUEST_RTU; i++)
        snprintf(hex + 3 * i, 4, "%02X ", wrong.data[i]);
    if (wrong.len > 0)
        fail_msg("%s: \"%s\": request %zu was %s", what, a->talk->title, next + 1, hex);
    if (next != a->talk->exchange_count)
        fail_msg("%s: \"%s\": only %zu of %zu requests came", what, a->talk->title, next,
                 a->talk->exchange_count);
}

/* ---- the driver with a device's points ---- */

static struct driver *open_driver(const struct actor *a, int unit, const struct point *points, size_t count,
                                  const struct config_profile *limits)
{
    struct modbus_device_options device = {.name = "sensor",
                                           .unit = unit,
                                           .line = fast,
                                           .timeout_ms = TIMEOUT_MS,
                                           .max_registers = limits ? limits->max_registers : 0,
                                           .max_hole = limits ? limits->max_hole : 0,
                                           .points = points,
                                           .point_count = count};
    struct modbus_options options = {.bus = "field",
                                     .protocol = MODBUS_RTU,
                                     .port = a->port,
                                     .tries = 1,
                                     .devices = &device,
                                     .device_count = 1};
    struct err_note note = {0};
    struct driver *driver = NULL;
    if (modbus_driver_open(&options, &driver, &note) < 0)
        fail_msg("%s", note.text);
    return driver;
}

static const struct expected *expected_of(const struct talk *t, const char *point)
{
    for (size_t i = 0; i < t->expected_count; i++)
        if (strcmp(t->expected[i].point, point) == 0)
            return &t->expected[i];
    return NULL;
}

static void reading_text(const struct reading *r, char ret[DECIMAL_TEXT_MAX])
{
    switch (r->value.kind) {
    case VALUE_NONE:
    case VALUE_STATS: /* a poll gives none */
        strcpy(ret, "-");
        break;
    case VALUE_BOOL:
        strcpy(ret, r->value.boolean ? "true" : "false");
        break;
    case VALUE_NUMBER:
        decimal_format(r->value.number, ret);
        break;
    }
}

static void compare(const char *name, const struct talk *t, const struct config_profile *p,
                    const struct reading *readings)
{
    size_t found = 0;
    for (size_t i = 0; i < p->point_count; i++) {
        char value[DECIMAL_TEXT_MAX];
        const struct expected *e = expected_of(t, p->points[i].name);
        const char *quality = quality_word(readings[i].quality);
        reading_text(&readings[i], value);
        found += e != NULL;
        if (!e ? readings[i].quality != QUALITY_NOT_DUE
               : strcmp(value, e->value) != 0 || strcmp(quality, e->quality) != 0)
            fail_msg("%s: \"%s\": %s is %s %s, not %s %s", name, t->title, p->points[i].name, value, quality,
                     e ? e->value : "-", e ? e->quality : "not_due");
    }
    if (found != t->expected_count)
        fail_msg("%s: \"%s\" names a point that the profile does not have", name, t->title);
}

static void poll_talk(struct actor *a, struct driver *driver, const char *name, const struct talk *t,
                      const struct config_profile *p)
{
    bool due[POINTS_MAX];
    struct reading readings[POINTS_MAX];
    struct driver_result result;
    for (size_t i = 0; i < p->point_count; i++)
        due[i] = expected_of(t, p->points[i].name) != NULL;
    actor_take(a, t);
    driver->ops->poll(driver, 0, due, readings, &result);
    assert_all_was_said(a, name);
    if (result.failed != QUALITY_GOOD)
        fail_msg("%s: \"%s\": %s (%s)", name, t->title, quality_word(result.failed), result.note.text);
    compare(name, t, p, readings);
}

static struct config_profile *read_profile(const char *name)
{
    static const char *const folders[] = {PROFILES, NULL};
    struct config_problems problems = {0};
    struct config_profile *p = NULL;
    struct buf said = BUF_INIT;
    int err = config_profile_read(folders, name, &p, NULL, &problems);
    config_problems_print(&problems, &said);
    if (err < 0)
        fail_msg("%s: %s", name, said.len > 0 ? said.data : err_text(err));
    buf_fini(&said);
    config_problems_free(&problems);
    assert_true(p->point_count <= POINTS_MAX);
    return p;
}

static void the_frames_of_its_device_give_the_expected_readings(void **state)
{
    const char *name = *state;
    char path[256];
    snprintf(path, sizeof path, DIALOGUES "/%s.txt", name);
    struct dialogue *d = malloc(sizeof *d);
    assert_non_null(d);
    read_dialogue(path, false, d);
    struct config_profile *p = read_profile(name);
    struct actor *a = actor_start();
    struct driver *driver =
        open_driver(a, d->talks[0].exchanges[0].request.data[0], p->points, p->point_count, p);
    for (size_t i = 0; i < d->count; i++)
        poll_talk(a, driver, name, &d->talks[i], p);
    driver->ops->close(driver);
    actor_stop(a);
    config_profile_free(p);
    free(d);
}

/* ---- answers that were printed wrongly ---- */

static enum quality ask_link(struct actor *a, const struct talk *t)
{
    const uint8_t *r = t->exchanges[0].request.data;
    struct modbus_link_options options = {.protocol = MODBUS_RTU, .port = a->port, .line = fast};
    struct modbus_ask ask = {.request = {.unit = r[0],
                                         .function = r[1],
                                         .address = (uint16_t)(r[2] << 8 | r[3]),
                                         .count = (uint16_t)(r[4] << 8 | r[5])},
                             .line = fast,
                             .timeout_ms = TIMEOUT_MS};
    struct modbus_answer answer;
    struct modbus_link *link;
    struct err_note note = {0};
    actor_take(a, t);
    assert_int_equal(modbus_link_new(&options, &link, &note), 0);
    modbus_link_ask(link, &ask, &answer);
    modbus_link_free(link);
    assert_all_was_said(a, MISPRINTED);
    return answer.quality;
}

/* Every register of the request as a point of its own. */
static enum quality ask_driver(struct actor *a, const struct talk *t)
{
    static char name[] = "p";
    const uint8_t *r = t->exchanges[0].request.data;
    struct point points[POINTS_MAX];
    bool due[POINTS_MAX];
    struct reading readings[POINTS_MAX];
    struct driver_result result;
    size_t count = r[5];
    assert_true(count <= POINTS_MAX);
    for (size_t i = 0; i < count; i++) {
        points[i] = (struct point){.name = name,
                                   .table = r[1] == 3 ? POINT_HOLDING : POINT_INPUT,
                                   .address = (uint16_t)((r[2] << 8 | r[3]) + (int)i),
                                   .type = POINT_UINT16,
                                   .scale = {1, 0, false}};
        due[i] = true;
    }
    struct driver *driver = open_driver(a, r[0], points, count, NULL);
    actor_take(a, t);
    driver->ops->poll(driver, 0, due, readings, &result);
    driver->ops->close(driver);
    assert_all_was_said(a, MISPRINTED);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(readings[i].quality, result.failed);
        assert_int_equal(readings[i].value.kind, result.failed == QUALITY_GOOD ? VALUE_NUMBER : VALUE_NONE);
    }
    return result.failed;
}

static void wrongly_printed_answers_are_refused_and_the_corrected_ones_accepted(void **state)
{
    (void)state;
    struct dialogue *d = malloc(sizeof *d);
    assert_non_null(d);
    read_dialogue(MISPRINTED, true, d);
    assert_int_equal(d->count, 4);
    struct actor *a = actor_start();
    for (size_t i = 0; i < d->count; i++) {
        struct talk *t = &d->talks[i];
        struct bytes *answer = &t->exchanges[0].answer;
        /* A driver is only given units that may stand on a line for good; 254 is not one of them. */
        bool for_driver = t->exchanges[0].request.data[0] <= 247;
        assert_int_equal(ask_link(a, t), QUALITY_BAD_CRC);
        if (for_driver)
            assert_int_equal(ask_driver(a, t), QUALITY_BAD_CRC);
        memcpy(answer->data + answer->len - 2, t->right, 2);
        assert_int_equal(ask_link(a, t), QUALITY_GOOD);
        if (for_driver)
            assert_int_equal(ask_driver(a, t), QUALITY_GOOD);
    }
    actor_stop(a);
    free(d);
}

/* ---- one test for each profile ---- */

/* Names without their ending, sorted; returns how many. */
static size_t list(const char *folder, const char *ending, char *ret[PROFILES_MAX])
{
    struct dirent **entries;
    int n = scandir(folder, &entries, NULL, alphasort);
    size_t count = 0;
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        size_t len = strlen(entries[i]->d_name), tail = strlen(ending);
        if (len > tail && strcmp(entries[i]->d_name + len - tail, ending) == 0) {
            assert_true(count < PROFILES_MAX);
            ret[count++] = strndup(entries[i]->d_name, len - tail);
        }
        free(entries[i]);
    }
    free(entries);
    return count;
}

static void free_list(char *names[PROFILES_MAX], size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
}

static void every_profile_has_a_dialogue_and_every_dialogue_a_profile(void **state)
{
    char *profiles[PROFILES_MAX], *dialogues[PROFILES_MAX];
    (void)state;
    size_t n = list(PROFILES, ".yaml", profiles), m = list(DIALOGUES, ".txt", dialogues);
    for (size_t i = 0; i < n && i < m; i++)
        assert_string_equal(profiles[i], dialogues[i]);
    assert_int_equal(n, m);
    free_list(profiles, n);
    free_list(dialogues, m);
}

int main(void)
{
    static struct CMUnitTest tests[PROFILES_MAX + 2] = {
        cmocka_unit_test(every_profile_has_a_dialogue_and_every_dialogue_a_profile),
        cmocka_unit_test(wrongly_printed_answers_are_refused_and_the_corrected_ones_accepted),
    };
    char *profiles[PROFILES_MAX];
    if (enter_source(NULL) != 0)
        return 1;
    size_t n = list(PROFILES, ".yaml", profiles);
    for (size_t i = 0; i < n; i++)
        tests[i + 2] = (struct CMUnitTest){.name = profiles[i],
                                           .test_func = the_frames_of_its_device_give_the_expected_readings,
                                           .initial_state = profiles[i]};
    /* What the macro does for an array whose size is known beforehand. */
    int failed = _cmocka_run_group_tests("dialogues", tests, n + 2, NULL, NULL);
    free_list(profiles, n);
    return failed;
}
