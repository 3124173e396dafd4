/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/main/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/number.h"
#include "sys/file.h"

enum { MAX_FILE = 65536 };

static const char help[] =
    "usage: suimitsud [OPTION...]\n"
    "\n"
    "The Suimitsu controller: keeps the policy, and tells every agent what to enforce.\n"
    "\n"
    "  --config FILE              settings as lines \"key: value\", keys as the options below\n"
    "  --state-dir DIR            store and certificate authority (default /var/lib/suimitsu)\n"
    "  --run-dir DIR              unix socket api.sock for root (default /run/suimitsu)\n"
    "  --listen-agents ADDR:PORT  where agents connect (default 0.0.0.0:7443)\n"
    "  --listen-api ADDR:PORT     HTTPS API with tokens (default 127.0.0.1:7442)\n"
    "  --user NAME                unprivileged user to become (default suimitsu)\n"
    "  --name NAME                DNS name or address of this controller, for its certificate "
    "and,\n"
    "                             if it is an address, for the lifeline; may be repeated\n"
    "  --debug                    log more\n"
    "  --openapi                  print the API's description and end\n"
    "  --help                     this text\n"
    "\n"
    "Started as root it makes and owns the two folders, opens its sockets, and becomes NAME for "
    "good.\n"
    "A port of 0 is any free one; the log says which.\n";

static bool set_text(char *to, size_t size, const char *value)
{
    size_t len = strlen(value);

    if (len == 0 || len >= size)
        return false;
    memcpy(to, value, len + 1);
    return true;
}

/* "192.0.2.1:7443" or "[2001:db8::1]:7443" */
static bool set_listen(char address[64], uint16_t *port, const char *value)
{
    const char *colon = strrchr(value, ':');
    size_t len = colon ? (size_t)(colon - value) : 0;
    uint8_t room[16];
    uint64_t n;

    if (!colon || number_parse(colon + 1, strlen(colon + 1), UINT16_MAX, &n) < 0)
        return false;
    if (len > 2 && value[0] == '[' && value[len - 1] == ']') {
        value++;
        len -= 2;
    }
    if (len == 0 || len >= 64)
        return false;
    memcpy(address, value, len);
    address[len] = 0;
    *port = (uint16_t)n;
    return inet_pton(AF_INET, address, room) == 1 || inet_pton(AF_INET6, address, room) == 1;
}

/* NULL: taken.  Else what was expected. */
static const char *set(struct config *c, const char *key, const char *value)
{
    if (strcmp(key, "state-dir") == 0)
        return value[0] == '/' && set_text(c->state_dir, sizeof(c->state_dir), value)
                   ? NULL
                   : "an absolute path";
    if (strcmp(key, "run-dir") == 0) /* A unix socket's path has 108 bytes. */
        return value[0] == '/' && strlen(value) < 90 && set_text(c->run_dir, 90, value)
                   ? NULL
                   : "an absolute path of at most 89 bytes";
    if (strcmp(key, "listen-agents") == 0)
        return set_listen(c->agents_address, &c->agents_port, value)
                   ? NULL
                   : "a numeric address and a port, like 0.0.0.0:7443 or [::]:7443";
    if (strcmp(key, "listen-api") == 0)
        return set_listen(c->api_address, &c->api_port, value)
                   ? NULL
                   : "a numeric address and a port, like 127.0.0.1:7442";
    if (strcmp(key, "user") == 0)
        return set_text(c->user, sizeof(c->user), value) ? NULL : "a user's name";
    if (strcmp(key, "name") == 0)
        return c->n_names < CONFIG_MAX_NAMES &&
                       strspn(value, "abcdefghijklmnopqrstuvwxyz"
                                     "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789-._:") == strlen(value) &&
                       set_text(c->names[c->n_names], CONFIG_TEXT_SIZE, value)
                   ? (c->n_names++, NULL)
                   : "a DNS name or an address, at most 16 of them";
    return "one of state-dir, run-dir, listen-agents, listen-api, user, name";
}

static bool is_key(const char *key)
{
    static const char *const keys[] = {"state-dir",  "run-dir", "listen-agents",
                                       "listen-api", "user",    "name"};

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    return false;
}

static void complain(struct buf *message, const char *where, unsigned line, const char *key,
                     const char *value, const char *expected)
{
    buf_puts(message, "suimitsud: ");
    if (line)
        buf_printf(message, "%s:%u: ", where, line);
    else
        buf_printf(message, "%s", where);
    buf_escape(message, key, strlen(key), 100);
    if (is_key(key)) {
        buf_puts(message, ": found \"");
        buf_escape(message, value, strlen(value), 200);
        buf_printf(message, "\", expected %s", expected);
    } else {
        buf_printf(message, ": unknown setting, expected %s", expected);
    }
    buf_printf(message, "; mend %s and start again\n", line ? "the file" : "the command line");
}

static char *trimmed(char *s)
{
    size_t len;

    s += strspn(s, " \t\r");
    len = strlen(s);
    while (len && strchr(" \t\r", s[len - 1]))
        s[--len] = 0;
    return s;
}

static int read_lines(struct config *c, const char *path, char *at, struct buf *message)
{
    for (unsigned line = 1; at; line++) {
        char *end = strchr(at, '\n'), *colon, *text, *key, *value;
        const char *expected;

        if (end)
            *end = 0;
        text = trimmed(at);
        at = end ? end + 1 : NULL;
        if (!text[0] || text[0] == '#')
            continue;
        colon = strchr(text, ':');
        if (colon)
            *colon = 0;
        key = trimmed(text);
        value = colon ? trimmed(colon + 1) : text + strlen(text);
        expected = set(c, key, value);
        if (expected) {
            complain(message, path, line, key, value, expected);
            return -EINVAL;
        }
    }
    return 0;
}

static int read_file(struct config *c, const char *path, struct buf *message)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    int r = file_read(path, MAX_FILE, &text);

    if (r < 0) {
        buf_printf(message, "suimitsud: --config %s cannot be read: %s\n", path, strerror(-r));
        return r;
    }
    buf_putc(&text, '\n');
    return read_lines(c, path, text.data, message);
}

static int read_arguments(struct config *c, int argc, char *argv[], struct buf *message)
{
    for (int i = 1; i < argc; i++) {
        const char *key = argv[i], *value = i + 1 < argc ? argv[i + 1] : "", *expected;

        if (strcmp(key, "--debug") == 0) {
            c->debug = true;
            continue;
        }
        if (strcmp(key, "--openapi") == 0) {
            c->print_openapi = true;
            continue;
        }
        if (strcmp(key, "--config") == 0) {
            i++;
            continue;
        }
        expected = strncmp(key, "--", 2) == 0 ? set(c, key + 2, value)
                                              : "options only; see suimitsud --help";
        if (expected) {
            complain(message, "--", 0, key + (strncmp(key, "--", 2) == 0 ? 2 : 0), value, expected);
            return -EINVAL;
        }
        i++;
    }
    return 0;
}

enum config_result config_read(int argc, char *argv[], struct config *ret_c, struct buf *message)
{
    struct config c = {.state_dir = "/var/lib/suimitsu",
                       .run_dir = "/run/suimitsu",
                       .agents_address = "0.0.0.0",
                       .agents_port = 7443,
                       .api_address = "127.0.0.1",
                       .api_port = 7442,
                       .user = "suimitsu"};

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            buf_puts(message, help);
            return CONFIG_HELP;
        }
        if (strcmp(argv[i], "--config") == 0 &&
            read_file(&c, i + 1 < argc ? argv[i + 1] : "", message) < 0)
            return CONFIG_BAD;
    }
    if (read_arguments(&c, argc, argv, message) < 0)
        return CONFIG_BAD;
    *ret_c = c;
    return CONFIG_RUN;
}
