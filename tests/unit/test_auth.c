/* SPDX-License-Identifier: Apache-2.0 */
/* What controller/audit.h, auth/ca.h and auth/tokens.h promise. */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/audit.h"
#include "controller/auth/ca.h"
#include "controller/auth/tokens.h"
#include "unit/store_folder.h"

static void add_entry(const char *actor)
{
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    struct audit_entry e = {.actor = actor, .action = "test", .object = "x"};

    assert_int_equal(audit_add(store, t, &e), 0);
    assert_int_equal(store_commit(store, t, NULL), 0);
}

static void the_audit_chain_holds_as_written(void **state)
{
    (void)state;
    struct audit_state a;
    json_t *list = NULL;

    assert_int_equal(audit_verify(store, &a), 0);
    assert_true(a.n == 0 && a.bad == 0);
    for (int i = 0; i < 700; i++) /* More than one batch. */
        add_entry("root");
    assert_int_equal(audit_verify(store, &a), 0);
    assert_true(a.n == 700 && a.bad == 0);
    assert_int_equal(audit_list(store, 700, 2, &list), 0);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "seq")), 699);
    json_decref(list);
}

static void rewrite(const char *key, const char *from, const char *to)
{
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    CLEANUP(store_item_done) struct store_item item = {.key = NULL};
    char *at;

    assert_int_equal(store_get(store, key, &item), 0);
    at = strstr(item.data, from);
    assert_non_null(at);
    memcpy(at, to, strlen(to));
    store_put(t, key, item.data, item.size);
    assert_int_equal(store_commit(store, t, NULL), 0);
}

static void an_altered_entry_breaks_the_chain_behind_it(void **state)
{
    (void)state;
    struct audit_state a;

    for (int i = 0; i < 5; i++)
        add_entry("mallory");
    rewrite("audit/0000000000000003", "mallory", "nobody1");
    assert_int_equal(audit_verify(store, &a), 0);
    assert_int_equal(a.n, 3);
    assert_int_equal(a.bad, 4);
}

static void a_missing_entry_breaks_the_chain(void **state)
{
    (void)state;
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    struct audit_state a;

    for (int i = 0; i < 5; i++)
        add_entry("root");
    store_delete(t, "audit/0000000000000002");
    assert_int_equal(store_commit(store, t, NULL), 0);
    assert_int_equal(audit_verify(store, &a), 0);
    assert_int_equal(a.bad, 2);
}

static void the_authority_is_made_once_and_its_key_is_private(void **state)
{
    (void)state;
    CLEANUP(ca_freep) struct ca *first = NULL;
    CLEANUP(ca_freep) struct ca *again = NULL;
    struct stat st;
    char path[96];
    const char *what;

    assert_int_equal(ca_open(folder, &first, &what), 0);
    assert_int_equal(ca_open(folder, &again, &what), 0);
    assert_string_equal(ca_fingerprint(first), ca_fingerprint(again));
    (void)snprintf(path, sizeof(path), "%s/ca.key", folder);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_lost_authority_is_not_quietly_replaced(void **state)
{
    (void)state;
    struct ca *ca = NULL;
    char path[96];
    const char *what = NULL;

    assert_int_equal(ca_open(folder, &ca, &what), 0);
    ca_free(ca);
    ca = NULL;
    (void)snprintf(path, sizeof(path), "%s/ca.key", folder);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(ca_open(folder, &ca, &what), -EUCLEAN);
    assert_null(ca);
}

static void a_request_that_is_none_gets_no_certificate(void **state)
{
    (void)state;
    CLEANUP(ca_freep) struct ca *ca = NULL;
    CLEANUP(buf_done) struct buf chain = BUF_INIT;
    char serial[TLS_SERIAL_SIZE];
    const char *what;

    assert_int_equal(ca_open(folder, &ca, &what), 0);
    assert_int_equal(ca_issue_agent(ca, "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n", "web1", 60,
                                    &chain, serial),
                     -EINVAL);
    assert_int_equal(ca_issue_agent(ca, ca_pem(ca), "web1", 60, &chain, serial), -EINVAL);
    assert_int_equal(chain.size, 0);
}

static int use(const char *token, int64_t now_s, char *endpoint)
{
    CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();
    char id[TOKEN_ID_SIZE];
    const char *why;
    int r = token_use(store, t, token, now_s, endpoint, id, &why);

    return r < 0 ? r : store_commit(store, t, NULL);
}

static void an_enrolment_token_works_once_in_time_and_for_its_endpoint(void **state)
{
    (void)state;
    char token[TOKEN_SIZE], late[TOKEN_SIZE], endpoint[PROGRAM_NAME_SIZE] = "";

    assert_int_equal(token_new_enroll(store, "root", "web1", "abcd", 1000, 60, token), 0);
    assert_int_equal(token_new_enroll(store, "root", "web2", "abcd", 1000, 60, late), 0);
    assert_non_null(strstr(token, ".abcd"));
    assert_int_equal(use(token, 1059, endpoint), 0);
    assert_string_equal(endpoint, "web1");
    assert_int_equal(use(token, 1059, endpoint), -EACCES);
    assert_int_equal(use(late, 1060, endpoint), -EACCES);
    assert_int_equal(use(late, 1059, endpoint), 0);
}

static void an_altered_token_is_refused(void **state)
{
    (void)state;
    char token[TOKEN_SIZE], endpoint[PROGRAM_NAME_SIZE];

    assert_int_equal(token_new_enroll(store, "root", "web1", "abcd", 1000, 60, token), 0);
    for (size_t i = 0; i < 5 + 16 + 1 + 64; i++) {
        char before = token[i];

        token[i] = before == '0' ? '1' : '0';
        assert_int_equal(use(token, 1001, endpoint), -EACCES);
        token[i] = before;
    }
    assert_int_equal(use("", 1001, endpoint), -EACCES);
    assert_int_equal(use("smt1.", 1001, endpoint), -EACCES);
    assert_int_equal(use(token, 1001, endpoint), 0);
}

static void an_api_token_gives_its_role_until_it_expires_or_is_revoked(void **state)
{
    (void)state;
    static const struct scope tokyo = {"site", "tokyo"};
    char token[TOKEN_SIZE], id[TOKEN_ID_SIZE] = "";
    struct who who = {.role = ROLE_NONE};

    assert_int_equal(token_new_api(store, "root", "ci", ROLE_VIEWER, &tokyo, 1000, 60, token), 0);
    assert_int_equal(token_check_api(store, token, 1059, &who), 0);
    assert_int_equal(who.role, ROLE_VIEWER);
    assert_string_equal(who.actor, "token ci");
    assert_string_equal(who.scope.label, "site");
    assert_string_equal(who.scope.value, "tokyo");
    assert_int_equal(token_check_api(store, token, 1060, &who), -EACCES);
    memcpy(id, token + 5, TOKEN_ID_SIZE - 1);
    assert_int_equal(token_revoke(store, "root", id), 0);
    assert_int_equal(token_check_api(store, token, 1001, &who), -EACCES);
    assert_int_equal(token_revoke(store, "root", id), -ENOENT);
}

static void no_secret_is_stored_or_listed(void **state)
{
    (void)state;
    CLEANUP(store_list_done) struct store_list all = {.items = NULL};
    CLEANUP(free_voidp) char *listed = NULL;
    char token[TOKEN_SIZE], secret[65] = "";
    json_t *list = NULL;

    assert_int_equal(token_new_enroll(store, "root", "web1", "abcd", 1000, 60, token), 0);
    memcpy(secret, token + 5 + 17, 64);
    assert_int_equal(store_list(store, "", NULL, false, 100, &all), 0);
    assert_true(all.n >= 2);
    for (size_t i = 0; i < all.n; i++)
        assert_null(strstr(all.items[i].data, secret));
    assert_int_equal(token_list(store, &list), 0);
    listed = json_dumps(list, 0);
    assert_non_null(strstr(listed, "web1"));
    assert_null(strstr(listed, "hash"));
    json_decref(list);
}

static void put_dead_token(struct store_transaction *t, int i, bool is_used)
{
    char key[64], text[128];

    (void)snprintf(key, sizeof(key), "token/%016x", (unsigned)i);
    (void)snprintf(text, sizeof(text), "{\"kind\": \"enroll\", \"used\": %s, \"expires\": %d}",
                   is_used ? "true" : "false", is_used ? 5000 : 900);
    store_put(t, key, text, strlen(text));
}

/* So that a roll-out never ends at the limit: not for those that were used, nor for those that
 * nobody used in time. */
static void only_tokens_that_can_still_be_used_count(void **state)
{
    (void)state;
    CLEANUP(store_list_done) struct store_list list = {.items = NULL};
    char token[TOKEN_SIZE], first[TOKEN_SIZE] = "", endpoint[PROGRAM_NAME_SIZE];

    for (int i = 0; i < 10; i++) {
        assert_int_equal(token_new_enroll(store, "root", "web1", "abcd", 1000, 60, token), 0);
        assert_int_equal(use(token, 1001, endpoint), 0);
    }
    assert_int_equal(store_list(store, "token/", NULL, false, 100, &list), 0);
    assert_int_equal(list.n, 0);
    for (int i = 0; i < TOKEN_MAX_LIVE; i += 1000) { /* As older stores have them, and late ones. */
        CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();

        for (int k = i; k < i + 1000; k++)
            put_dead_token(t, k, k % 2);
        assert_int_equal(store_commit(store, t, NULL), 0);
    }
    assert_int_equal(token_new_enroll(store, "root", "web1", "abcd", 1000, 60, first), 0);
    assert_int_equal(use(first, 1001, endpoint), 0);
}

static void beyond_the_limit_no_token_is_made(void **state)
{
    (void)state;
    char token[TOKEN_SIZE];

    for (int i = 0; i < TOKEN_MAX_LIVE; i += 1000) {
        CLEANUP(store_transaction_freep) struct store_transaction *t = store_transaction_new();

        for (int k = i; k < i + 1000; k++) {
            char key[64];
            static const char text[] = "{\"kind\": \"enroll\", \"expires\": 5000}";

            (void)snprintf(key, sizeof(key), "token/%016x", (unsigned)k);
            store_put(t, key, text, strlen(text));
        }
        assert_int_equal(store_commit(store, t, NULL), 0);
    }
    assert_int_equal(token_new_enroll(store, "root", "web1", "abcd", 1000, 60, token), -E2BIG);
    assert_int_equal(token_new_enroll(store, "root", "web1", "abcd", 5000, 60, token), 0);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, in_a_new_folder, clean_up)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(the_audit_chain_holds_as_written),
        IN_FOLDER(an_altered_entry_breaks_the_chain_behind_it),
        IN_FOLDER(a_missing_entry_breaks_the_chain),
        IN_FOLDER(the_authority_is_made_once_and_its_key_is_private),
        IN_FOLDER(a_lost_authority_is_not_quietly_replaced),
        IN_FOLDER(a_request_that_is_none_gets_no_certificate),
        IN_FOLDER(an_enrolment_token_works_once_in_time_and_for_its_endpoint),
        IN_FOLDER(an_altered_token_is_refused),
        IN_FOLDER(only_tokens_that_can_still_be_used_count),
        IN_FOLDER(beyond_the_limit_no_token_is_made),
        IN_FOLDER(an_api_token_gives_its_role_until_it_expires_or_is_revoked),
        IN_FOLDER(no_secret_is_stored_or_listed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
