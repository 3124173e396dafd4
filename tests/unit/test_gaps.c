/* SPDX-License-Identifier: Apache-2.0 */
/* What controller/flows/flows.h promises of gaps: each is in the store, however many come at once.
 */
#include "controller/desired.h"
#include "controller/flows/flows.h"
#include "unit/store_folder.h"
#include "unit/test.h"

enum { MANY = 2 * STORE_MAX_OPERATIONS + 100 };

static void nothing(void *user)
{
    (void)user;
}

static bool nobody(void *user, const char *endpoint)
{
    (void)user;
    (void)endpoint;
    return false;
}

static size_t n_stored(void)
{
    char after[STORE_KEY_SIZE] = "";
    size_t n = 0, page;

    do {
        struct store_list list = {.items = NULL};

        assert_int_equal(store_list(store, "gap/", after[0] ? after : NULL, false, 1000, &list), 0);
        page = list.n;
        n += page;
        if (page)
            (void)snprintf(after, sizeof(after), "%s", list.items[page - 1].key);
        store_list_done(&list);
    } while (page);
    return n;
}

/* As after a power cut: all agents tell that their run before was killed. */
static void all_gaps_of_one_commit_are_in_the_store(void **state)
{
    CLEANUP(loop_freep) struct loop *loop = loop_new();
    CLEANUP(desired_freep) struct desired *desired = NULL;
    CLEANUP(past_freep) struct past *past = NULL;
    char path[96], name[32];
    struct flows_options o = {
        .loop = loop, .store = store, .history = path, .news = nothing, .reports = nobody};
    struct flows *f = NULL;
    const char *what;

    (void)state;
    assert_int_equal(desired_open(store, NULL, 0, 1800000000, &desired, &what), 0);
    past = past_new(desired);
    o.desired = desired;
    o.past = past;
    (void)snprintf(path, sizeof(path), "%s/history", folder);
    assert_int_equal(flows_new(&o, &f, &what), 0);
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof(name), "exporter/x%u", i);
        flows_missing(f, name, 1);
    }
    flows_free(f); /* Commits. */
    assert_int_equal(n_stored(), MANY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_gaps_of_one_commit_are_in_the_store, in_a_new_folder,
                                        clean_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
