/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of exporters; see exporters.h. */
#include <arpa/inet.h>
#include <stdio.h>

#include "base/number.h"
#include "controller/exporters/exporters.h"

static bool read_listen(const char *value, char address[64], uint16_t *ret_port)
{
    const char *colon = strrchr(value, ':');
    size_t len = colon ? (size_t)(colon - value) : 0;
    uint8_t room[16];
    uint64_t port;

    if (!colon || number_parse(colon + 1, strlen(colon + 1), UINT16_MAX, &port) < 0)
        return false;
    if (len > 2 && value[0] == '[' && value[len - 1] == ']') {
        value++;
        len -= 2;
    }
    if (!len || len >= 64)
        return false;
    memcpy(address, value, len);
    address[len] = 0;
    *ret_port = (uint16_t)port;
    return inet_pton(AF_INET, address, room) == 1 || inet_pton(AF_INET6, address, room) == 1;
}

const char *exporters_config_socket(struct exporters_config *c, const char *value)
{
    static const char *const kinds[EXPORTS_KINDS] = {"auto://", "netflow://", "ipfix://",
                                                     "sflow://"};

    if (c->n_sockets == EXPORTERS_SOCKETS)
        return "at most 8 of them";
    for (unsigned i = 0; i < EXPORTS_KINDS; i++) {
        size_t len = strlen(kinds[i]);

        if (strncmp(value, kinds[i], len) != 0)
            continue;
        if (!read_listen(value + len, c->sockets[c->n_sockets].address,
                         &c->sockets[c->n_sockets].port))
            break;
        c->sockets[c->n_sockets++].kind = (enum exports_kind)i;
        return NULL;
    }
    return "ipfix://, netflow://, sflow:// or auto:// and a numeric ADDR:PORT";
}

const char *exporters_config_exporter(struct exporters_config *c, const char *value)
{
    size_t len = strcspn(value, "=");
    struct address address;

    if (!len || len >= EXPORTERS_NAME_SIZE || value[len] != '=' ||
        strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != len ||
        address_parse(value + len + 1, &address) < 0)
        return "NAME=ADDRESS, like core-sw1=10.0.0.2, the name of letters, digits, - _ and .";
    for (size_t i = 0; i < c->n_exporters; i++)
        if (address_compare(&c->exporters[i].address, &address) == 0 ||
            (strncmp(c->exporters[i].name, value, len) == 0 && !c->exporters[i].name[len]))
            return "a name and an address that no other exporter has";
    if (c->n_exporters == EXPORTERS_MAX)
        return "at most 256 of them";
    memcpy(c->exporters[c->n_exporters].name, value, len);
    c->exporters[c->n_exporters].name[len] = 0;
    c->exporters[c->n_exporters++].address = address;
    return NULL;
}
