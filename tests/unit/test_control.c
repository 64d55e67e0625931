/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket with real clients. */
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../../gateway/clock.h"
#include "../../gateway/control.h"
#include "../../gateway/control_client.h"

#define PATIENCE_MS 10000
/* What the server has with its clients here. */
#define SHORT_MS 300

struct fixture {
    char dir[64], path[96];
    struct control *control;
    atomic_int calls;
    size_t answer_len; /* of a long answer; 0: echo */
};

/* {"ok":true,"len":N,"fill":"xxx"} */
static void answer(void *context, const char *text, size_t len, struct buf *out)
{
    struct fixture *f = context;
    atomic_fetch_add(&f->calls, 1);
    if (len >= 5 && memcmp(text, "{\"no\"", 5) == 0) {
        buf_adds(out, "{\"ok\":false,\"code\":\"not_found\",\"error\":\"no such thing\"}");
        return;
    }
    buf_addf(out, "{\"ok\":true,\"len\":%zu,\"fill\":\"", len);
    for (size_t i = 0; i < f->answer_len; i++)
        buf_addc(out, 'x');
    buf_adds(out, "\"}");
}

static int open_at(struct fixture *f, const char *dir, struct control **ret, struct err_note *note)
{
    struct control_options options = {
        .runtime_dir = dir, .answer = answer, .context = f, .patience_ms = SHORT_MS};
    return control_open(&options, ret, note);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err_note note = {0};
    unit_folder(f->dir);
    snprintf(f->path, sizeof f->path, "%s/control", f->dir);
    assert_int_equal(open_at(f, f->dir, &f->control, &note), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    control_close(f->control);
    unit_remove_folder(f->dir);
    free(f);
    return 0;
}

static int connect_client(const struct fixture *f)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    strcpy(a.sun_path, f->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

/* Reads until the end of a line or of the connection; the length. */
static size_t read_line(int fd, char *text, size_t cap)
{
    size_t len = 0;
    int64_t deadline = clock_mono_ms() + PATIENCE_MS;
    while (len + 1 < cap && !(len && text[len - 1] == '\n')) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = deadline - clock_mono_ms();
        assert_true(left > 0);
        if (poll(&p, 1, (int)left) != 1)
            continue;
        ssize_t n = recv(fd, text + len, 1, 0);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    text[len] = '\0';
    return len;
}

static void expect_answer(int fd, const char *request, const char *expected)
{
    char text[256];
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
    read_line(fd, text, sizeof text);
    assert_string_equal(text, expected);
}

static void one_connection_carries_several_requests(void **state)
{
    struct fixture *f = *state;
    int fd = connect_client(f);
    expect_answer(fd, "{}\n", "{\"ok\":true,\"len\":2,\"fill\":\"\"}\n");
    expect_answer(fd, "{ }\n", "{\"ok\":true,\"len\":3,\"fill\":\"\"}\n");
    char text[128];
    assert_int_equal(send(fd, "1\n22\n", 5, MSG_NOSIGNAL), 5); /* two at once, answered in order */
    read_line(fd, text, sizeof text);
    assert_string_equal(text, "{\"ok\":true,\"len\":1,\"fill\":\"\"}\n");
    read_line(fd, text, sizeof text);
    assert_string_equal(text, "{\"ok\":true,\"len\":2,\"fill\":\"\"}\n");
    close(fd);
}

static void a_request_may_arrive_in_pieces(void **state)
{
    struct fixture *f = *state;
    int fd = connect_client(f);
    assert_int_equal(send(fd, "{", 1, MSG_NOSIGNAL), 1);
    int other = connect_client(f); /* whoever is half-way holds nobody up */
    expect_answer(other, "{}\n", "{\"ok\":true,\"len\":2,\"fill\":\"\"}\n");
    expect_answer(fd, "}\n", "{\"ok\":true,\"len\":2,\"fill\":\"\"}\n");
    close(fd);
    close(other);
}

static void only_owner_and_group_may_use_it(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    assert_int_equal(stat(f->path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0660);
}

static void a_stuck_client_is_cut_off_and_holds_nobody(void **state)
{
    struct fixture *f = *state;
    int stuck[4];
    for (int i = 0; i < 4; i++)
        stuck[i] = connect_client(f);
    int64_t began = clock_mono_ms();
    int fd = connect_client(f); /* the fifth waits in the queue until the others' patience ends */
    expect_answer(fd, "{}\n", "{\"ok\":true,\"len\":2,\"fill\":\"\"}\n");
    assert_true(clock_mono_ms() - began >= SHORT_MS - 50);
    char text[8];
    assert_int_equal(read_line(stuck[0], text, sizeof text), 0); /* closed */
    for (int i = 0; i < 4; i++)
        close(stuck[i]);
    close(fd);
}

static void an_oversize_request_is_answered_and_cut_off(void **state)
{
    struct fixture *f = *state;
    char text[128];
    int fd = connect_client(f);
    static char long_request[100000];
    memset(long_request, 'x', sizeof long_request);
    (void)!send(fd, long_request, sizeof long_request, MSG_NOSIGNAL | MSG_DONTWAIT);
    assert_true(read_line(fd, text, sizeof text) > 0); /* the handler judges the length */
    const char *len = strstr(text, "\"len\":");
    assert_non_null(len);
    assert_in_range(strtol(len + 6, NULL, 10), 16 * 1024 + 1, 24 * 1024); /* no more of it was taken */
    assert_int_equal(read_line(fd, text, sizeof text), 0);
    close(fd);
}

static void a_long_answer_arrives_whole(void **state)
{
    struct fixture *f = *state;
    struct err_note note = {0};
    cJSON *json = NULL;
    f->answer_len = 1000000;
    assert_int_equal(control_ask(f->dir, "{}", PATIENCE_MS, &json, &note), 0);
    assert_int_equal(strlen(json_string(json, "fill", "")), 1000000);
    cJSON_Delete(json);
}

static void a_refusal_reaches_the_client_with_its_reason(void **state)
{
    struct fixture *f = *state;
    struct err_note note = {0};
    cJSON *json = NULL;
    assert_int_equal(control_ask(f->dir, "{\"no\":1}", PATIENCE_MS, &json, &note), FG_ENOTFOUND);
    assert_string_equal(note.text, "no such thing");
    assert_null(json);
}

static void nobody_listens_after_the_end(void **state)
{
    struct fixture *f = *state;
    struct err_note note = {0};
    cJSON *json = NULL;
    int fd = connect_client(f); /* an idle client does not delay the end */
    int64_t began = clock_mono_ms();
    control_close(f->control);
    f->control = NULL;
    assert_true(clock_mono_ms() - began < 1000);
    close(fd);
    assert_int_equal(access(f->path, F_OK), -1);
    assert_int_equal(control_ask(f->dir, "{}", PATIENCE_MS, &json, &note), FG_ECLOSED);
    assert_non_null(strstr(note.text, f->path));
}

static void a_socket_left_behind_is_replaced_but_not_one_in_use(void **state)
{
    struct fixture *f = *state;
    struct control *second = NULL;
    struct err_note note = {0};
    assert_int_equal(open_at(f, f->dir, &second, &note), FG_EIO);
    assert_non_null(strstr(note.text, "another gateway"));
    int fd = connect_client(f); /* the first is unharmed */
    expect_answer(fd, "{}\n", "{\"ok\":true,\"len\":2,\"fill\":\"\"}\n");
    close(fd);
    control_close(f->control);
    f->control = NULL;
    /* As a killed gateway leaves it: bound, but nobody listens. */
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    strcpy(a.sun_path, f->path);
    int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(dead, (struct sockaddr *)&a, sizeof a), 0);
    close(dead);
    assert_int_equal(open_at(f, f->dir, &f->control, &note), 0);
    fd = connect_client(f);
    expect_answer(fd, "{}\n", "{\"ok\":true,\"len\":2,\"fill\":\"\"}\n");
    close(fd);
}

static void what_is_no_socket_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct control *c = NULL;
    struct err_note note = {0};
    char dir[64], path[96];
    unit_folder(dir);
    snprintf(path, sizeof path, "%s/control", dir);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_int_equal(open_at(f, dir, &c, &note), FG_EIO);
    assert_int_equal(access(path, F_OK), 0);
    unit_remove_folder(dir);
    assert_int_equal(open_at(f, "/nonexistent/folder", &c, &note), FG_EIO);
    char deep[160];
    memset(deep, 'd', sizeof deep - 1);
    deep[0] = '/';
    deep[sizeof deep - 1] = '\0';
    assert_int_equal(open_at(f, deep, &c, &note), FG_EIO);
    assert_non_null(strstr(note.text, "too long"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_connection_carries_several_requests),
        TEST(a_request_may_arrive_in_pieces),
        TEST(only_owner_and_group_may_use_it),
        TEST(a_stuck_client_is_cut_off_and_holds_nobody),
        TEST(an_oversize_request_is_answered_and_cut_off),
        TEST(a_long_answer_arrives_whole),
        TEST(a_refusal_reaches_the_client_with_its_reason),
        TEST(nobody_listens_after_the_end),
        TEST(a_socket_left_behind_is_replaced_but_not_one_in_use),
        TEST(what_is_no_socket_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
