/* SPDX-License-Identifier: Apache-2.0 */
/* What sealed.h, state.h and ipc.h promise. */
#include "agent/enforce/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/ipc.h"
#include "base/buf.h"
#include "sys/file.h"
#include "sys/sealed.h"
#include "unit/test.h"

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/sm-state-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    static const char *const names[] = {"program", "program.bad", "former", "pending", "file"};
    char path[128];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        (void)unlink(path);
    }
    return rmdir(dir);
}

static struct program *program_of(uint64_t revision)
{
    struct program *p = program_new();

    p->revision = revision;
    memcpy(p->endpoint, "db1", 4);
    p->mode = MODE_ENFORCE;
    return p;
}

static void a_sealed_file_with_one_flipped_bit_is_refused(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf whole = BUF_INIT, out = BUF_INIT;
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/file", dir);
    assert_int_equal(sealed_write(path, "policy", 6), 0);
    assert_int_equal(sealed_read(path, 100, &out), 0);
    assert_string_equal(buf_str(&out), "policy");
    assert_int_equal(file_read(path, 1000, &whole), 0);
    for (size_t i = 0; i < whole.size; i++) {
        whole.data[i] ^= 4;
        assert_int_equal(file_write(path, whole.data, whole.size, 0600), 0);
        assert_int_equal(sealed_read(path, 100, &out), -EBADMSG);
        whole.data[i] ^= 4;
    }
    for (size_t size = 0; size < whole.size; size++) {
        assert_int_equal(file_write(path, whole.data, size, 0600), 0);
        assert_int_equal(sealed_read(path, 100, &out), -EBADMSG);
    }
    assert_int_equal(file_write(path, whole.data, whole.size, 0600), 0);
    assert_int_equal(sealed_read(path, 3, &out), -EFBIG);
}

static void a_stored_program_comes_back_and_a_damaged_one_is_moved_aside(void **state)
{
    (void)state;
    CLEANUP(program_freep) struct program *p = program_of(7), *q = NULL;
    char path[128];

    assert_int_equal(state_load(dir, "program", &q), -ENOENT);
    assert_int_equal(state_save(dir, "program", p), 0);
    assert_int_equal(state_load(dir, "program", &q), 0);
    assert_int_equal(q->revision, 7);

    (void)snprintf(path, sizeof(path), "%s/program", dir);
    assert_int_equal(truncate(path, 100), 0);
    program_free(TAKE_PTR(q));
    assert_int_equal(state_load(dir, "program", &q), -EBADMSG);
    assert_null(q);
    assert_int_equal(state_load(dir, "program", &q), -EBADMSG); /* Still: it is not "none". */
    (void)snprintf(path, sizeof(path), "%s/program.bad", dir);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(state_save(dir, "program", p), 0);
    assert_int_equal(state_load(dir, "program", &q), 0);
}

static void what_is_pending_is_remembered_and_a_damaged_note_means_nothing(void **state)
{
    (void)state;
    struct pending p = {.revision = 9, .deadline_ns = state_now_ns() + 1000}, q;
    char path[128];

    assert_int_equal(state_pending(dir).revision, 0);
    assert_int_equal(state_set_pending(dir, &p), 0);
    q = state_pending(dir);
    assert_int_equal(q.revision, 9);
    assert_int_equal(q.deadline_ns, p.deadline_ns);
    (void)snprintf(path, sizeof(path), "%s/pending", dir);
    assert_int_equal(truncate(path, 10), 0);
    assert_int_equal(state_pending(dir).revision, 0);
    p.revision = 0;
    assert_int_equal(state_set_pending(dir, &p), 0);
    assert_int_equal(access(path, F_OK), -1);
}

static void a_message_of_the_wrong_size_or_kind_is_refused(void **state)
{
    (void)state;
    CLEANUP(free_voidp) struct ipc_piece *body = xcalloc(1, sizeof *body);
    struct ipc_trust trust = {.sequence = 3, .trust = TRUST_BLACK};
    enum ipc_kind kind = IPC_ACK;
    uint32_t seat = 0;
    int fds[2];

    assert_int_equal(ipc_pair(fds), 0);
    assert_int_equal(ipc_receive(fds[1], &kind, &seat, body, sizeof(*body)), -EAGAIN);
    assert_int_equal(ipc_send(fds[0], IPC_TRUST, 3, &trust, sizeof(trust)), 0);
    assert_int_equal(ipc_receive(fds[1], &kind, &seat, body, sizeof(*body)), sizeof(trust));
    assert_int_equal(kind, IPC_TRUST);
    assert_int_equal(seat, 3);
    assert_memory_equal(body, &trust, sizeof(trust));

    assert_int_equal(ipc_send(fds[0], IPC_TRUST, 3, &trust, sizeof(trust) - 1), 0);
    assert_int_equal(ipc_receive(fds[1], &kind, &seat, body, sizeof(*body)), -EPROTO);
    assert_int_equal(ipc_send(fds[0], IPC_TRUST, IPC_SEATS, &trust, sizeof(trust)), 0);
    assert_int_equal(ipc_receive(fds[1], &kind, &seat, body, sizeof(*body)), -EPROTO);
    assert_int_equal(ipc_send(fds[0], (enum ipc_kind)99, 0, &trust, sizeof(trust)), 0);
    assert_int_equal(ipc_receive(fds[1], &kind, &seat, body, sizeof(*body)), -EPROTO);
    close(fds[0]);
    assert_int_equal(ipc_receive(fds[1], &kind, &seat, body, sizeof(*body)), 0);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_sealed_file_with_one_flipped_bit_is_refused, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(
            a_stored_program_comes_back_and_a_damaged_one_is_moved_aside, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(
            what_is_pending_is_remembered_and_a_damaged_note_means_nothing, make_dir, remove_dir),
        cmocka_unit_test(a_message_of_the_wrong_size_or_kind_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
