/* SPDX-License-Identifier: Apache-2.0 */
/* edge_bench.h - the edge's programs on the bench: two guests, their ports and one policy
 *
 *     a 10.0.0.1, fd00::1 at port 1      b 10.0.0.2, fd00::2 at port 2
 *     a may ask b by tcp/502 with Modbus functions 3 and 4, and by udp/53; b may reach a by tcp/22
 *
 * The program is src/bpf/edge.bpf.c itself, compiled against tests/fuzz/kernel. */
#pragma once

#include "bpf/edge.bpf.c"

enum { PORT_A = 1, PORT_B = 2, READ_1 = 3, READ_2 = 4, BENCH_FLOWS = 64, ETHER = 14 };
enum { CLASS_MODBUS = 1, CLASS_DNS, CLASS_SSH };
enum { IDENTITY_A = 8, IDENTITY_B = 7 };

static const uint8_t MAC_OF[3][6] = {{0}, {2, 0, 0, 0, 0, 0xa}, {2, 0, 0, 0, 0, 0xb}};

static inline struct abi_address bench_v4(uint32_t number)
{
    struct abi_address a;

    map_v4(&a, bpf_htonl(0x0a000000 + number));
    return a;
}

static inline struct abi_address bench_v6(uint32_t number)
{
    return (struct abi_address){{bpf_htonl(0xfd000000), 0, 0, bpf_htonl(number)}};
}

static inline struct shim_map *bench_inner(const void *outer, uint32_t index, enum shim_kind kind,
                                           size_t key, size_t value, uint32_t max)
{
    struct shim_map *m = shim_add(NULL, kind, key, value, max), *o = shim_find(outer);

    *(const void **)(o->values + (size_t)index * sizeof(void *)) = m->is;
    return m;
}

static inline void bench_entry(struct shim_map *m, uint32_t remote, uint16_t service,
                               uint16_t process, uint8_t direction, uint8_t word, uint8_t refine)
{
    struct abi_entry_key key = {
        .remote = remote, .service = service, .process = process, .direction = direction};
    struct abi_entry e = {.rule = 1, .word = word, .layer = ABI_LAYER_ALLOW, .refine = refine};

    (void)bpf_map_update_elem(m->is, &key, &e, BPF_ANY);
}

static inline void bench_program(uint32_t number)
{
    uint32_t index = number * ABI_SLOTS, other = number == PORT_A ? PORT_B : PORT_A;
    uint32_t identity = number == PORT_A ? IDENTITY_B : IDENTITY_A;
    uint8_t asks = number == PORT_A ? ABI_OUT : ABI_IN, asked = number == PORT_A ? ABI_IN : ABI_OUT;
    struct shim_map *m = bench_inner(&addresses, index, SHIM_HASH, sizeof(struct abi_address),
                                     sizeof(struct abi_remote), 4);
    const struct abi_address others[] = {bench_v4(other), bench_v6(other)};
    struct abi_remote remote = {.identity = identity, .mode = ABI_MODE_ENFORCE};
    uint16_t *row;

    for (int i = 0; i < 2; i++)
        (void)bpf_map_update_elem(m->is, &others[i], &remote, BPF_ANY);
    m = bench_inner(&services, index, SHIM_ARRAY, sizeof(uint32_t), sizeof(uint16_t[ABI_PORTS]),
                    ABI_ROWS);
    row = (uint16_t *)m->values;
    row[ABI_ROW_TCP * ABI_PORTS + 502] = CLASS_MODBUS;
    row[ABI_ROW_UDP * ABI_PORTS + 53] = CLASS_DNS;
    row[ABI_ROW_TCP * ABI_PORTS + 22] = CLASS_SSH;
    m = bench_inner(&entries, index, SHIM_HASH, sizeof(struct abi_entry_key),
                    sizeof(struct abi_entry), 16);
    bench_entry(m, identity, CLASS_MODBUS, 0, asks, ABI_WORD_ALLOW, ABI_REFINE_FUNCTION);
    bench_entry(m, identity, CLASS_MODBUS, ABI_FUNCTION, asks, ABI_WORD_DENY, 0);
    bench_entry(m, identity, CLASS_MODBUS, ABI_FUNCTION | READ_1, asks, ABI_WORD_ALLOW, 0);
    bench_entry(m, identity, CLASS_MODBUS, ABI_FUNCTION | READ_2, asks, ABI_WORD_ALLOW, 0);
    bench_entry(m, identity, CLASS_DNS, 0, asks, ABI_WORD_ALLOW, 0);
    bench_entry(m, identity, CLASS_SSH, 0, asked, ABI_WORD_ALLOW, 0);
}

static inline void bench_port(uint32_t number)
{
    const struct abi_address addresses_of[] = {bench_v4(number), bench_v6(number)};
    struct edge_port *port = bpf_map_lookup_elem(&ports, &number);
    struct edge_mac mac = {.port = number};
    uint32_t one = 1;

    port->active = 2;
    port->ifindex = number;
    port->epoch = 1;
    port->slots[0].mode = ABI_MODE_ENFORCE;
    (void)bpf_map_update_elem(&by_ifindex, &number, &number, BPF_ANY);
    memcpy(mac.mac, MAC_OF[number], 6);
    (void)bpf_map_update_elem(&macs, &mac, &one, BPF_ANY);
    for (int i = 0; i < 2; i++) {
        struct edge_own key = {.port = number, .address = addresses_of[i]};

        (void)bpf_map_update_elem(&own, &key, &one, BPF_ANY);
        (void)bpf_map_update_elem(&owners, &addresses_of[i], &number, BPF_ANY);
    }
    bench_program(number);
}

/* Once a process. */
static inline void bench_begin(void)
{
    uint32_t zero = 0;

    SHIM_ADD(edge_config, SHIM_ARRAY, 1);
    SHIM_ADD(ports, SHIM_ARRAY, 4);
    SHIM_ADD(by_ifindex, SHIM_HASH, 4);
    SHIM_ADD(numbers, SHIM_ARRAY, EDGE_PORTS);
    SHIM_ADD(macs, SHIM_HASH, 4);
    SHIM_ADD(own, SHIM_HASH, 8);
    SHIM_ADD(owners, SHIM_HASH, 8);
    SHIM_ADD(edge_flows, SHIM_HASH, BENCH_FLOWS);
    SHIM_ADD(edge_streams, SHIM_HASH, BENCH_FLOWS);
    SHIM_ADD(uses, SHIM_ARRAY, 4);
    SHIM_ADD(swept, SHIM_ARRAY, 1);
    SHIM_ADD(fragments, SHIM_HASH, BENCH_FLOWS);
    SHIM_ADD(edge_denials, SHIM_HASH, 4 * BENCH_FLOWS);
    SHIM_ADD(edge_counters, SHIM_ARRAY, 4 * EDGE_COUNTERS);
    SHIM_ADD(scratches, SHIM_ARRAY, 1);
    shim_add(&addresses, SHIM_OUTER, sizeof(uint32_t), sizeof(void *), 8);
    shim_add(&prefixes, SHIM_OUTER, sizeof(uint32_t), sizeof(void *), 8);
    shim_add(&services, SHIM_OUTER, sizeof(uint32_t), sizeof(void *), 8);
    shim_add(&entries, SHIM_OUTER, sizeof(uint32_t), sizeof(void *), 8);
    *(struct edge_config *)bpf_map_lookup_elem(&edge_config, &zero) =
        (struct edge_config){.max_port_flows = BENCH_FLOWS, .max_port_half = BENCH_FLOWS};
    bench_port(PORT_A);
    bench_port(PORT_B);
}

/* Before each input: nobody has talked yet. */
static inline void bench_again(void)
{
    struct shim_map *m = shim_find(&uses);

    shim_clear(&edge_flows);
    shim_clear(&edge_streams);
    shim_clear(&fragments);
    shim_clear(&edge_denials);
    memset(m->values, 0, (size_t)m->max * m->value_size);
    shim_now_ns = 1000000000;
    shim_random = 1;
}

/* The frame in shim_packet at that port.  Does it pass, as it was? */
static inline bool bench_run(uint32_t port, uint32_t direction)
{
    struct __sk_buff skb = {.len = shim_packet.size, .ifindex = port};

    shim_packet.n_clones = 0;
    shim_now_ns += 1000;
    return (direction == ABI_OUT ? from_guest(&skb) : to_guest(&skb)) == TC_ACT_UNSPEC;
}
