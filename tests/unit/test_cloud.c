/* SPDX-License-Identifier: Apache-2.0 */
/* What cloud.h promises, on lines as the clouds' documents show them. */
#include "collect/cloud.h"

#include <netinet/in.h>

#include "unit/test.h"

static struct cloud *read_all(enum cloud_format format, const char *text, size_t step)
{
    struct cloud *c = cloud_new(format);
    size_t size = strlen(text);

    for (size_t at = 0; at < size; at += step)
        cloud_feed(c, text + at, size - at < step ? size - at : step);
    cloud_end(c);
    return c;
}

static struct cloud *read_text(enum cloud_format format, const char *text)
{
    return read_all(format, text, 1000);
}

static struct sighting next(struct cloud *c)
{
    struct sighting s;
    uint32_t teller;

    assert_true(cloud_next(c, &s, &teller));
    assert_true(sighting_is_valid(&s));
    return s;
}

static void assert_ends(const struct sighting *s, const char *from, const char *to, uint16_t port)
{
    char text[ADDRESS_TEXT_SIZE];

    assert_string_equal(address_format(&s->source, text), from);
    assert_string_equal(address_format(&s->destination, text), to);
    assert_int_equal(s->port, port);
}

static void assert_problem(const struct cloud *c, size_t i, size_t line, size_t column,
                           const char *part)
{
    const struct cloud_problem *p;

    assert_true(cloud_problems(c, &p) > i);
    assert_int_equal(p[i].line, line);
    assert_int_equal(p[i].column, column);
    if (!strstr(p[i].text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, p[i].text);
}

/* ---- AWS ---- */

static void both_directions_of_an_interface_are_one_connection(void **state)
{
    (void)state;
    static const char text[] =
        "2 123456789010 eni-1235b8ca 172.31.16.21 172.31.16.139 443 20641 6 20 4249 1418530010 "
        "1418530070 ACCEPT OK\n"
        "2 123456789010 eni-1235b8ca 172.31.16.139 172.31.16.21 20641 443 6 25 2100 1418530010 "
        "1418530070 ACCEPT OK\r\n"
        "2 123456789010 eni-1235b8ca 172.31.9.69 172.31.9.12 49761 3389 6 20 4249 1418530010 "
        "1418530070 REJECT OK\n";

    for (size_t step = 1; step < sizeof(text); step += 13) {
        CLEANUP(cloud_freep) struct cloud *c = read_all(CLOUD_AWS, text, step);
        struct sighting s = next(c);

        assert_ends(&s, "172.31.16.139", "172.31.16.21", 443);
        assert_int_equal(s.bytes_out, 2100);
        assert_int_equal(s.bytes_in, 4249);
        assert_int_equal(s.count, 1);
        assert_int_equal(s.first_ms, UINT64_C(1418530010000));
        assert_int_equal(s.last_ms, UINT64_C(1418530070000));
        assert_int_equal(s.verdict, VERDICT_ALLOW);
        assert_int_equal(s.origin, FLOW_AWS);
        assert_int_equal(s.marks, FLOW_GUESSED);
        s = next(c);
        assert_ends(&s, "172.31.9.69", "172.31.9.12", 3389);
        assert_int_equal(s.verdict, VERDICT_DENY);
        assert_int_equal(cloud_counts(c)->told, 3);
        assert_int_equal(cloud_counts(c)->malformed, 0);
        assert_string_equal(cloud_teller(c, 1), "eni-1235b8ca");
    }
}

static void a_first_line_says_which_fields_there_are_and_in_which_order(void **state)
{
    (void)state;
    CLEANUP(cloud_freep)
    struct cloud *c = read_text(
        CLOUD_AWS,
        "version vpc-id interface-id instance-id srcaddr dstaddr srcport dstport protocol "
        "tcp-flags "
        "type pkt-srcaddr pkt-dstaddr bytes start end action log-status flow-direction\n"
        "5 vpc-1 eni-2 - 10.0.0.62 10.0.0.220 50000 60000 6 18 IPv4 203.0.113.5 10.0.0.220 568 "
        "1566848875 1566848933 ACCEPT OK egress\n"
        "5 vpc-1 eni-2 - 10.0.0.62 10.0.0.220 80 60001 6 2 IPv4 - - 44 1566848875 1566848933 "
        "ACCEPT OK ingress\n");
    struct sighting s = next(c);

    assert_ends(&s, "10.0.0.220", "203.0.113.5", 50000); /* Who answered a SYN is the server. */
    assert_int_equal(s.bytes_in, 568);
    assert_int_equal(s.marks, 0);
    s = next(c);
    assert_ends(&s, "10.0.0.62", "10.0.0.220", 60001); /* Who sent the SYN is the client. */
    assert_int_equal(s.marks, 0);
}

static void lines_without_data_and_ipv6_and_icmp_are_told_apart(void **state)
{
    (void)state;
    CLEANUP(cloud_freep)
    struct cloud *c = read_text(
        CLOUD_AWS,
        "2 1 eni-1 - - - - - - - 1431280876 1431280934 - NODATA\n"
        "2 1 eni-1 - - - - - - - 1431280876 1431280934 - SKIPDATA\n"
        "\n"
        "2026-11-22T10:00:00.000Z 2 1 eni-1 2001:db8::1 2001:db8::2 34892 22 6 54 8855 1477913708 "
        "1477913820 ACCEPT OK\n"
        "2 1 eni-1 203.0.113.12 172.31.16.139 0 0 1 4 336 1432917027 1432917142 ACCEPT OK");
    struct sighting s = next(c);

    assert_int_equal(cloud_counts(c)->no_data, 1);
    assert_int_equal(cloud_counts(c)->skip_data, 1);
    assert_ends(&s, "2001:db8::1", "2001:db8::2", 22);
    s = next(c);
    assert_ends(&s, "203.0.113.12", "172.31.16.139", 8);
    assert_int_equal(s.protocol, IPPROTO_ICMP);
    assert_int_equal(s.marks, FLOW_GUESSED); /* AWS does not tell the type. */
}

static void what_is_wrong_is_told_with_its_place_and_left_out(void **state)
{
    (void)state;
    CLEANUP(cloud_freep)
    struct cloud *c = read_text(
        CLOUD_AWS, "2 1 eni-1 10.0.0.1 10.0.0.2 1 22 6 5 8 1477913708 1477913820 ACCEPT OK\n"
                   "2 1 eni-1 10.0.0.256 10.0.0.2 1 22 6 5 8 1477913708 1477913820 ACCEPT OK\n"
                   "2 1 eni-1 10.0.0.1 10.0.0.2 1 70000 6 5 8 1477913708 1477913820 ACCEPT OK\n"
                   "2 1 eni-1 10.0.0.1 10.0.0.2 1 22 6 5 8 1477913708 1477913820 MAYBE OK\n"
                   "2 1 eni-1 10.0.0.1\n"
                   "2 1 eni-1 10.0.0.3 10.0.0.2 1 22 6 5 8 1477913708 1477913820 ACCEPT OK\n");

    assert_int_equal(cloud_counts(c)->malformed, 4);
    assert_int_equal(cloud_counts(c)->told, 2);
    assert_problem(c, 0, 2, 11, "srcaddr: found \"10.0.0.256\"; expected an IPv4 or IPv6 address");
    assert_problem(c, 1, 3, 31, "dstport: found \"70000\"");
    assert_problem(c, 2, 4, 62, "action: found \"MAYBE\"; expected ACCEPT or REJECT");
    assert_problem(c, 3, 5, 19, "as many words");
}

/* ---- Azure ---- */

#define AZURE_HEAD                                                                                 \
    "{\"records\":[\n{\"time\":\"2018-11-13T12:00:35.3899262Z\",\"systemId\":\"a0fca5ce\","        \
    "\"category\":\"NetworkSecurityGroupFlowEvent\",\"resourceId\":\"/SUBSCRIPTIONS/0/"            \
    "RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.NETWORK/NETWORKSECURITYGROUPS/FABRIKAM-NSG\","          \
    "\"operationName\":\"NetworkSecurityGroupFlowEvents\",\"properties\":{\"Version\":2,"          \
    "\"flows\":[{\"rule\":\"DefaultRule_AllowInternetOutBound\",\"flows\":[{\"mac\":"              \
    "\"000D3AF87856\",\"flowTuples\":["
#define AZURE_TAIL "]}]}]}}\n]}"

static void a_connection_of_an_nsg_counts_once_from_begin_to_end(void **state)
{
    (void)state;
    static const char text[] =
        AZURE_HEAD "\"1542110437,10.0.0.4,125.56.204.140,44930,443,T,O,A,B,,,,\","
                   "\"1542110437,10.0.0.4,125.56.204.140,44930,443,T,O,A,C,10,1000,20,9000\","
                   "\"1542110442,10.0.0.4,125.56.204.140,44930,443,T,O,A,E,2,200,3,900\","
                   "\"1542110440,94.102.49.190,10.0.0.5,28746,443,U,I,D\"" AZURE_TAIL;

    for (size_t step = 1; step < sizeof(text); step += 97) {
        CLEANUP(cloud_freep) struct cloud *c = read_all(CLOUD_AZURE, text, step);
        struct sighting s = next(c);

        assert_ends(&s, "10.0.0.4", "125.56.204.140", 443);
        assert_int_equal(s.count, 1);
        assert_int_equal(s.bytes_out, 1200);
        assert_int_equal(s.bytes_in, 9900);
        assert_int_equal(s.marks, 0);
        assert_int_equal(s.origin, FLOW_AZURE);
        s = next(c);
        assert_ends(&s, "94.102.49.190", "10.0.0.5", 443);
        assert_int_equal(s.protocol, IPPROTO_UDP);
        assert_int_equal(s.verdict, VERDICT_DENY);
        assert_int_equal(s.count, 1);
        assert_string_equal(cloud_teller(c, 1), "FABRIKAM-NSG");
        assert_int_equal(cloud_counts(c)->malformed, 0);
    }
}

static void a_wrong_tuple_is_told_with_its_place(void **state)
{
    (void)state;
    CLEANUP(cloud_freep)
    struct cloud *c =
        read_text(CLOUD_AZURE, AZURE_HEAD "\"1542110437,10.0.0.4,1.2.3.4,44930,443,T,O,A,B,,,,\",\n"
                                          "\"1542110437,10.0.0.4,1.2.3.4,44930,443,X,O,A,B,,,,\",\n"
                                          "\"1542110437,10.0.0.4\", 7" AZURE_TAIL);

    assert_int_equal(cloud_counts(c)->told, 1);
    assert_int_equal(cloud_counts(c)->malformed, 3);
    assert_problem(c, 0, 3, 1, "T or U");
    assert_problem(c, 1, 4, 1, "8 words");
    assert_problem(c, 2, 2, 1, "a string");
}

static void records_of_other_azure_logs_are_counted_and_left_out(void **state)
{
    (void)state;
    CLEANUP(cloud_freep)
    struct cloud *c =
        read_text(CLOUD_AZURE, "{\"records\": [{\"category\": \"Other\"}, {\"x\": \"}]\\\"}\"}]}");

    assert_int_equal(cloud_counts(c)->other, 2);
    assert_int_equal(cloud_counts(c)->malformed, 0);
}

#define VNET_HEAD                                                                                  \
    "{\"records\":[{\"time\":\"2022-09-14T09:00:52.5625085Z\",\"flowLogVersion\":4,"               \
    "\"macAddress\":\"112233445566\",\"category\":\"FlowLogFlowEvent\",\"targetResourceID\":"      \
    "\"/subscriptions/0/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/shop\","     \
    "\"flowRecords\":{\"flows\":[{\"aclID\":\"0-1\",\"flowGroups\":[{\"rule\":\"r\","              \
    "\"flowTuples\":["
#define VNET_TAIL "]}]}]}}]}"

static void a_connection_of_a_virtual_network_counts_once_for_each_interface(void **state)
{
    (void)state;
    CLEANUP(cloud_freep)
    struct cloud *c =
        read_text(CLOUD_AZURE, VNET_HEAD
                  "\"1663146003599,10.0.0.6,52.239.184.180,23956,443,6,O,B,NX,0,0,0,0\","
                  "\"1663146003606,10.0.0.6,52.239.184.180,23956,443,6,O,E,NX,3,767,2,1580\","
                  "\"1663146003637,203.0.113.17,10.0.0.6,22730,53,17,I,D,NX,0,0,0,0\"" VNET_TAIL);
    struct sighting s = next(c);

    assert_ends(&s, "10.0.0.6", "52.239.184.180", 443);
    assert_int_equal(s.count, 1);
    assert_int_equal(s.bytes_out, 767);
    assert_int_equal(s.bytes_in, 1580);
    assert_int_equal(s.first_ms, 1663146003599);
    assert_int_equal(s.verdict, VERDICT_ALLOW);
    s = next(c);
    assert_ends(&s, "203.0.113.17", "10.0.0.6", 53);
    assert_int_equal(s.protocol, IPPROTO_UDP);
    assert_int_equal(s.verdict, VERDICT_DENY);
    assert_int_equal(s.count, 1);
    assert_string_equal(cloud_teller(c, 1), "shop/112233445566");
    assert_int_equal(cloud_counts(c)->malformed, 0);
}

static void a_wrong_tuple_of_a_virtual_network_says_what_was_expected(void **state)
{
    (void)state;
    static const struct {
        const char *tuple, *expected;
    } wrong[] = {
        {"1663146003599,10.0.0.6,1.2.3.4,1,443,6,O,B", "13 words"},
        {"soon,10.0.0.6,1.2.3.4,1,443,6,O,B,NX,0,0,0,0", "milliseconds"},
        {"1663146003599,10.0.0.6,1.2.3.4,1,443,T,O,B,NX,0,0,0,0", "a protocol's number"},
        {"1663146003599,10.0.0.6,1.2.3.4,1,443,6,O,A,NX,0,0,0,0", "B, C, E or D"},
        {"1663146003599,10.0.0.6,1.2.3.4,1,443,6,O,,NX,0,0,0,0", "B, C, E or D"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        CLEANUP(buf_done) struct buf text = BUF_INIT;
        struct cloud *c;

        buf_printf(&text, "%s\"%s\"%s", VNET_HEAD, wrong[i].tuple, VNET_TAIL);
        c = read_text(CLOUD_AZURE, buf_str(&text));
        assert_int_equal(cloud_counts(c)->malformed, 1);
        assert_problem(c, 0, 1, strstr(buf_str(&text), wrong[i].tuple) - buf_str(&text),
                       wrong[i].expected);
        cloud_free(c);
    }
}

/* ---- GCP ---- */

#define GCP_ENTRY                                                                                  \
    "{\"insertId\":\"1\",\"jsonPayload\":{\"bytes_sent\":\"1776\",\"connection\":{\"dest_ip\":"    \
    "\"10.240.0.3\",\"dest_port\":5432,\"protocol\":6,\"src_ip\":\"10.240.0.2\",\"src_port\":"     \
    "41000},\"end_time\":\"2026-11-22T10:00:05.123456789Z\",\"reporter\":\"SRC\",\"src_"           \
    "instance\":"                                                                                  \
    "{\"vm_name\":\"shop-1\"},\"start_time\":\"2026-11-22T10:00:01.000Z\"},\"logName\":"           \
    "\"projects/p/logs/compute.googleapis.com%2Fvpc_flows\"}"

static void entries_come_one_a_line_or_in_an_array(void **state)
{
    (void)state;
    static const char *const texts[] = {GCP_ENTRY "\n", "[\n  " GCP_ENTRY "\n]\n",
                                        GCP_ENTRY "\n{\"textPayload\":\"hello\"}\n"};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        CLEANUP(cloud_freep) struct cloud *c = read_text(CLOUD_GCP, texts[i]);
        struct sighting s = next(c);

        assert_ends(&s, "10.240.0.2", "10.240.0.3", 5432);
        assert_int_equal(s.bytes_out, 1776);
        assert_int_equal(s.last_ms - s.first_ms, 4000);
        assert_int_equal(s.marks, FLOW_ESTIMATED | FLOW_GUESSED);
        assert_int_equal(s.origin, FLOW_GCP);
        assert_string_equal(cloud_teller(c, 1), "shop-1");
        assert_int_equal(cloud_counts(c)->other, i == 2);
        assert_int_equal(cloud_counts(c)->malformed, 0);
    }
}

static void a_firewall_log_says_who_asked_and_what_was_denied(void **state)
{
    (void)state;
    CLEANUP(cloud_freep)
    struct cloud *c = read_text(
        CLOUD_GCP, "{\"timestamp\":\"2026-11-22T10:00:01Z\",\"jsonPayload\":{\"disposition\":"
                   "\"DENIED\",\"connection\":{\"dest_ip\":\"10.0.0.9\",\"dest_port\":60000,"
                   "\"protocol\":17,\"src_ip\":\"10.0.0.8\",\"src_port\":53},\"instance\":{"
                   "\"vm_name\":\"dns-1\"}}}\n"
                   "{\"jsonPayload\":{\"connection\":{\"src_ip\":\"x\"}}}\n{\"a\":}\n");
    struct sighting s = next(c);

    assert_ends(&s, "10.0.0.8", "10.0.0.9", 60000);
    assert_int_equal(s.verdict, VERDICT_DENY);
    assert_int_equal(s.marks, 0);
    assert_int_equal(cloud_counts(c)->malformed, 2);
    assert_problem(c, 0, 2, 1, "src_ip and dest_ip");
    assert_problem(c, 1, 3, 6, "an object of JSON");
}

static void a_file_that_ends_early_or_is_no_such_file_says_so(void **state)
{
    (void)state;
    CLEANUP(cloud_freep) struct cloud *cut = read_text(CLOUD_GCP, "{\"a\": [1");
    CLEANUP(cloud_freep) struct cloud *text = read_text(CLOUD_AZURE, "2 1 eni-1 - - -");

    assert_problem(cut, 0, 1, 1, "the file ends inside of an entry");
    assert_problem(text, 0, 1, 1, "found \"2\"; expected objects of JSON");
}

static void more_connections_than_are_held_come_out_nevertheless(void **state)
{
    (void)state;
    CLEANUP(cloud_freep) struct cloud *c = cloud_new(CLOUD_AWS);
    struct sighting s;
    uint32_t teller;
    size_t n = 0;

    for (uint32_t i = 0; i < CLOUD_HELD + 1000; i++) {
        CLEANUP(buf_done) struct buf b = BUF_INIT;

        buf_printf(&b,
                   "2 1 eni-1 10.%u.%u.1 10.0.0.2 40000 22 6 5 8 1477913708 1477913820 ACCEPT OK\n",
                   i >> 8, i & 255);
        cloud_feed(c, b.data, b.size);
        while (cloud_next(c, &s, &teller))
            n++;
    }
    assert_int_equal(n, 1000);
    cloud_end(c);
    while (cloud_next(c, &s, &teller))
        n++;
    assert_int_equal(n, CLOUD_HELD + 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_directions_of_an_interface_are_one_connection),
        cmocka_unit_test(a_first_line_says_which_fields_there_are_and_in_which_order),
        cmocka_unit_test(lines_without_data_and_ipv6_and_icmp_are_told_apart),
        cmocka_unit_test(what_is_wrong_is_told_with_its_place_and_left_out),
        cmocka_unit_test(a_connection_of_an_nsg_counts_once_from_begin_to_end),
        cmocka_unit_test(a_wrong_tuple_is_told_with_its_place),
        cmocka_unit_test(records_of_other_azure_logs_are_counted_and_left_out),
        cmocka_unit_test(a_connection_of_a_virtual_network_counts_once_for_each_interface),
        cmocka_unit_test(a_wrong_tuple_of_a_virtual_network_says_what_was_expected),
        cmocka_unit_test(entries_come_one_a_line_or_in_an_array),
        cmocka_unit_test(a_firewall_log_says_who_asked_and_what_was_denied),
        cmocka_unit_test(a_file_that_ends_early_or_is_no_such_file_says_so),
        cmocka_unit_test(more_connections_than_are_held_come_out_nevertheless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
