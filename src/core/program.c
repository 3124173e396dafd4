/* SPDX-License-Identifier: Apache-2.0 */
/* Sorted tables and binary search; see program.h. */
#include "core/program.h"

#include <errno.h>
#include <netinet/in.h>

struct program *program_new(void)
{
    return xcalloc(1, sizeof(struct program));
}

void program_free(struct program *p)
{
    if (!p)
        return;
    free(p->entries);
    free(p->addresses);
    free(p->services);
    free(p->processes);
    free(p->users);
    free(p->rules);
    free(p);
}

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

int program_entry_compare(const struct program_entry *a, const struct program_entry *b)
{
    int c = COMPARE(a->remote, b->remote);

    if (!c)
        c = COMPARE(a->direction, b->direction);
    if (!c)
        c = COMPARE(a->suspect, b->suspect);
    if (!c)
        c = COMPARE(a->service, b->service);
    if (!c)
        c = COMPARE(a->process, b->process);
    if (!c)
        c = COMPARE(a->user, b->user);
    return c;
}

static int by_entry(const void *a, const void *b)
{
    return program_entry_compare(a, b);
}

static int by_address(const void *a_, const void *b_)
{
    const struct program_address *a = a_, *b = b_;
    int c = address_compare(&a->address, &b->address);

    return c ? c : COMPARE(a->length, b->length);
}

static int by_service(const void *a_, const void *b_)
{
    const struct program_service *a = a_, *b = b_;
    int c = COMPARE(a->protocol, b->protocol);

    return c ? c : COMPARE(a->low, b->low);
}

static int by_path(const void *a_, const void *b_)
{
    const struct program_process *a = a_, *b = b_;

    return strcmp(a->path, b->path);
}

static int by_user(const void *a_, const void *b_)
{
    const struct program_user *a = a_, *b = b_;

    return strcmp(a->name, b->name);
}

static bool unique(const void *table, size_t n, size_t size,
                   int (*compare)(const void *, const void *))
{
    const char *p = table;

    for (size_t i = 1; i < n; i++)
        if (compare(p + (i - 1) * size, p + i * size) == 0)
            return false;
    return true;
}

static bool terminated(const char *s, size_t size)
{
    return memchr(s, 0, size) != NULL;
}

static const char *check_entries(const struct program *p)
{
    for (size_t i = 0; i < p->n_entries; i++) {
        const struct program_entry *e = &p->entries[i];

        if (e->direction > DIRECTION_IN || e->suspect > SUSPECT_DESTINATION)
            return "an entry's direction or suspect";
        if (e->word > PROGRAM_DEFAULT || e->layer > LAYER_DEFAULT)
            return "an entry's word or layer";
        if (e->refine > (REFINE_PROCESS | REFINE_USER | REFINE_FUNCTION) ||
            (e->refine && (e->process || e->user)))
            return "an entry's refinement";
        if (e->rule > p->n_rules)
            return "an entry's rule number";
    }
    return unique(p->entries, p->n_entries, sizeof *p->entries, by_entry) ? NULL
                                                                          : "a repeated entry";
}

static const char *check_addresses(const struct program *p)
{
    for (size_t i = 0; i < p->n_addresses; i++) {
        const struct program_address *a = &p->addresses[i];

        if (a->length > 128 || a->mode > MODE_ENFORCE || a->trust > TRUST_BLACK)
            return "an address's length, mode or trust";
        for (unsigned bit = a->length; bit < 128; bit++)
            if (a->address.bytes[bit / 8] & (0x80u >> (bit % 8)))
                return "an address with host bits";
    }
    return unique(p->addresses, p->n_addresses, sizeof *p->addresses, by_address)
               ? NULL
               : "a repeated address";
}

static const char *check_services(const struct program *p)
{
    for (size_t i = 0; i < p->n_services; i++) {
        const struct program_service *s = &p->services[i];

        if (s->protocol != IPPROTO_TCP && s->protocol != IPPROTO_UDP && s->protocol != IPPROTO_ICMP)
            return "a service's protocol";
        if (s->low > s->high || (s->protocol == IPPROTO_ICMP && s->high > 255))
            return "a service's range";
        if (i > 0 && s[-1].protocol == s->protocol && s[-1].high >= s->low)
            return "overlapping services";
    }
    return NULL;
}

static const char *check_names(const struct program *p)
{
    for (size_t i = 0; i < p->n_processes; i++)
        if (!terminated(p->processes[i].path, PROGRAM_PATH_SIZE) ||
            p->processes[i].path[0] != '/' || !p->processes[i].class)
            return "a process's path or class";
    for (size_t i = 0; i < p->n_users; i++)
        if (!terminated(p->users[i].name, PROGRAM_NAME_SIZE) || !p->users[i].name[0] ||
            !p->users[i].class)
            return "a user's name or class";
    for (size_t i = 0; i < p->n_rules; i++)
        if (!terminated(p->rules[i].id, PROGRAM_NAME_SIZE))
            return "a rule's id";
    if (!terminated(p->endpoint, PROGRAM_NAME_SIZE))
        return "the endpoint's name";
    if (!unique(p->processes, p->n_processes, sizeof *p->processes, by_path))
        return "a repeated process";
    return unique(p->users, p->n_users, sizeof *p->users, by_user) ? NULL : "a repeated user";
}

/* What comes from the compiler, and mostly what comes by wire, is in order: seeing that is a small
 * part of sorting it again. */
static void sort(void *table, size_t n, size_t size, int (*compare)(const void *, const void *))
{
    const char *rows = table;
    size_t i = 1;

    while (i < n && compare(rows + (i - 1) * size, rows + i * size) <= 0)
        i++;
    if (i < n)
        qsort(table, n, size, compare);
}

int program_check(struct program *p, const char **ret_what)
{
    const char *what = NULL;

    *ret_what = "the size of a table";
    if (p->n_entries > PROGRAM_MAX_ENTRIES || p->n_addresses > PROGRAM_MAX_ADDRESSES ||
        p->n_services > PROGRAM_MAX_SERVICES || p->n_processes > PROGRAM_MAX_PROCESSES ||
        p->n_users > PROGRAM_MAX_USERS || p->n_rules > PROGRAM_MAX_RULES ||
        p->n_lifeline > PROGRAM_MAX_LIFELINE)
        return -E2BIG;

    if (p->mode > MODE_ENFORCE || p->trust > TRUST_BLACK)
        what = "the endpoint's mode or trust";
    if (!what) {
        sort(p->entries, p->n_entries, sizeof *p->entries, by_entry);
        what = check_entries(p);
    }
    if (!what) {
        sort(p->addresses, p->n_addresses, sizeof *p->addresses, by_address);
        what = check_addresses(p);
    }
    if (!what) {
        sort(p->services, p->n_services, sizeof *p->services, by_service);
        what = check_services(p);
    }
    if (!what) {
        sort(p->processes, p->n_processes, sizeof *p->processes, by_path);
        sort(p->users, p->n_users, sizeof *p->users, by_user);
        what = check_names(p);
    }
    *ret_what = what ? what : "";
    return what ? -EINVAL : 0;
}

/* The last row, in their order, that is not behind the key; NULL: none. */
static const struct program_address *last_up_to(const struct program *p,
                                                const struct program_address *key)
{
    size_t low = 0, high = p->n_addresses;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (by_address(&p->addresses[middle], key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? &p->addresses[low - 1] : NULL;
}

/* Cuts 'key' to the bits that 'a' has in common with it. */
static void cut_to_common(struct program_address *key, const struct address *a)
{
    size_t i = 0;
    unsigned bits = 0;

    while (i < sizeof(a->bytes) && key->address.bytes[i] == a->bytes[i])
        i++;
    if (i == sizeof(a->bytes))
        return;
    while (!((key->address.bytes[i] ^ a->bytes[i]) & (0x80u >> bits)))
        bits++;
    key->length = (uint8_t)(8 * i + bits);
    key->address.bytes[i] &= (uint8_t) ~(0xffu >> bits);
    memset(key->address.bytes + i + 1, 0, sizeof(a->bytes) - i - 1);
}

/* Longest prefix.  Prefixes that hold the address are nested, and the longest is the last of them.
 * What lies between them and it in the order holds at least as much in common with it as they do:
 * whatever row is found that does not hold the address says how long a prefix still can be. */
static const struct program_address *find_address(const struct program *p, const struct address *a)
{
    struct program_address key = {.address = *a, .length = 128};

    for (;;) {
        const struct program_address *row = last_up_to(p, &key);

        if (!row || address_in_prefix(a, &row->address, row->length))
            return row;
        cut_to_common(&key, &row->address);
    }
}

static int in_service(const void *a_, const void *b_)
{
    const struct program_service *key = a_, *s = b_;

    if (key->protocol != s->protocol)
        return COMPARE(key->protocol, s->protocol);
    return key->low < s->low ? -1 : key->low > s->high ? 1 : 0;
}

static uint16_t service_class(const struct program *p, uint8_t protocol, uint16_t port)
{
    const struct program_service key = {.protocol = protocol, .low = port}, *s = NULL;

    if (p->n_services) /* Sorted, and the ranges are disjoint. */
        s = bsearch(&key, p->services, p->n_services, sizeof *p->services, in_service);
    return s ? s->class : 0;
}

uint16_t program_process_class(const struct program *p, const char *path)
{
    size_t low = 0, high = path ? p->n_processes : 0;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int c = strcmp(p->processes[middle].path, path);

        if (c == 0)
            return p->processes[middle].class;
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}

static uint16_t user_class(const struct program *p, const char *name)
{
    for (size_t i = 0; name && i < p->n_users; i++)
        if (strcmp(p->users[i].name, name) == 0)
            return p->users[i].class;
    return 0;
}

static const struct program_entry *find_entry(const struct program *p, struct program_entry key)
{
    if (!p->n_entries)
        return NULL;
    return bsearch(&key, p->entries, p->n_entries, sizeof *p->entries, by_entry);
}

static const struct program_entry *refine(const struct program *p, const struct program_entry *base,
                                          uint16_t process, uint16_t user)
{
    const struct program_entry *e = NULL;
    struct program_entry key = *base;

    if (!(base->refine & REFINE_PROCESS))
        process = 0;
    if (!(base->refine & REFINE_USER))
        user = 0;
    key.process = process;
    key.user = user;
    if (process && user)
        e = find_entry(p, key);
    if (!e && process) {
        key.user = 0;
        e = find_entry(p, key);
    }
    if (!e && user) {
        key.process = 0;
        key.user = user;
        e = find_entry(p, key);
    }
    return e ? e : base;
}

/* What a base says of one protocol function. */
static const struct program_entry *
refine_function(const struct program *p, const struct program_entry *base, uint8_t function)
{
    const struct program_entry *e;
    struct program_entry key = *base;

    key.process = PROGRAM_FUNCTION | function;
    e = find_entry(p, key);
    if (!e) {
        key.process = PROGRAM_FUNCTION;
        e = find_entry(p, key);
    }
    return e ? e : base;
}

static bool on_lifeline(const struct program *p, const struct program_query *q,
                        const struct program_address *remote)
{
    if (remote && remote->self)
        return true;
    for (size_t i = 0; i < p->n_lifeline; i++) {
        const struct program_lifeline *l = &p->lifeline[i];
        const struct program_address *here;

        if (q->protocol != l->protocol || q->port != l->port)
            continue;
        if (q->direction == DIRECTION_OUT && address_compare(&q->remote, &l->address) == 0)
            return true;
        here = q->direction == DIRECTION_IN ? find_address(p, &l->address) : NULL;
        if (here && here->self) /* The controller is here. */
            return true;
    }
    return false;
}

static enum suspect suspect_of(const struct program *p, enum direction direction, enum trust remote)
{
    if (p->trust == TRUST_BLACK)
        return direction == DIRECTION_OUT ? SUSPECT_SOURCE : SUSPECT_DESTINATION;
    if (remote == TRUST_BLACK)
        return direction == DIRECTION_OUT ? SUSPECT_DESTINATION : SUSPECT_SOURCE;
    return SUSPECT_NONE;
}

struct program_answer program_judge_row(const struct program *p, const struct program_query *q,
                                        const struct program_address *remote)
{
    struct program_answer answer = {.verdict = VERDICT_DENY, .layer = LAYER_DEFAULT};
    struct program_entry key = {.direction = (uint8_t)q->direction};
    enum trust remote_trust = remote ? (enum trust)remote->trust : TRUST_WHITE;
    const struct program_entry *e;

    answer.mode = p->mode;
    if (remote && remote->mode > answer.mode)
        answer.mode = (enum mode)remote->mode;
    if (on_lifeline(p, q, remote)) {
        answer.verdict = VERDICT_ALLOW;
        answer.layer = LAYER_LIFELINE;
        return answer;
    }

    key.suspect = (uint8_t)suspect_of(p, q->direction, remote_trust);
    if (key.suspect)
        answer.layer = LAYER_QUARANTINE;
    if (p->trust == TRUST_BLACK && remote_trust == TRUST_BLACK)
        return answer;

    key.remote = remote ? remote->identity : 0;
    key.service = service_class(p, q->protocol, q->port);
    e = find_entry(p, key);
    if (!e && key.service) {
        key.service = 0;
        e = find_entry(p, key);
    }
    if (e && q->function && (e->refine & REFINE_FUNCTION))
        e = refine_function(p, e, q->function);
    else if (e)
        e = refine(p, e, program_process_class(p, q->process),
                   q->direction == DIRECTION_OUT ? user_class(p, q->user) : 0);
    if (e && e->word != PROGRAM_DEFAULT) {
        answer.verdict = e->word == PROGRAM_ALLOW ? VERDICT_ALLOW : VERDICT_DENY;
        answer.layer = (enum layer)e->layer;
        answer.rule = e->rule;
    } else if (!key.suspect && answer.mode < MODE_ENFORCE) {
        answer.verdict = VERDICT_WOULD_DENY;
    }
    return answer;
}

struct program_answer program_judge(const struct program *p, const struct program_query *q)
{
    return program_judge_row(p, q, find_address(p, &q->remote));
}

const char *layer_name(enum layer layer)
{
    static const char *const names[] = {"lifeline", "quarantine", "glass",
                                        "never",    "allow",      "default"};

    return names[layer];
}

const char *verdict_name(enum verdict verdict)
{
    static const char *const names[] = {"deny", "allow", "would-deny"};

    return names[verdict];
}

const char *mode_name(enum mode mode)
{
    static const char *const names[] = {"none", "learn", "test", "enforce"};

    return names[mode];
}

const char *trust_name(enum trust trust)
{
    static const char *const names[] = {"white", "grey", "black"};

    return names[trust];
}
