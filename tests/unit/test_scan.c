/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that are tried: what each answer is called, and that there is a limit to all of it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sys/loop.h"
#include "sys/scan.h"

static void nothing(void *user)
{
    unsigned *calls = user;

    (*calls)++;
}

/* A socket that listens on a port of the loopback, or only holds it. */
static int hold_port(bool listens, uint16_t *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    if (listens)
        assert_int_equal(listen(fd, 64), 0);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

static void an_answer_has_its_name(void **state)
{
    struct scan_target targets[2];
    unsigned calls = 0;
    uint16_t ports[2];
    int open_fd = hold_port(true, &ports[0]), closed_fd = hold_port(false, &ports[1]);

    (void)state;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(scan_address("127.0.0.1", ports[i], &targets[i].address), 0);
    assert_int_equal(scan_run(targets, 2, 100, 500, nothing, &calls), 0);
    assert_int_equal(targets[0].result, SCAN_OPEN);
    assert_int_equal(targets[1].result, SCAN_REFUSED);
    assert_string_equal(scan_result_name(SCAN_OPEN), "open");
    (void)close(open_fd);
    (void)close(closed_fd);
}

static void connections_come_no_faster_than_they_may(void **state)
{
    struct scan_target targets[31];
    unsigned calls = 0;
    uint16_t port;
    int fd = hold_port(true, &port);
    uint64_t began_ms = loop_now_ms();

    (void)state;
    for (size_t i = 0; i < 31; i++)
        assert_int_equal(scan_address("127.0.0.1", port, &targets[i].address), 0);
    assert_int_equal(scan_run(targets, 31, 60, 500, nothing, &calls), 0);
    assert_true(loop_now_ms() - began_ms >= 480); /* 30 after the first, 60 a second. */
    assert_true(calls >= 1);
    for (size_t i = 0; i < 31; i++)
        assert_int_equal(targets[i].result, SCAN_OPEN);
    (void)close(fd);
}

static void more_than_the_limits_is_refused_before_anything_is_sent(void **state)
{
    static struct scan_target targets[SCAN_MAX_TARGETS + 1];
    unsigned calls = 0;

    (void)state;
    assert_int_equal(scan_run(targets, SCAN_MAX_TARGETS + 1, 1, 100, nothing, &calls), -E2BIG);
    assert_int_equal(scan_run(targets, 1, 0, 100, nothing, &calls), -ERANGE);
    assert_int_equal(scan_run(targets, 1, SCAN_MAX_RATE + 1, 100, nothing, &calls), -ERANGE);
    assert_int_equal(scan_run(targets, 1, 1, 0, nothing, &calls), -ERANGE);
    assert_int_equal(scan_run(targets, 1, 1, SCAN_MAX_ANSWER_MS + 1, nothing, &calls), -ERANGE);
    assert_int_equal(scan_run(targets, 0, 1, 100, nothing, &calls), 0);
    assert_int_equal(calls, 0);
}

static void an_address_is_a_number_of_either_family(void **state)
{
    static const char *const bad[] = {"", "web1", "10.0.0", "10.0.0.256", "fd00::g", "10.0.0.1 "};
    struct sockaddr_in6 a;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(scan_address(bad[i], 1, &a), -EINVAL);
    assert_int_equal(scan_address("10.1.2.3", 443, &a), 0);
    assert_true(IN6_IS_ADDR_V4MAPPED(&a.sin6_addr));
    assert_memory_equal(&a.sin6_addr.s6_addr[12], "\x0a\1\2\3", 4);
    assert_int_equal(ntohs(a.sin6_port), 443);
    assert_int_equal(scan_address("fd00::1", 443, &a), 0);
    assert_false(IN6_IS_ADDR_V4MAPPED(&a.sin6_addr));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_has_its_name),
        cmocka_unit_test(connections_come_no_faster_than_they_may),
        cmocka_unit_test(more_than_the_limits_is_refused_before_anything_is_sent),
        cmocka_unit_test(an_address_is_a_number_of_either_family),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
