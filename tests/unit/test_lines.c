/* SPDX-License-Identifier: Apache-2.0 */
/* What notify/lines.h and webhook.h promise about text. */
#include "unit/test.h"

#include <stdio.h>

#include "controller/json.h"
#include "controller/notify/lines.h"
#include "controller/notify/webhook.h"

static const enum line_kind all_kinds[] = {LINE_DENIAL, LINE_NOTICE, LINE_POLICY,
                                           LINE_TRUST,  LINE_LOGIN,  LINE_AUDIT};

static json_t *flow(void)
{
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:i,s:s,s:s,s:s,s:i}", "verdict", "deny", "from",
                     "web1", "from_address", "10.0.0.1", "to", "db1", "to_address", "10.0.0.2",
                     "rule", "default", "port", 5432, "protocol", "tcp", "process", "/usr/bin/x",
                     "user", "mika", "count", 3);
}

static void a_denial_reads_as_cef(void **state)
{
    (void)state;
    CLEANUP(json_decrefp) json_t *data = flow();
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct line l = {.kind = LINE_DENIAL, .time_ms = 1800000000123, .data = data};

    line_content(&b, &l, LINE_CEF);
    assert_string_equal(
        buf_str(&b),
        "CEF:0|Suimitsu|suimitsud|" SUIMITSU_VERSION "|denial|Connection denied|6|"
        "rt=1800000000123 act=deny src=10.0.0.1 shost=web1 dst=10.0.0.2 dhost=db1 dpt=5432 "
        "proto=tcp sproc=/usr/bin/x suser=mika cnt=3 cs1Label=rule cs2Label=layer cs1=default");
}

static void a_message_begins_as_rfc_5424_says(void **state)
{
    (void)state;
    CLEANUP(json_decrefp)
    json_t *data =
        json_pack("{s:s,s:s,s:i}", "action", "login.failed", "actor", "nobody", "seq", 7);
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct line l = {.kind = LINE_LOGIN, .time_ms = 1800000000007, .data = data};

    line_syslog(&b, &l, LINE_JSON, "host one", 42);
    assert_string_equal(buf_str(&b),
                        "<108>1 2027-01-15T08:00:00.007Z host?one suimitsud 42 login - "
                        "{\"type\":\"login\",\"data\":{\"action\":\"login.failed\",\"actor\":"
                        "\"nobody\",\"seq\":7}}");
}

/* No stranger's byte may end a message, begin a field, or reach a terminal. */
static void check_harmless(const char *text, enum line_format format)
{
    for (const char *at = text; *at; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            fail_msg("control byte %02x in %s", (unsigned)(unsigned char)*at, text);
        if (format == LINE_JSON && (unsigned char)*at >= 0x80)
            fail_msg("a byte beyond ASCII in %s", text);
    }
}

/* Unescaped '|' of a CEF line: the seven of its header. */
static size_t n_bars(const char *text)
{
    size_t n = 0;

    for (const char *at = text; *at; at++) {
        if (*at == '\\')
            at += at[1] != 0;
        else
            n += *at == '|';
    }
    return n;
}

static size_t n_of(const char *text, const char *what)
{
    size_t n = 0;

    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        n++;
    return n;
}

static const char *const evil[] = {"a\nCEF:0|x|y|z",
                                   "a\r\n<13>1 - - - - - forged",
                                   "a|b|c",
                                   " act=allow src=1.2.3.4",
                                   "back\\slash",
                                   "\x1b[2J\x1b[1;1H",
                                   "\xe2\x80\xaereversed",
                                   "\xff\xfe bad",
                                   "=|\\=|\\",
                                   "\"},{\"x\":\"",
                                   "日本語"};

static void strangers_text_is_data_in_each_format(void **state)
{
    (void)state;
    static const char *const keys[] = {"from",  "to",           "rule",    "process",  "user",
                                       "actor", "detail",       "object",  "endpoint", "text",
                                       "kind",  "from_address", "protocol"};

    for (size_t e = 0; e < ARRAY_SIZE(evil); e++)
        for (size_t k = 0; k < ARRAY_SIZE(all_kinds); k++)
            for (int format = LINE_JSON; format <= LINE_CEF; format++) {
                CLEANUP(json_decrefp) json_t *data = flow();
                CLEANUP(buf_done) struct buf b = BUF_INIT;
                struct line l = {.kind = all_kinds[k], .time_ms = 1, .data = data};

                for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                    (void)json_object_set_new(data, keys[i], json_any_text(evil[e]));
                line_syslog(&b, &l, (enum line_format)format, "h", 1);
                check_harmless(buf_str(&b), (enum line_format)format);
                if (format == LINE_CEF) { /* In an extension '|' needs no escape. */
                    assert_true(n_bars(buf_str(&b)) >= 7);
                    assert_int_equal(n_of(buf_str(&b), " src=1.2.3.4"), 0);
                } else {
                    CLEANUP(json_decrefp)
                    json_t *j = json_loads(strchr(buf_str(&b), '{'), 0, NULL);

                    assert_true(json_is_object(json_object_get(j, "data")));
                    assert_int_equal(json_object_size(j), 2);
                }
            }
}

static void an_action_cannot_break_the_header(void **state)
{
    (void)state;
    CLEANUP(json_decrefp) json_t *data = json_pack("{s:s}", "action", "x|y\\|10|");
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct line l = {.kind = LINE_AUDIT, .time_ms = 1, .data = data};

    line_content(&b, &l, LINE_CEF);
    assert_non_null(strstr(buf_str(&b), "|x\\|y\\\\\\|10\\||Changed|4|rt=1"));
}

static void long_values_are_cut(void **state)
{
    (void)state;
    CLEANUP(free_voidp) char *text = xcalloc(100001, 1);
    CLEANUP(json_decrefp) json_t *data = flow();
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct line l = {.kind = LINE_DENIAL, .time_ms = 1, .data = data};

    memset(text, '|', 100000);
    (void)json_object_set_new(data, "process", json_string(text));
    line_content(&b, &l, LINE_CEF);
    assert_true(b.size < 2000);
    buf_reset(&b);
    line_content(&b, &l, LINE_JSON);
    assert_true(b.size < 2000);
}

static void actions_have_their_kinds(void **state)
{
    (void)state;
    assert_int_equal(line_kind_of_action("login.failed"), LINE_LOGIN);
    assert_int_equal(line_kind_of_action("logout"), LINE_LOGIN);
    assert_int_equal(line_kind_of_action("policy.apply"), LINE_POLICY);
    assert_int_equal(line_kind_of_action("endpoint.quarantine"), LINE_TRUST);
    assert_int_equal(line_kind_of_action("token.create"), LINE_AUDIT);
}

/* Compared with: printf '%s' '1800000000.{"a":1}' | openssl dgst -sha256 -hmac 'a secret of ours'
 */
static void a_signature_is_hmac_sha256_over_time_and_body(void **state)
{
    (void)state;
    char signature[80];

    webhook_sign("a secret of ours", "1800000000", "{\"a\":1}", 7, signature);
    assert_string_equal(signature,
                        "sha256=5feff5525925edf92d030bb4de4a712000179ad83a81c9a6c4c3a82a6f3afbac");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_denial_reads_as_cef),
        cmocka_unit_test(a_message_begins_as_rfc_5424_says),
        cmocka_unit_test(strangers_text_is_data_in_each_format),
        cmocka_unit_test(an_action_cannot_break_the_header),
        cmocka_unit_test(long_values_are_cut),
        cmocka_unit_test(actions_have_their_kinds),
        cmocka_unit_test(a_signature_is_hmac_sha256_over_time_and_body),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
