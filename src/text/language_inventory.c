/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of inventories; see language.h. */
#include "core/model.h"
#include "text/fields.h"
#include "text/language.h"

static const char *const states[] = {"white", "grey", "black", NULL};
static const char *const enforcers[] = {"host", "edge", "nft", "switch", "none", NULL};
static const char *const reserved[] = {"any", NULL};

static const struct field label_value = {
    WORD("labels", raw_label, value, GRAMMAR_VALUE),
    .expected = "the label's value",
    .about = "The label's value.",
};
static const struct schema label_schema = {
    .title = "a label", .size = sizeof(struct raw_label), .brief = &label_value};

static const char *const before[] = {"closed", "open", NULL};
static const char *const refuse[] = {"drop", "reset", "exception", NULL};
static const char *const learn[] = {"dhcp", NULL};
static const char *const may[] = {"serve-dhcp", "route", NULL};

static const struct field edge_fields[] = {
    {WORD("agent", raw_edge, agent, GRAMMAR_REF), .required = true,
     .expected = "an endpoint of the inventory",
     .about = "The endpoint whose agent stands outside this one."},
    {WORD("port", raw_edge, port, GRAMMAR_INTERFACE), .required = true,
     .expected = "the name of a network interface",
     .about = "The interface of that machine on which this one hangs."},
    {WORD("pair", raw_edge, pair, GRAMMAR_INTERFACE), .expected = "the name of a network interface",
     .about = "In line before a device: the other interface of that machine, on the network's "
              "side. The agent joins the two to one wire."},
    {WORDS("macs", raw_edge, macs, GRAMMAR_MAC), .required = true,
     .expected = "a MAC address, or a list of them", .about = "The MAC addresses it may use."},
    {CHOICE("before", raw_edge, before, before),
     .about = "What passes until the first policy is there: nothing (`closed`, when absent), or "
              "everything (`open`: for a device that must not stop)."},
    {CHOICE("refuse", raw_edge, refuse, refuse),
     .about = "What the client hears of a request for a protocol function that is denied at this "
              "port: nothing (`drop`, when absent), a TCP reset, or the protocol's exception; the "
              "last two end the connection."},
    {CHOICE("learn", raw_edge, learn, learn),
     .about = "`dhcp`: addresses that an authorised DHCP server leases to one of its MACs are its "
              "own at this port, for the time of the lease, beside those of `addresses`."},
    {WORDS("may", raw_edge, may, GRAMMAR_ANY), .choices = may, .may_be_empty = true,
     .expected = "serve-dhcp, route, or both",
     .about =
         "What no guest may do that is not listed: answer DHCP requests, advertise itself as a "
         "router."},
};
static const struct schema edge_schema = {.title = "a place at an edge",
                                          .size = sizeof(struct raw_edge),
                                          FIELDS(edge_fields),
                                          .about = "Where an endpoint hangs on an edge enforcer."};

static const struct field switch_fields[] = {
    {WORD("name", raw_switch, name, GRAMMAR_NAME), .required = true, .expected = "a switch's name",
     .about = "The switch, by the name that `export acl --at` takes."},
    {WORD("port", raw_switch, port, GRAMMAR_PORT_NAME), .required = true,
     .expected = "a port as the switch names it, like Gi1/0/7",
     .about = "Its port, as the switch names it: letters, digits, `/`, `.`, `:` and `-`."},
};
static const struct schema switch_schema = {
    .title = "a switch port",
    SCHEMA(raw_switch, switch_fields),
    .about = "Where an endpoint hangs; several may hang at one port."};

static const struct field endpoint_fields[] = {
    {MAP("labels", raw_endpoint, labels, GRAMMAR_NAME, &label_schema), .may_be_empty = true,
     .expected = "labels, {key: value}", .about = "What groups select by."},
    {WORDS("addresses", raw_endpoint, addresses, GRAMMAR_ADDRESS), .may_be_empty = true,
     .expected = "an address, or a list of addresses",
     .about = "IPv4 and IPv6 addresses; each belongs to one endpoint."},
    {WORDS("enforcers", raw_endpoint, enforcers, GRAMMAR_ANY), .choices = enforcers,
     .may_be_empty = true, .expected = "host, edge, nft, switch, a list of them, or none",
     .about = "Who can check what there: `host` names, ports, programs and users; `edge` names, "
              "ports and protocol functions; `nft` and `switch` names and ports."},
    {CHOICE("state", raw_endpoint, state, states),
     .about = "Trust: `white` when absent; quarantine acts on `black`."},
    {OBJECT("edge", raw_endpoint, edge, &edge_schema),
     .about = "Where its edge enforcer is; goes with `edge` in `enforcers`."},
    {OBJECT("switch", raw_endpoint, at_switch, &switch_schema),
     .about = "The switch and port where it hangs, for `suimitsu export acl`."},
};
static const struct schema endpoint_schema = {
    .title = "an endpoint", SCHEMA(raw_endpoint, endpoint_fields), .about = "A machine, by name."};

static const struct field user_fields[] = {
    {WORDS("groups", raw_user, groups, GRAMMAR_NAME), .may_be_empty = true,
     .expected = "a user group, or a list of them",
     .about = "The user groups that `\"@group\"` means in rules."},
};
static const struct schema user_schema = {
    .title = "a user", SCHEMA(raw_user, user_fields), .about = "A person, by login name."};

static const struct field inventory_fields[] = {
    {NUMBER("suimitsu-inventory", raw_inventory, version, 1, 1), .required = true,
     .expected = "1, the version of the language", .about = "The version of the language: 1."},
    {MAP("endpoints", raw_inventory, endpoints, GRAMMAR_REF, &endpoint_schema),
     .may_be_empty = true, .reserved = reserved, .about = "The machines."},
    {MAP("users", raw_inventory, users, GRAMMAR_USER, &user_schema), .may_be_empty = true,
     .about = "The people."},
};
const struct schema inventory_schema = {.title = "an inventory",
                                        .size = sizeof(struct raw_inventory),
                                        FIELDS(inventory_fields),
                                        .block = true,
                                        .about = "Who is there: endpoints and users."};
