/* SPDX-License-Identifier: Apache-2.0 */
/* What auth/accounts.h, passwords.h and throttle.h promise. */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "controller/audit.h"
#include "controller/auth/accounts.h"
#include "controller/auth/throttle.h"
#include "unit/store_folder.h"

static const struct account mika = {
    .name = "mika", .role = ROLE_OPERATOR, .scope = {"site", "tokyo"}, .hash = "$argon2id$x"};

static int check(const char *cookie, int64_t now_s)
{
    struct who who = {.role = ROLE_NONE};

    return session_check(store, cookie, now_s, &who);
}

static void a_session_is_its_account_s_role_and_scope(void **state)
{
    (void)state;
    char cookie[SESSION_COOKIE_SIZE];
    struct who who = {.role = ROLE_NONE};

    assert_int_equal(account_add(store, "root", &mika, 1000), 0);
    assert_int_equal(account_add(store, "root", &mika, 1000), -EEXIST);
    assert_int_equal(session_new(store, &mika, "192.0.2.1", 1000, cookie), 0);
    assert_int_equal(session_check(store, cookie, 1001, &who), 0);
    assert_int_equal(who.role, ROLE_OPERATOR);
    assert_string_equal(who.scope.label, "site");
    assert_string_equal(who.scope.value, "tokyo");
    assert_string_equal(who.actor, "account mika");
    cookie[0] = cookie[0] == 'a' ? 'b' : 'a';
    assert_int_equal(check(cookie, 1001), -EACCES);
    assert_int_equal(check("", 1001), -EACCES);
}

static void a_session_ends_when_idle_and_after_its_life(void **state)
{
    (void)state;
    char cookie[SESSION_COOKIE_SIZE];
    int64_t now = 1000;

    assert_int_equal(account_add(store, "root", &mika, now), 0);
    assert_int_equal(session_new(store, &mika, "", now, cookie), 0);
    assert_int_equal(check(cookie, now + SESSION_IDLE_S - 1), 0);
    assert_int_equal(check(cookie, now + 2 * SESSION_IDLE_S - 1), -EACCES);
    assert_int_equal(session_new(store, &mika, "", now, cookie), 0);
    for (; now < 1000 + SESSION_LIFE_S; now += SESSION_IDLE_S / 2)
        assert_int_equal(check(cookie, now), 0);
    assert_int_equal(check(cookie, 1000 + SESSION_LIFE_S), -EACCES);
}

static void changing_the_password_and_removing_the_account_end_all_its_sessions(void **state)
{
    (void)state;
    char a[SESSION_COOKIE_SIZE], b[SESSION_COOKIE_SIZE], other[SESSION_COOKIE_SIZE];
    struct account jun = mika;

    memcpy(jun.name, "jun", 4);
    assert_int_equal(account_add(store, "root", &mika, 1000), 0);
    assert_int_equal(account_add(store, "root", &jun, 1000), 0);
    assert_int_equal(session_new(store, &mika, "", 1000, a), 0);
    assert_int_equal(session_new(store, &mika, "", 1000, b), 0);
    assert_int_equal(session_new(store, &jun, "", 1000, other), 0);
    assert_int_equal(account_set_password(store, "root", "mika", "$argon2id$y", 1001), 0);
    assert_int_equal(check(a, 1002), -EACCES);
    assert_int_equal(check(b, 1002), -EACCES);
    assert_int_equal(check(other, 1002), 0);
    assert_int_equal(account_remove(store, "root", "jun"), 0);
    assert_int_equal(check(other, 1002), -EACCES);
    assert_int_equal(account_remove(store, "root", "jun"), -ENOENT);
}

static void logging_out_ends_one_session(void **state)
{
    (void)state;
    char a[SESSION_COOKIE_SIZE], b[SESSION_COOKIE_SIZE];
    struct who who = {.role = ROLE_NONE};

    assert_int_equal(account_add(store, "root", &mika, 1000), 0);
    assert_int_equal(session_new(store, &mika, "", 1000, a), 0);
    assert_int_equal(session_new(store, &mika, "", 1000, b), 0);
    assert_int_equal(session_check(store, a, 1001, &who), 0);
    assert_int_equal(session_end(store, who.actor, who.session), 0);
    assert_int_equal(check(a, 1001), -EACCES);
    assert_int_equal(check(b, 1001), 0);
    assert_int_equal(session_end(store, who.actor, who.session), -ENOENT);
}

static void sessions_are_bounded_and_the_oldest_makes_room(void **state)
{
    (void)state;
    char first[SESSION_COOKIE_SIZE], last[SESSION_COOKIE_SIZE];
    json_t *list = NULL;

    assert_int_equal(account_add(store, "root", &mika, 1000), 0);
    assert_int_equal(session_new(store, &mika, "", 1000, first), 0);
    for (int i = 1; i <= SESSION_MAX; i++)
        assert_int_equal(session_new(store, &mika, "", 1001, last), 0);
    assert_int_equal(check(first, 1002), -EACCES);
    assert_int_equal(check(last, 1002), 0);
    assert_int_equal(session_list(store, NULL, &list), 0);
    assert_int_equal(json_array_size(list), SESSION_MAX);
    json_decref(list);
}

static void neither_cookies_nor_hashes_are_listed_or_found_in_the_store(void **state)
{
    (void)state;
    CLEANUP(store_list_done) struct store_list all = {.items = NULL};
    CLEANUP(free_voidp) char *text = NULL;
    char cookie[SESSION_COOKIE_SIZE];
    json_t *list = NULL;

    assert_int_equal(account_add(store, "root", &mika, 1000), 0);
    assert_int_equal(session_new(store, &mika, "", 1000, cookie), 0);
    assert_int_equal(store_list(store, "", NULL, false, 100, &all), 0);
    for (size_t i = 0; i < all.n; i++)
        assert_true(!strstr(all.items[i].data, cookie) && !strstr(all.items[i].key, cookie));
    assert_int_equal(account_list(store, &list), 0);
    text = json_dumps(list, 0);
    assert_non_null(strstr(text, "mika"));
    assert_null(strstr(text, "argon2"));
    json_decref(list);
}

/* ---- passwords ---- */

static struct password_job *run_job(const char *encoded, const char *password, const char *next)
{
    struct password_job *j = password_job_new(encoded, password, next);

    j->job.run(&j->job); /* As the thread does. */
    return j;
}

static void a_password_is_right_or_wrong_and_nobody_s_is_wrong(void **state)
{
    (void)state;
    struct password_job *made = run_job(NULL, "", "correct horse battery"), *j;

    assert_memory_equal(made->hash, "$argon2id$v=19$m=65536,t=3,p=1$", 31);
    j = run_job(made->hash, "correct horse battery", "another horse battery");
    assert_true(j->is_right && j->hash[0] && strcmp(j->hash, made->hash) != 0);
    password_job_drop(j);
    j = run_job(made->hash, "correct horse batterz", "another horse battery");
    assert_true(!j->is_right && !j->hash[0]);
    password_job_drop(j);
    j = run_job("", "correct horse battery", NULL); /* No such account: as slow, and wrong. */
    assert_false(j->is_right);
    password_job_drop(j);
    j = run_job("$argon2id$garbage", "correct horse battery", NULL);
    assert_false(j->is_right);
    password_job_drop(j);
    password_job_drop(made);
}

static void weak_passwords_are_refused_with_the_reason(void **state)
{
    (void)state;
    char long_one[PASSWORD_MAX + 2];

    memset(long_one, 'a', sizeof(long_one));
    long_one[sizeof(long_one) - 1] = 0;
    long_one[0] = 'b';
    assert_non_null(password_problem("mika", "short"));
    assert_non_null(password_problem("mika", long_one));
    assert_non_null(password_problem("mika", "aaaaaaaaaaaaaaaa"));
    assert_non_null(password_problem("mika", "my name is mika"));
    assert_non_null(password_problem("mika", "not utf-8 \xff\xfe at all"));
    assert_null(password_problem("mika", "correct horse battery"));
}

/* ---- throttle ---- */

static void attempts_are_counted_in_a_window_and_may_be_taken_back(void **state)
{
    (void)state;
    CLEANUP(throttle_freep) struct throttle *t = throttle_new();

    for (int i = 0; i < 5; i++)
        assert_int_equal(throttle_try(t, "a", 5, 1000 + i), 0);
    assert_int_equal(throttle_try(t, "a", 5, 1005), THROTTLE_WINDOW_S - 5);
    assert_int_equal(throttle_try(t, "b", 5, 1005), 0);
    throttle_take_back(t, "a");
    assert_int_equal(throttle_try(t, "a", 5, 1005), 0);
    assert_true(throttle_try(t, "a", 5, 1005) > 0);
    assert_int_equal(throttle_try(t, "a", 5, 1000 + THROTTLE_WINDOW_S), 0);
    throttle_forget(t, "b");
    assert_int_equal(throttle_size(t), 1);
}

static void many_keys_do_not_make_it_grow_without_end(void **state)
{
    (void)state;
    CLEANUP(throttle_freep) struct throttle *t = throttle_new();
    char key[32];

    for (int i = 0; i < 3 * THROTTLE_MAX; i++) {
        (void)snprintf(key, sizeof(key), "%d", i);
        assert_int_equal(throttle_try(t, key, 1, 1000 + i / 100), 0);
    }
    assert_int_equal(throttle_size(t), THROTTLE_MAX);
    assert_true(throttle_try(t, key, 1, 1500) > 0); /* The newest is remembered. */
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, in_a_new_folder, clean_up)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_session_is_its_account_s_role_and_scope),
        IN_FOLDER(a_session_ends_when_idle_and_after_its_life),
        IN_FOLDER(changing_the_password_and_removing_the_account_end_all_its_sessions),
        IN_FOLDER(logging_out_ends_one_session),
        IN_FOLDER(sessions_are_bounded_and_the_oldest_makes_room),
        IN_FOLDER(neither_cookies_nor_hashes_are_listed_or_found_in_the_store),
        cmocka_unit_test(a_password_is_right_or_wrong_and_nobody_s_is_wrong),
        cmocka_unit_test(weak_passwords_are_refused_with_the_reason),
        cmocka_unit_test(attempts_are_counted_in_a_window_and_may_be_taken_back),
        cmocka_unit_test(many_keys_do_not_make_it_grow_without_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
