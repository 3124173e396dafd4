/* SPDX-License-Identifier: Apache-2.0 */
/* Table after table; see program_json.h. */
#include "cli/program_json.h"

#include "text/json.h"

static void add_entries(struct buf *b, const struct program *p)
{
    static const char *const words[] = {"deny", "allow", "default"};
    static const char *const suspects[] = {"none", "source", "destination"};

    buf_puts(b, ",\"entries\":[");
    for (size_t i = 0; i < p->n_entries; i++) {
        const struct program_entry *e = &p->entries[i];

        buf_printf(b,
                   "%s\n{\"remote\":%u,\"direction\":\"%s\",\"suspect\":\"%s\",\"service\":%u,"
                   "\"process\":%u,\"user\":%u,\"word\":\"%s\",\"layer\":\"%s\",\"refine\":%u,"
                   "\"rule\":%u}",
                   i ? "," : "", e->remote, e->direction == DIRECTION_OUT ? "out" : "in",
                   suspects[e->suspect], e->service, e->process, e->user, words[e->word],
                   layer_name((enum layer)e->layer), e->refine, e->rule);
    }
    buf_puts(b, "]");
}

static void add_addresses(struct buf *b, const struct program *p)
{
    char text[ADDRESS_TEXT_SIZE];

    buf_puts(b, ",\"addresses\":[");
    for (size_t i = 0; i < p->n_addresses; i++) {
        const struct program_address *a = &p->addresses[i];

        buf_printf(b,
                   "%s\n{\"address\":\"%s\",\"identity\":%u,\"mode\":\"%s\",\"trust\":\"%s\","
                   "\"self\":%s}",
                   i ? "," : "", address_format_prefix(&a->address, a->length, text), a->identity,
                   mode_name((enum mode)a->mode), trust_name((enum trust)a->trust),
                   a->self ? "true" : "false");
    }
    buf_puts(b, "]");
}

static void add_classes(struct buf *b, const struct program *p)
{
    buf_puts(b, ",\"services\":[");
    for (size_t i = 0; i < p->n_services; i++)
        buf_printf(b, "%s\n{\"protocol\":%u,\"low\":%u,\"high\":%u,\"class\":%u}", i ? "," : "",
                   p->services[i].protocol, p->services[i].low, p->services[i].high,
                   p->services[i].class);
    buf_puts(b, "],\"processes\":[");
    for (size_t i = 0; i < p->n_processes; i++) {
        buf_printf(b, "%s\n{\"class\":%u,\"path\":", i ? "," : "", p->processes[i].class);
        json_quote(b, p->processes[i].path);
        buf_puts(b, "}");
    }
    buf_puts(b, "],\"users\":[");
    for (size_t i = 0; i < p->n_users; i++)
        buf_printf(b, "%s\n{\"class\":%u,\"name\":\"%s\"}", i ? "," : "", p->users[i].class,
                   p->users[i].name);
    buf_puts(b, "],\"rules\":[");
    for (size_t i = 0; i < p->n_rules; i++)
        buf_printf(b, "%s\"%s\"", i ? "," : "", p->rules[i].id);
    buf_puts(b, "]");
}

void program_json(struct buf *b, const struct program *p)
{
    char text[ADDRESS_TEXT_SIZE];

    buf_printf(b,
               "{\"revision\":%llu,\"endpoint\":\"%s\",\"identity\":%u,\"mode\":\"%s\","
               "\"trust\":\"%s\",\"lifeline\":[",
               (unsigned long long)p->revision, p->endpoint, p->identity, mode_name(p->mode),
               trust_name(p->trust));
    for (size_t i = 0; i < p->n_lifeline; i++)
        buf_printf(b, "%s{\"address\":\"%s\",\"protocol\":%u,\"port\":%u}", i ? "," : "",
                   address_format(&p->lifeline[i].address, text), p->lifeline[i].protocol,
                   p->lifeline[i].port);
    buf_puts(b, "]");
    add_entries(b, p);
    add_addresses(b, p);
    add_classes(b, p);
    buf_puts(b, "}");
}
