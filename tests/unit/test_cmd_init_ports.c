/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../gateway/cmd_init.h"

static void make_file(const char *dev, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dev, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
}

static void an_adapter_is_listed_once_by_the_name_that_stays(void **state)
{
    (void)state;
    char dev[] = "/tmp/fg-dev-XXXXXX", path[256];
    assert_non_null(mkdtemp(dev));
    make_file(dev, "ttyUSB0");
    make_file(dev, "ttyUSB1");
    make_file(dev, "ttyAMA0");
    make_file(dev, "ttyprintk");
    snprintf(path, sizeof path, "%s/serial", dev);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/serial/by-id", dev);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/serial/by-id/usb-1a86_USB_Serial-if00-port0", dev);
    assert_int_equal(symlink("../../ttyUSB0", path), 0);

    struct init_port ports[INIT_PORTS_MAX];
    assert_int_equal(init_ports_list(dev, ports), 3);
    assert_string_equal(ports[0].path, path);
    assert_non_null(strstr(ports[0].what, "CH340"));
    assert_non_null(strstr(ports[0].what, "now ttyUSB0"));
    assert_non_null(strstr(ports[1].path, "ttyUSB1"));
    assert_non_null(strstr(ports[1].what, "changes"));
    assert_true(ports[1].adapter);
    assert_non_null(strstr(ports[2].path, "ttyAMA0"));
    assert_false(ports[2].adapter);

    unlink(path);
    snprintf(path, sizeof path, "rm -r %s", dev);
    assert_int_equal(system(path), 0);
}

static void a_machine_without_ports_lists_none(void **state)
{
    (void)state;
    struct init_port ports[INIT_PORTS_MAX];
    assert_int_equal(init_ports_list("/nonexistent", ports), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_adapter_is_listed_once_by_the_name_that_stays),
        cmocka_unit_test(a_machine_without_ports_lists_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
