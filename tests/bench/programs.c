/* SPDX-License-Identifier: Apache-2.0 */
/* programs.c - verdict programs of a wanted size, and the time that user space takes to look up
 *
 *     programs make REVISION SELF PEER PORT SERVER CLIENT ENTRIES FILE
 *     programs lookup ENTRIES LOOKUPS skewed|uniform
 *
 * 'make' writes the program of the endpoint SELF, with ENTRIES entries over remote identities and
 * service classes as a large policy has them; one of them lets the program CLIENT talk to PORT of
 * PEER, and SERVER answer there.  'lookup' prints nanoseconds a call of program_judge(), beside
 * one random read of a table of the same size (the cost that no lookup can avoid). */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "base/buf.h"
#include "core/program.h"
#include "sys/sealed.h"
#include "wire/records.h"

enum { SERVICES = 100, FIRST_PORT = 20000, ADDRESSES_MAX = 100000 };

static struct address numbered_address(uint32_t n)
{
    struct address a = {.bytes = {[10] = 0xff, 0xff}};
    uint32_t v4 = htonl(0x0b000000u + n); /* 11.0.0.0/8: nothing of the lab lies there. */

    memcpy(a.bytes + 12, &v4, 4);
    return a;
}

static struct address parse(const char *text)
{
    struct address a;

    if (address_parse(text, &a) < 0) {
        fprintf(stderr, "programs: '%s' is no address\n", text);
        exit(2);
    }
    return a;
}

/* Entry number i: remote identity i / SERVICES, service i % SERVICES. */
static void fill(struct program *p, size_t n, size_t n_real)
{
    size_t n_remote = n / SERVICES + 1;

    p->entries = xcalloc(n + n_real, sizeof(*p->entries));
    p->addresses = xcalloc(n_remote + n_real, sizeof(*p->addresses));
    p->services = xcalloc(SERVICES + n_real, sizeof(*p->services));
    for (size_t i = 0; i < n; i++)
        p->entries[p->n_entries++] =
            (struct program_entry){.remote = 1000 + (uint32_t)(i / SERVICES),
                                   .service = (uint16_t)(10 + i % SERVICES),
                                   .direction = DIRECTION_OUT,
                                   .word = PROGRAM_ALLOW,
                                   .layer = LAYER_ALLOW,
                                   .rule = 1};
    for (uint32_t i = 0; i < n_remote; i++)
        p->addresses[p->n_addresses++] = (struct program_address){.address = numbered_address(i),
                                                                  .length = 128,
                                                                  .mode = MODE_ENFORCE,
                                                                  .identity = 1000 + i};
    for (uint16_t i = 0; i < SERVICES; i++)
        p->services[p->n_services++] =
            (struct program_service){IPPROTO_TCP, (uint16_t)(FIRST_PORT + i),
                                     (uint16_t)(FIRST_PORT + i), (uint16_t)(10 + i)};
    p->rules = xcalloc(1, sizeof(*p->rules));
    snprintf(p->rules[0].id, sizeof(p->rules[0].id), "bench");
    p->n_rules = 1;
}

/* What the work uses: CLIENT of one end to SERVER of the other, TCP and UDP, both directions. */
static void add_real(struct program *p, char **words)
{
    uint16_t port = (uint16_t)strtoul(words[2], NULL, 10);

    p->identity = 1;
    snprintf(p->endpoint, sizeof(p->endpoint), "bench");
    p->addresses[p->n_addresses++] = (struct program_address){.address = parse(words[0]),
                                                              .length = 128,
                                                              .mode = MODE_ENFORCE,
                                                              .self = true,
                                                              .identity = 1};
    p->addresses[p->n_addresses++] = (struct program_address){
        .address = parse(words[1]), .length = 128, .mode = MODE_ENFORCE, .identity = 2};
    p->services[p->n_services++] = (struct program_service){IPPROTO_TCP, port, port, 1};
    p->services[p->n_services++] = (struct program_service){IPPROTO_UDP, port, port, 1};
    p->processes = xcalloc(2, sizeof(*p->processes));
    p->n_processes = 2;
    for (int i = 0; i < 2; i++) {
        p->processes[i].class = (uint16_t)(i + 1);
        snprintf(p->processes[i].path, sizeof(p->processes[i].path), "%s", words[3 + i]);
    }
    for (uint8_t d = DIRECTION_OUT; d <= DIRECTION_IN; d++) {
        struct program_entry base = {.remote = 2,
                                     .service = 1,
                                     .direction = d,
                                     .word = PROGRAM_DEFAULT,
                                     .layer = LAYER_DEFAULT,
                                     .refine = REFINE_PROCESS};
        struct program_entry named = base;

        named.process = d == DIRECTION_OUT ? 2 : 1;
        named.word = PROGRAM_ALLOW;
        named.layer = LAYER_ALLOW;
        named.refine = 0;
        named.rule = 1;
        p->entries[p->n_entries++] = base;
        p->entries[p->n_entries++] = named;
    }
}

static void check(struct program *p)
{
    const char *what = NULL;

    p->mode = MODE_ENFORCE;
    if (program_check(p, &what) < 0) {
        fprintf(stderr, "programs: the program is not well formed: %s\n", what);
        exit(1);
    }
}

static int make(char **words)
{
    CLEANUP(program_freep) struct program *p = program_new();
    struct buf b = BUF_INIT;
    int r;
    fill(p, strtoul(words[6], NULL, 10), 4);
    p->revision = strtoull(words[0], NULL, 10);
    add_real(p, words + 1);
    check(p);
    program_encode(p, &b);
    r = sealed_write(words[7], b.data, b.size);
    buf_done(&b);
    if (r < 0)
        fprintf(stderr, "programs: cannot write %s: %s\n", words[7], strerror(-r));
    return r < 0;
}

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint32_t next_random(uint32_t *state) /* xorshift32 (Marsaglia 2003). */
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static int lookup(char **words)
{
    CLEANUP(program_freep) struct program *p = program_new();
    size_t n = strtoul(words[0], NULL, 10), n_lookups = strtoul(words[1], NULL, 10), allowed = 0;
    bool skewed = words[2][0] == 's';
    struct program_query *queries = xcalloc(1 << 16, sizeof(*queries));
    uint32_t state = 1, sum = 0, *table;
    double start, judged, read;

    fill(p, n, 0);
    snprintf(p->endpoint, sizeof(p->endpoint), "bench");
    p->identity = 1;
    check(p);
    for (size_t i = 0; i < 1 << 16; i++) {
        uint32_t r = next_random(&state);
        size_t which = skewed && r % 10 ? (r / 10) % (n < 64 ? n : 64) : (r / 10) % n;

        queries[i] =
            (struct program_query){.direction = DIRECTION_OUT,
                                   .remote = numbered_address((uint32_t)(which / SERVICES)),
                                   .protocol = IPPROTO_TCP,
                                   .port = (uint16_t)(FIRST_PORT + which % SERVICES)};
    }
    start = now_s();
    for (size_t i = 0; i < n_lookups; i++)
        allowed += program_judge(p, &queries[i & 0xffff]).verdict == VERDICT_ALLOW;
    judged = now_s() - start;
    table = xcalloc(n, sizeof(*p->entries));
    start = now_s();
    for (size_t i = 0; i < n_lookups; i++)
        sum += table[next_random(&state) % (n * sizeof(*p->entries) / sizeof(*table))];
    read = now_s() - start;
    printf("{\"entries\": %zu, \"judge_ns\": %.1f, \"read_ns\": %.1f, \"allowed\": %zu}\n", n,
           judged * 1e9 / (double)n_lookups, read * 1e9 / (double)n_lookups, allowed + sum);
    free(table);
    free(queries);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 10 && strcmp(argv[1], "make") == 0)
        return make(argv + 2);
    if (argc == 5 && strcmp(argv[1], "lookup") == 0)
        return lookup(argv + 2);
    fprintf(stderr, "usage: programs make REVISION SELF PEER PORT SERVER CLIENT ENTRIES FILE\n"
                    "       programs lookup ENTRIES LOOKUPS skewed|uniform\n");
    return 2;
}
