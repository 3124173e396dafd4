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
    "  --history WHERE            flow history: a folder (default history in the state folder)\n"
    "                             sqlite:FILE, or clickhouse:http://USER@HOST:8123/DATABASE\n"
    "  --history-password-file FILE\n"
    "                             the password of ClickHouse's user\n"
    "  --history-max-age TIME     forget flows older than this: 90d (default 90d; 0: never)\n"
    "  --history-max-bytes N      forget the oldest when they take more: 20G (default 0: no "
    "limit)\n"
    "  --history-max-rate N       records a minute of one agent (default 3000000; 0: no limit)\n"
    "  --enrolments-per-minute N  agents that may enrol in a minute (default 60)\n"
    "  --web-dir DIR              the web console's files (default /usr/share/suimitsu/web)\n"
    "  --four-eyes yes|no         a policy is proposed by one person and applied by another (no)\n"
    "  --syslog URL               send events by syslog: udp://ADDR:PORT, tcp://ADDR:PORT or\n"
    "                             tls://ADDR:PORT (with --syslog-ca and --syslog-name)\n"
    "  --syslog-format FORMAT     json (default) or cef\n"
    "  --syslog-ca FILE           the collector's authority\n"
    "  --syslog-name NAME         the collector's name in its certificate\n"
    "  --webhook URL              post events to https://HOST/PATH (or http://)\n"
    "  --webhook-secret-file FILE its first line signs what is posted (HMAC-SHA256)\n"
    "  --webhook-ca FILE          the receiver's authority (default: the machine's)\n"
    "  --collect KIND://ADDR:PORT UDP port for flows of network gear: ipfix, netflow, sflow, or\n"
    "                             auto; may be repeated\n"
    "  --exporter NAME=ADDRESS    believe flows that come from this address; may be repeated\n"
    "  --collect-max-rate N       records a second of one exporter (default 2000; 0: no limit)\n"
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

/* "500M", "20G", or bytes. */
static bool set_bytes(uint64_t *to, const char *value)
{
    static const char units[] = "KMGT";
    size_t len = strlen(value);
    const char *unit = len ? strchr(units, value[len - 1]) : NULL;
    uint64_t n;

    if (number_parse(value, len - (unit != NULL), UINT64_C(1) << 20, &n) == 0 && unit)
        *to = n << 10 * (unit - units + 1);
    else if (!unit && number_parse(value, len, UINT64_MAX, &n) == 0)
        *to = n;
    else
        return false;
    return true;
}

/* "tcp://192.0.2.1:514", with the schemes in the order of enum collector_transport. */
static bool set_syslog(struct config *c, const char *value)
{
    static const char *const schemes[] = {"udp://", "tcp://", "tls://"};

    for (unsigned i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (strncmp(value, schemes[i], strlen(schemes[i])) == 0) {
            c->syslog_transport = i;
            return set_listen(c->syslog_address, &c->syslog_port, value + strlen(schemes[i])) &&
                   c->syslog_port != 0;
        }
    return false;
}

static bool set_path(char to[CONFIG_TEXT_SIZE], const char *value)
{
    return value[0] == '/' && set_text(to, CONFIG_TEXT_SIZE, value);
}

/* Whom to tell; as set(). */
static const char *set_teller(struct config *c, const char *key, const char *value)
{
    if (strcmp(key, "syslog") == 0)
        return set_syslog(c, value) ? NULL : "udp://, tcp:// or tls:// and a numeric ADDR:PORT";
    if (strcmp(key, "syslog-format") == 0) {
        c->syslog_cef = strcmp(value, "cef") == 0;
        return c->syslog_cef || strcmp(value, "json") == 0 ? NULL : "json or cef";
    }
    if (strcmp(key, "syslog-ca") == 0)
        return set_path(c->syslog_ca, value) ? NULL : "an absolute path";
    if (strcmp(key, "syslog-name") == 0)
        return set_text(c->syslog_name, sizeof(c->syslog_name), value) ? NULL : "a DNS name";
    if (strcmp(key, "webhook") == 0)
        return (strncmp(value, "https://", 8) == 0 || strncmp(value, "http://", 7) == 0) &&
                       set_text(c->webhook, sizeof(c->webhook), value)
                   ? NULL
                   : "an https:// or http:// URL";
    if (strcmp(key, "webhook-secret-file") == 0)
        return set_path(c->webhook_secret, value) ? NULL : "an absolute path";
    if (strcmp(key, "webhook-ca") == 0)
        return set_path(c->webhook_ca, value) ? NULL : "an absolute path";
    return "one of state-dir, run-dir, listen-agents, listen-api, user, name, web-dir, four-eyes, "
           "syslog, syslog-format, syslog-ca, syslog-name, webhook, webhook-secret-file, "
           "webhook-ca, history, history-password-file, history-max-age, history-max-bytes, "
           "history-max-rate, "
           "enrolments-per-minute, collect, exporter, collect-max-rate";
}

/* Flows of network gear; as set(). */
static const char *set_collect(struct config *c, const char *key, const char *value)
{
    uint64_t rate;

    if (strcmp(key, "collect") == 0)
        return exporters_config_socket(&c->exporters, value);
    if (strcmp(key, "exporter") == 0)
        return exporters_config_exporter(&c->exporters, value);
    if (strcmp(key, "collect-max-rate") == 0) {
        if (number_parse(value, strlen(value), 1000000, &rate) < 0)
            return "a number of records, or 0";
        c->exporters.max_rate = (uint32_t)rate;
        return NULL;
    }
    return set_teller(c, key, value);
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
    if (strcmp(key, "history") == 0)
        return set_text(c->history, sizeof(c->history), value) ? NULL : "a folder or an address";
    if (strcmp(key, "history-password-file") == 0)
        return set_path(c->history_password, value) ? NULL : "an absolute path";
    if (strcmp(key, "history-max-age") == 0)
        return duration_parse(value, UINT32_MAX, &c->history_max_age_s) == 0
                   ? NULL
                   : "a time like 90d, or 0";
    if (strcmp(key, "history-max-bytes") == 0)
        return set_bytes(&c->history_max_bytes, value) ? NULL : "bytes, like 20G, or 0";
    if (strcmp(key, "history-max-rate") == 0)
        return number_parse(value, strlen(value), UINT64_C(1) << 40, &c->history_max_rate) == 0
                   ? NULL
                   : "a number of records, or 0";
    if (strcmp(key, "enrolments-per-minute") == 0)
        return number_parse(value, strlen(value), 1000000, &c->enrolments) == 0 && c->enrolments
                   ? NULL
                   : "a number of 1 to 1000000";
    if (strcmp(key, "web-dir") == 0)
        return value[0] == '/' && set_text(c->web_dir, sizeof(c->web_dir), value)
                   ? NULL
                   : "an absolute path";
    if (strcmp(key, "four-eyes") == 0) {
        c->four_eyes = strcmp(value, "yes") == 0;
        return c->four_eyes || strcmp(value, "no") == 0 ? NULL : "yes or no";
    }
    return set_collect(c, key, value);
}

static bool is_key(const char *key)
{
    static const char *const keys[] = {"state-dir",
                                       "run-dir",
                                       "listen-agents",
                                       "listen-api",
                                       "user",
                                       "name",
                                       "web-dir",
                                       "four-eyes",
                                       "syslog",
                                       "syslog-format",
                                       "syslog-ca",
                                       "syslog-name",
                                       "webhook",
                                       "webhook-ca",
                                       "webhook-secret-file",
                                       "history",
                                       "history-password-file",
                                       "history-max-age",
                                       "history-max-bytes",
                                       "history-max-rate",
                                       "enrolments-per-minute",
                                       "collect",
                                       "exporter",
                                       "collect-max-rate"};

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
                       .user = "suimitsu",
                       .history_max_age_s = UINT64_C(90) * 86400,
                       .history_max_rate = 3000000,
                       .enrolments = 60,
                       .exporters = {.max_rate = EXPORTERS_RATE},
                       .web_dir = "/usr/share/suimitsu/web"};

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
