/* SPDX-License-Identifier: Apache-2.0 */
/* history.c - flow records stored and asked, at a wanted size, for any kind of history
 *
 *     history store WHERE RECORDS [ENDPOINTS [BATCH]]
 *     history fill WHERE RECORDS          ClickHouse only: bulk.h
 *     history ask WHERE [REPEATS [CACHE_MIB [PID]]]
 *
 * The flows are those of an enterprise that lives (enterprise.c in small): each endpoint has habits
 * - a server, a port, a program, a user, a rule - of which few are busy and most are rare; working
 * hours are busier than nights; each flow is told by both its ends; one in a hundred is a
 * stranger's attempt.  2,315 records a minute for 10,000 endpoints: 100 million in thirty days.
 *
 * "store" prints records a CPU-second and bytes a record; what the generator itself uses is
 * measured by its thread's clock and taken off.  It ends when all records are where they are kept:
 * ClickHouse has confirmed them.  "ask" prints wall and CPU milliseconds of the questions, the
 * median of the repeats, the first of them apart; how many lines and connections they answer, which
 * is the same of every kind; the CPU time of the process PID, a server that is asked, is added. */
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "base/number.h"
#include "base/table.h"
#include "bench/bulk.h"
#include "core/program.h"
#include "core/verdict.h"
#include "store/history.h"
#include "store/history/clickhouse.h"

enum {
    HABITS = 20, /* Of an endpoint. */
    SERVER_SHARE = 20,
    PROGRAMS = 300,
    USERS = 2000,
    RULES = 400,
    PORTS = 40,
    SYNC_EVERY = 16384, /* Records: about what a busy controller commits at once. */
    STREAMS = 512,
    ENDPOINTS = 10000,
};

static const uint64_t start_ms = UINT64_C(1793750400000);
static const double records_a_minute = 0.2315; /* An endpoint. */

struct habit {
    uint32_t from, to;
    uint16_t port, program, server_program, user, rule;
    float bytes_out, bytes_in, span_ms;
    uint32_t minute; /* When it was last drawn: one record a minute. */
};

struct company {
    uint64_t random;
    uint32_t endpoints;
    struct habit *habits;
    size_t n_habits;
    double *chances; /* Alias method, Vose 1991. */
    uint32_t *alias;
    text_t *names, programs[PROGRAMS], users[USERS], rules[RULES];
};

static double seconds_of(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Of this process, and of the server that it asks. */
static double cpu_seconds_with(pid_t server)
{
    double seconds = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    clockid_t clock;

    return server && clock_getcpuclockid(server, &clock) == 0 ? seconds + seconds_of(clock)
                                                              : seconds;
}

static uint64_t draw(struct company *c)
{
    c->random ^= c->random << 13;
    c->random ^= c->random >> 7;
    c->random ^= c->random << 17;
    return c->random;
}

static uint32_t below(struct company *c, uint32_t n)
{
    return (uint32_t)((draw(c) >> 32) * n >> 32);
}

static double uniform(struct company *c)
{
    return (double)(draw(c) >> 11) / 9007199254740992.0;
}

/* About normal: twelve uniform ones. */
static double normal(struct company *c)
{
    double sum = -6;

    for (int i = 0; i < 12; i++)
        sum += uniform(c);
    return sum;
}

static text_t text(struct history *h, const char *before, unsigned n, const char *after)
{
    char name[64];
    int len = snprintf(name, sizeof(name), "%s%05u%s", before, n, after);

    return history_text(h, name, (size_t)len);
}

/* ---- the company ---- */

static void make_alias(struct company *c, double *weights)
{
    size_t n = c->n_habits, n_small = 0, n_large = 0;
    uint32_t *small = xcalloc(n, sizeof(*small)), *large = xcalloc(n, sizeof(*large));
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += weights[i];
    for (uint32_t i = 0; i < n; i++) {
        c->chances[i] = weights[i] * (double)n / sum;
        if (c->chances[i] < 1)
            small[n_small++] = i;
        else
            large[n_large++] = i;
    }
    while (n_small && n_large) {
        uint32_t s = small[--n_small], l = large[n_large - 1];

        c->alias[s] = l;
        c->chances[l] -= 1 - c->chances[s];
        if (c->chances[l] < 1) {
            small[n_small++] = l;
            n_large--;
        }
    }
    while (n_small)
        c->chances[small[--n_small]] = 1;
    free(small);
    free(large);
}

static void make_habits(struct company *c)
{
    double *weights = xcalloc(c->n_habits, sizeof(*weights));
    uint32_t n_servers = c->endpoints / SERVER_SHARE + 1;

    for (size_t i = 0; i < c->n_habits; i++) {
        struct habit *x = &c->habits[i];
        double skew = uniform(c);

        x->from = (uint32_t)(i / HABITS);
        x->to = (uint32_t)(skew * skew * skew * n_servers); /* Few servers are everybody's. */
        x->port = (uint16_t)(20 + x->to % PORTS * 101);
        x->program = (uint16_t)(x->to * 7 % PROGRAMS);
        x->server_program = (uint16_t)(x->to * 3 % PROGRAMS);
        x->user = (uint16_t)(x->from % USERS);
        x->rule = (uint16_t)(x->to % RULES);
        x->bytes_out = (float)exp(6.5 + 1.5 * normal(c));
        x->bytes_in = (float)exp(8 + 2 * normal(c));
        x->span_ms = (float)exp(4 + 1.5 * normal(c));
        x->minute = UINT32_MAX;
        weights[i] = exp(-9 * uniform(c)); /* Rates over four orders of magnitude. */
    }
    make_alias(c, weights);
    free(weights);
}

static void company_init(struct company *c, uint32_t endpoints, struct history *h)
{
    *c = (struct company){.random = 88172645463325252, .endpoints = endpoints};
    c->n_habits = (size_t)endpoints * HABITS;
    c->habits = xcalloc(c->n_habits, sizeof(*c->habits));
    c->chances = xcalloc(c->n_habits, sizeof(*c->chances));
    c->alias = xcalloc(c->n_habits, sizeof(*c->alias));
    c->names = xcalloc(endpoints, sizeof(*c->names));
    for (unsigned i = 0; i < endpoints; i++)
        c->names[i] = text(h, "host-", i, ".example.org");
    for (unsigned i = 0; i < PROGRAMS; i++)
        c->programs[i] = text(h, "/opt/vendor/bin/program-", i, "");
    for (unsigned i = 0; i < USERS; i++)
        c->users[i] = text(h, "person-", i, "");
    for (unsigned i = 0; i < RULES; i++)
        c->rules[i] = text(h, "rule-", i, "");
    make_habits(c);
}

static void company_done(struct company *c)
{
    free(c->habits);
    free(c->chances);
    free(c->alias);
    free(c->names);
}

static struct address address_of(uint32_t endpoint)
{
    return (struct address){{[10] = 0xff,
                             0xff,
                             10,
                             (uint8_t)(endpoint >> 16),
                             (uint8_t)(endpoint >> 8),
                             (uint8_t)endpoint}};
}

static struct flow flow_of(struct company *c, const struct habit *x, uint64_t minute)
{
    uint64_t offset = (uint64_t)(uniform(c) * FLOW_MINUTE_MS), count = 1;
    double span = x->span_ms * -log(uniform(c) + 1e-12);

    while (count < 1000 && below(c, 3) == 0)
        count *= 2;
    if (count > 1)
        span = uniform(c) * FLOW_MINUTE_MS;
    if (span > (double)(FLOW_MINUTE_MS - 1 - offset))
        span = (double)(FLOW_MINUTE_MS - 1 - offset);
    return (struct flow){
        .source = address_of(x->from),
        .destination = address_of(x->to),
        .first_ms = start_ms + minute * FLOW_MINUTE_MS + offset,
        .last_ms = start_ms + minute * FLOW_MINUTE_MS + offset + (uint64_t)span,
        .count = count,
        .bytes_out = (uint64_t)((double)count * x->bytes_out * exp(0.5 * normal(c))) + 40,
        .bytes_in = (uint64_t)((double)count * x->bytes_in * exp(0.7 * normal(c))) + 40,
        .revision = 1 + minute / 2000,
        .from = c->names[x->from],
        .to = c->names[x->to],
        .rule = c->rules[x->rule],
        .port = x->port,
        .protocol = x->port % 3 ? IPPROTO_TCP : IPPROTO_UDP,
        .verdict = VERDICT_ALLOW,
        .marks = FLOW_ENFORCED,
    };
}

/* Both ends tell of it, each with what it knows. */
static size_t tell(struct company *c, const struct habit *x, uint64_t minute, struct flow to[2])
{
    to[0] = to[1] = flow_of(c, x, minute);
    to[0].direction = DIRECTION_OUT;
    to[0].reporter = to[0].from;
    to[0].process = c->programs[x->program];
    to[0].user = c->users[x->user];
    to[0].uid = 1000u + x->user;
    to[1].direction = DIRECTION_IN;
    to[1].reporter = to[1].to;
    to[1].process = c->programs[x->server_program];
    to[1].uid = 33;
    if (below(c, 4) == 0 && to[1].last_ms < start_ms + (minute + 1) * FLOW_MINUTE_MS - 2)
        to[1].last_ms++; /* Clocks are not quite one. */
    return 2;
}

/* Somebody tries what nobody allows. */
static size_t stranger(struct company *c, uint64_t minute, struct flow *to)
{
    struct habit x = {.from = below(c, c->endpoints),
                      .to = below(c, c->endpoints),
                      .port = (uint16_t)below(c, 65536),
                      .bytes_out = 60,
                      .span_ms = 1};

    *to = flow_of(c, &x, minute);
    to->verdict = VERDICT_DENY;
    to->rule = 0;
    to->reporter = to->to;
    to->direction = DIRECTION_IN;
    to->uid = UINT32_MAX;
    return 1;
}

/* Nights are a third of the day. */
static double rhythm(uint64_t minute)
{
    double hour = (double)(minute % 1440) / 60;

    return 1 - 0.6 * cos((hour - 2) / 24 * 6.283185307179586);
}

/* The records of a minute, as many as fit. */
static size_t live(struct company *c, uint64_t minute, struct flow *to, size_t max)
{
    size_t n = 0, wanted = (size_t)(records_a_minute * c->endpoints * rhythm(minute));

    wanted = wanted > max - 2 ? max - 2 : wanted;
    while (n < wanted) {
        uint32_t i = below(c, (uint32_t)c->n_habits);
        struct habit *x = &c->habits[uniform(c) < c->chances[i] ? i : c->alias[i]];

        if (below(c, 100) == 0) {
            n += stranger(c, minute, to + n);
            continue;
        }
        if (x->minute == (uint32_t)minute)
            continue;
        x->minute = (uint32_t)minute;
        n += tell(c, x, minute, to + n);
    }
    return n;
}

/* ---- storing ---- */

static int fail(const char *what, int error)
{
    fprintf(stderr, "history: %s: %s\n", what, strerror(-error));
    return 1;
}

struct sender {
    uint64_t sequences[STREAMS];
    unsigned next;
    size_t batch, since_sync;
    bool is_shipped; /* By a thread, to a server. */
};

/* What waits for a server has a limit: then its reporters do. */
static int append(const struct sender *s, struct history *h, const struct history_batch *b)
{
    bool known;
    int r = history_append(h, b, &known);

    if (r != -ENOSPC || !s->is_shipped)
        return r;
    r = history_clickhouse_settle(h);
    return r < 0 ? r : history_append(h, b, &known);
}

/* Cuts a minute into batches, each of another stream, as it were of another agent. */
static int send_minute(struct sender *s, struct history *h, const struct flow *flows, size_t n)
{
    for (size_t i = 0; i < n; i += s->batch) {
        unsigned stream = s->next++ % STREAMS;
        char name[32];
        struct history_batch b = {.stream = name, .epoch = 7, .flows = flows + i};
        int r;

        (void)snprintf(name, sizeof(name), "agent-%u", stream);
        b.n_flows = n - i < s->batch ? n - i : s->batch;
        b.sequence = ++s->sequences[stream];
        r = append(s, h, &b);
        s->since_sync += b.n_flows;
        if (r == 0 && s->since_sync >= SYNC_EVERY) {
            s->since_sync = 0;
            r = history_sync(h);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

static int store(const char *where, uint64_t records, uint32_t endpoints, size_t batch)
{
    CLEANUP(history_freep) struct history *h = NULL;
    struct flow *flows = xcalloc(HISTORY_BATCH_MAX, sizeof(*flows));
    struct sender sender = {.batch = batch, .is_shipped = strncmp(where, "clickhouse:", 11) == 0};
    struct history_state st;
    struct company c;
    const char *what;
    double cpu, wall = seconds_of(CLOCK_MONOTONIC), generator = 0;
    uint64_t n = 0;
    int r = history_open(where, NULL, &h, &what);

    if (r < 0)
        return fail(what, r);
    company_init(&c, endpoints, h);
    cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    for (uint64_t minute = 0; n < records && r == 0; minute++) {
        double before = seconds_of(CLOCK_THREAD_CPUTIME_ID);
        size_t lived = live(&c, minute, flows, HISTORY_BATCH_MAX);

        generator += seconds_of(CLOCK_THREAD_CPUTIME_ID) - before;
        r = send_minute(&sender, h, flows, lived);
        n += lived;
        if (minute % 1440 == 1439)
            fprintf(stderr, "day %llu: %llu records\n", (unsigned long long)minute / 1440 + 1,
                    (unsigned long long)n);
    }
    if (r == 0)
        r = sender.is_shipped ? history_clickhouse_settle(h) : history_sync(h);
    if (r < 0)
        return fail(where, r);
    cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu - generator;
    wall = seconds_of(CLOCK_MONOTONIC) - wall;
    history_state(h, &st);
    printf("{\"records\": %llu, \"cpu_s\": %.3f, \"wall_s\": %.3f, \"generator_s\": %.3f, "
           "\"records_a_cpu_s\": %.0f, \"bytes\": %llu, \"bytes_a_record\": %.2f}\n",
           (unsigned long long)n, cpu, wall, generator, (double)n / cpu,
           (unsigned long long)st.bytes, (double)st.bytes / (double)n);
    company_done(&c);
    free(flows);
    return 0;
}

/* The same records in bulk; what that takes of the client is not told: it is nobody's way. */
static int fill(const char *where, uint64_t records)
{
    CLEANUP(history_freep) struct history *h = NULL;
    struct flow *flows = xcalloc(HISTORY_BATCH_MAX, sizeof(*flows));
    struct bulk *bulk;
    struct company c;
    const char *what;
    uint64_t n = 0;
    int r = strncmp(where, "clickhouse:", 11) == 0 ? history_open(where, NULL, &h, &what) : -EINVAL;

    if (r == 0)
        r = history_clickhouse_settle(h); /* The table is made. */
    if (r < 0)
        return fail(where, r);
    bulk = bulk_new(h);
    company_init(&c, ENDPOINTS, h);
    for (uint64_t minute = 0; n < records && r == 0; minute++) {
        size_t lived = live(&c, minute, flows, HISTORY_BATCH_MAX);

        r = bulk_put(bulk, flows, lived);
        n += lived;
    }
    if (r == 0)
        r = bulk_end(bulk);
    if (r < 0)
        return fail(where, r);
    printf("{\"records\": %llu}\n", (unsigned long long)n);
    bulk_free(bulk);
    company_done(&c);
    free(flows);
    return 0;
}

/* ---- asking ---- */

struct peer { /* What a line on the map is. */
    text_t from, to;
    uint16_t port;
    uint8_t protocol, verdict;
};

struct map {
    struct peer *peers;
    uint64_t *counts;
    size_t n, room, counts_room;
    struct table index;
    uint64_t taken;
};

static void map_done(struct map *m)
{
    free(m->peers);
    free(m->counts);
    table_done(&m->index);
    *m = (struct map){.n = 0};
}

static bool same_peer(const void *context, uint32_t number, const void *key)
{
    const struct map *m = context;

    return memcmp(&m->peers[number], key, sizeof(struct peer)) == 0;
}

static int draw_map(void *user, const struct flow *flows, size_t n)
{
    struct map *m = user;

    for (size_t i = 0; i < n; i++) {
        struct peer p;
        uint32_t hash, at;

        memset(&p, 0, sizeof(p));
        p.from = flows[i].from;
        p.to = flows[i].to;
        p.port = flows[i].port;
        p.protocol = flows[i].protocol;
        p.verdict = flows[i].verdict;
        hash = p.from * 2654435761u ^ p.to * 2246822519u ^ p.port * 3266489917u;
        hash ^= hash >> 15;
        at = table_find(&m->index, hash, same_peer, m, &p);
        if (at == TABLE_NONE) {
            at = (uint32_t)m->n;
            GROW(m->peers, m->n, m->room);
            GROW(m->counts, m->n, m->counts_room);
            m->peers[m->n] = p;
            m->counts[m->n++] = 0;
            table_add(&m->index, hash, at);
        }
        m->counts[at] += flows[i].count;
    }
    m->taken += n;
    return 0;
}

struct took {
    double wall_ms, cpu_ms;
    size_t answers;
    uint64_t connections;
};

struct asking {
    struct history *h;
    size_t repeats;
    pid_t server; /* 0: none. */
};

static int compare_took(const void *a, const void *b)
{
    const struct took *x = a, *y = b;

    return (x->wall_ms > y->wall_ms) - (x->wall_ms < y->wall_ms);
}

static struct took ask(const struct asking *a, const struct history_query *q, text_t rule)
{
    CLEANUP(map_done) struct map m = {.n = 0};
    struct took took = {-seconds_of(CLOCK_MONOTONIC), -cpu_seconds_with(a->server), 0, 0};
    struct history_snapshot *s = history_snapshot(a->h);
    struct history_use use = {.count = 0};
    int r = rule ? history_rule_use(s, rule, &use) : history_edges(s, q, draw_map, &m, NULL);

    history_snapshot_free(s);
    took.wall_ms = (took.wall_ms + seconds_of(CLOCK_MONOTONIC)) * 1e3;
    took.cpu_ms = (took.cpu_ms + cpu_seconds_with(a->server)) * 1e3;
    if (r < 0) {
        fprintf(stderr, "history: asking: %s\n", strerror(-r));
        exit(1);
    }
    took.answers = rule ? 1 : m.n;
    took.connections = use.count;
    for (size_t i = 0; i < m.n; i++)
        took.connections += m.counts[i];
    return took;
}

static void ask_often(const struct asking *a, const char *name, const struct history_query *q,
                      text_t rule)
{
    struct took first = ask(a, q, rule), *warm = xcalloc(a->repeats, sizeof(*warm));

    for (size_t i = 0; i < a->repeats; i++)
        warm[i] = ask(a, q, rule);
    qsort(warm, a->repeats, sizeof(*warm), compare_took);
    printf("{\"question\": \"%s\", \"first_ms\": %.3f, \"wall_ms\": %.3f, \"cpu_ms\": %.3f, "
           "\"answers\": %zu, \"connections\": %llu}\n",
           name, first.wall_ms, warm[a->repeats / 2].wall_ms, warm[a->repeats / 2].cpu_ms,
           first.answers, (unsigned long long)first.connections);
    free(warm);
}

static text_t known(const struct history *h, const char *name)
{
    return history_find_text(h, name, strlen(name));
}

static int ask_all(const char *where, size_t repeats, uint64_t cache_mib, pid_t server)
{
    struct history_options o = {.read_only = true, .cache_size = cache_mib << 20};
    CLEANUP(history_freep) struct history *h = NULL;
    struct asking a = {.repeats = repeats, .server = server};
    struct history_query q = HISTORY_QUERY_ALL;
    struct history_state st;
    const char *what;
    double opening = seconds_of(CLOCK_MONOTONIC);
    int r = history_open(where, &o, &h, &what);

    if (r < 0)
        return fail(what, r);
    a.h = h;
    history_state(h, &st);
    printf("{\"question\": \"open\", \"wall_ms\": %.3f, \"records\": %llu, \"bytes\": %llu}\n",
           (seconds_of(CLOCK_MONOTONIC) - opening) * 1e3, (unsigned long long)st.rows,
           (unsigned long long)st.bytes);
    q.all_revisions = true; /* As the console and the command line ask. */
    q.since_ms = st.oldest_ms + (st.newest_ms - st.oldest_ms) / 2;
    q.since_ms -= q.since_ms % 3600000;
    q.until_ms = q.since_ms + 3600000;
    ask_often(&a, "map of one hour", &q, 0);
    q.since_ms = q.until_ms = 0;
    q.endpoint = known(h, "host-04321.example.org");
    ask_often(&a, "who talked to a workstation, ever", &q, 0);
    q.endpoint = known(h, "host-00321.example.org");
    ask_often(&a, "who talked to a server, ever", &q, 0);
    q.endpoint = known(h, "host-00000.example.org");
    ask_often(&a, "who talked to the busiest server, ever", &q, 0);
    q.since_ms = st.newest_ms - 86400000;
    q.endpoint = known(h, "host-00321.example.org");
    ask_often(&a, "who talked to a server, last 24 hours", &q, 0);
    ask_often(&a, "last use of a rule", &q, known(h, "rule-00321"));
    return 0;
}

static uint64_t number(const char *s, uint64_t max)
{
    uint64_t v = 0;

    if (number_parse(s, strlen(s), max, &v) < 0 || !v) {
        fprintf(stderr, "history: %s: a number from 1 to %llu was expected\n", s,
                (unsigned long long)max);
        exit(2);
    }
    return v;
}

int main(int argc, char *argv[])
{
    if (argc >= 4 && argc <= 6 && strcmp(argv[1], "store") == 0)
        return store(argv[2], number(argv[3], 1000000000),
                     argc > 4 ? (uint32_t)number(argv[4], 1000000) : ENDPOINTS,
                     argc > 5 ? number(argv[5], HISTORY_BATCH_MAX) : 256);
    if (argc >= 3 && argc <= 6 && strcmp(argv[1], "ask") == 0)
        return ask_all(argv[2], argc > 3 ? number(argv[3], 10000) : 9,
                       argc > 4 ? number(argv[4], 1 << 20) : 0,
                       argc > 5 ? (pid_t)number(argv[5], INT32_MAX) : 0);
    if (argc == 4 && strcmp(argv[1], "fill") == 0)
        return fill(argv[2], number(argv[3], 1000000000));
    fprintf(stderr, "usage: history store WHERE RECORDS [ENDPOINTS [BATCH]] | fill WHERE RECORDS | "
                    "ask WHERE [REPEATS [CACHE_MIB [PID]]]\n");
    return 2;
}
