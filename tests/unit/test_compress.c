/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <zlib.h>

#include "../../gateway/compress.h"

/* Unpacks with zlib's own gzip reader and compares. */
static void expect_same(const struct buf *packed, const void *bytes, size_t len)
{
    static char unpacked[300000];
    z_stream s = {0};

    assert_true(packed->len > 2);
    assert_memory_equal(packed->data, "\x1f\x8b", 2); /* gzip, not zlib */
    assert_int_equal(inflateInit2(&s, 15 + 16), Z_OK);
    s.next_in = (Bytef *)packed->data;
    s.avail_in = (uInt)packed->len;
    s.next_out = (Bytef *)unpacked;
    s.avail_out = sizeof(unpacked);
    assert_int_equal(inflate(&s, Z_FINISH), Z_STREAM_END);
    assert_int_equal(s.total_out, len);
    assert_int_equal(s.avail_in, 0);
    if (len > 0)
        assert_memory_equal(unpacked, bytes, len);
    inflateEnd(&s);
}

static void what_is_packed_comes_back_whole(void **state)
{
    (void)state;
    static const char JSON[] =
        "{\"v\":1,\"samples\":[{\"seq\":1,\"values\":{\"t\":23.4}},{\"seq\":2,\"values\":{\"t\":23.5}}]}";
    struct compress *c = compress_new();
    struct buf out = BUF_INIT;

    assert_non_null(c);
    assert_int_equal(compress_gzip(c, JSON, strlen(JSON), &out), 0);
    expect_same(&out, JSON, strlen(JSON));
    assert_int_equal(compress_gzip(c, "", 0, &out), 0);
    expect_same(&out, "", 0);
    buf_fini(&out);
    compress_free(c);
}

static void one_compressor_packs_many_messages_each_on_its_own(void **state)
{
    (void)state;
    struct compress *c = compress_new();
    struct buf out = BUF_INIT;
    char text[64];

    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof(text), "message %d message %d", i, i);
        assert_int_equal(compress_gzip(c, text, strlen(text), &out), 0);
        expect_same(&out, text, strlen(text));
    }
    buf_fini(&out);
    compress_free(c);
}

static void repetition_shrinks_and_noise_grows_only_a_little(void **state)
{
    (void)state;
    static unsigned char bytes[262144];
    struct compress *c = compress_new();
    struct buf out = BUF_INIT;
    uint32_t x = 2463534242u; /* seed of the noise */

    memset(bytes, 'a', sizeof(bytes));
    assert_int_equal(compress_gzip(c, bytes, sizeof(bytes), &out), 0);
    assert_true(out.len < 1000);
    expect_same(&out, bytes, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        bytes[i] = (unsigned char)x;
    }
    assert_int_equal(compress_gzip(c, bytes, sizeof(bytes), &out), 0);
    assert_true(out.len < sizeof(bytes) + 200);
    expect_same(&out, bytes, sizeof(bytes));
    buf_fini(&out);
    compress_free(c);
}

static void what_was_in_the_buffer_is_replaced_and_its_room_reused(void **state)
{
    (void)state;
    struct compress *c = compress_new();
    struct buf out = BUF_INIT;

    buf_adds(&out, "something older");
    assert_int_equal(compress_gzip(c, "first", 5, &out), 0);
    expect_same(&out, "first", 5);
    const char *room = out.data;
    assert_int_equal(compress_gzip(c, "second", 6, &out), 0);
    expect_same(&out, "second", 6);
    assert_ptr_equal(out.data, room);
    buf_fini(&out);
    compress_free(c);
    compress_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_packed_comes_back_whole),
        cmocka_unit_test(one_compressor_packs_many_messages_each_on_its_own),
        cmocka_unit_test(repetition_shrinks_and_noise_grows_only_a_little),
        cmocka_unit_test(what_was_in_the_buffer_is_replaced_and_its_room_reused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
