/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "../../gateway/store_crc.h"

/* The examples of RFC 3720, B.4, and the check value of the catalogues. */
static void sums_are_those_of_the_standard(void **state)
{
    (void)state;
    unsigned char zeros[32] = {0}, ones[32], up[32], down[32];
    memset(ones, 0xff, sizeof ones);
    for (unsigned char i = 0; i < 32; i++) {
        up[i] = i;
        down[i] = (unsigned char)(31 - i);
    }
    assert_int_equal(store_crc(0, zeros, sizeof zeros), 0x8a9136aa);
    assert_int_equal(store_crc(0, ones, sizeof ones), 0x62a8ab43);
    assert_int_equal(store_crc(0, up, sizeof up), 0x46dd794e);
    assert_int_equal(store_crc(0, down, sizeof down), 0x113fdb5c);
    assert_int_equal(store_crc(0, "123456789", 9), 0xe3069283);
    assert_int_equal(store_crc(0, "", 0), 0);
}

/* Of any length, beginning at any address: bytes are taken by eights where there are eight. */
static void parts_of_any_length_give_the_sum_of_the_whole(void **state)
{
    (void)state;
    unsigned char bytes[96];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 151 + 7);
    for (size_t from = 0; from < 8; from++)
        for (size_t upto = from; upto <= sizeof bytes; upto++) {
            uint32_t one_by_one = 0;
            for (size_t i = from; i < upto; i++)
                one_by_one = store_crc(one_by_one, bytes + i, 1);
            size_t middle = from + (upto - from) / 3;
            uint32_t in_two = store_crc(0, bytes + from, middle - from);
            assert_int_equal(store_crc(0, bytes + from, upto - from), one_by_one);
            assert_int_equal(store_crc(in_two, bytes + middle, upto - middle), one_by_one);
        }
}

static void a_flipped_bit_changes_the_sum(void **state)
{
    (void)state;
    unsigned char bytes[40];
    memset(bytes, '7', sizeof bytes);
    const uint32_t whole = store_crc(0, bytes, sizeof bytes);
    for (size_t bit = 0; bit < sizeof bytes * 8; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        assert_int_not_equal(store_crc(0, bytes, sizeof bytes), whole);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_those_of_the_standard),
        cmocka_unit_test(parts_of_any_length_give_the_sum_of_the_whole),
        cmocka_unit_test(a_flipped_bit_changes_the_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
