/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/meter.h"
#include "cli/pack.h"
#include "sys/file.h"
#include "sys/loop.h"

enum { MAX_ANSWER = 64 << 20, TIMEOUT_S = 90, MAX_TOKEN = 4096, A_SECOND_MS = 1000 };

struct wait {
    struct meter *meter;
    uint64_t since_ms;
};

void answer_done(struct answer *a)
{
    json_decref(a->json);
    a->json = NULL;
}

void url_add(struct buf *url, const char *text)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~";

    for (; *text; text++)
        if (strchr(plain, *text))
            buf_putc(url, *text);
        else
            buf_printf(url, "%%%02X", (unsigned char)*text);
}

void url_add_options(struct buf *url, const struct invocation *in, const char *const names[],
                     size_t n)
{
    bool has_query = strchr(buf_str(url), '?') != NULL;

    for (size_t i = 0; i < n; i++) {
        const char *value = invocation_value(in, names[i]);

        if (!value)
            continue;
        buf_printf(url, "%c%s", has_query ? '&' : '?', names[i]);
        if (value[0]) { /* A flag has none. */
            buf_putc(url, '=');
            url_add(url, value);
        }
        has_query = true;
    }
}

static const char *setting(const struct invocation *in, const char *option, const char *variable)
{
    const char *value = invocation_value(in, option);

    return value ? value : getenv(variable);
}

static size_t take_body(char *data, size_t size, size_t n, void *body)
{
    struct buf *b = body;

    if (b->size + size * n > MAX_ANSWER)
        return 0;
    buf_add(b, data, size * n);
    return size * n;
}

static size_t take_header(char *data, size_t size, size_t n, void *answer)
{
    struct answer *a = answer;
    size_t len = size * n;

    if (len > 6 && len - 6 < sizeof(a->etag) && strncasecmp(data, "ETag: ", 6) == 0) {
        memcpy(a->etag, data + 6, len - 6);
        a->etag[strcspn(a->etag, "\r\n")] = 0;
    }
    return len;
}

static int unreachable(const char *where, const char *why)
{
    (void)complain(EXIT_UNREACHABLE, "the controller at %s cannot be reached: %s", where, why);
    return complain(EXIT_UNREACHABLE,
                    "what still holds: agents go on enforcing the last policy that they "
                    "acknowledged; an unconfirmed one is rolled back by the agents themselves");
}

/* Where to, and how; what is appended to 'url' is the scheme and host. */
static int choose(const struct invocation *in, CURL *curl, struct buf *url, struct buf *bearer,
                  const char **ret_where)
{
    const char *controller = setting(in, "controller", "SUIMITSU_CONTROLLER");
    const char *socket = setting(in, "socket", "SUIMITSU_SOCKET");
    const char *token = setting(in, "token-file", "SUIMITSU_TOKEN_FILE");
    const char *ca = setting(in, "ca", "SUIMITSU_CA");
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    int r;

    if (!controller || invocation_value(in, "socket")) {
        *ret_where = socket ? socket : "/run/suimitsu/api.sock";
        (void)curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, *ret_where);
        buf_puts(url, "http://suimitsud");
        return EXIT_OK;
    }
    *ret_where = controller;
    if (strncmp(controller, "https://", 8) != 0)
        return complain(EXIT_USAGE, "--controller %s: expected https://HOST:PORT", controller);
    if (!token || !ca)
        return complain(EXIT_USAGE, "--controller needs --token-file and --ca");
    r = file_read(token, MAX_TOKEN, &text);
    if (r < 0)
        return complain(EXIT_USAGE, "--token-file %s: %s", token, strerror(-r));
    buf_printf(bearer, "Authorization: Bearer %.*s", (int)strcspn(buf_str(&text), " \r\n\t"),
               buf_str(&text));
    (void)curl_easy_setopt(curl, CURLOPT_CAINFO, ca);
    (void)curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
    buf_puts(url, controller);
    while (url->size && url->data[url->size - 1] == '/')
        url->data[--url->size] = 0;
    return EXIT_OK;
}

static int exit_of(int status)
{
    switch (status) {
    case 401:
    case 403:
        return EXIT_NOT_ALLOWED;
    case 404:
        return EXIT_NOT_FOUND;
    case 409:
    case 412:
        return EXIT_CONFLICT;
    case 400:
        return EXIT_USAGE;
    case 413:
    case 422:
        return EXIT_INVALID;
    default:
        return EXIT_UNREACHABLE; /* It cannot do it now. */
    }
}

const char *text_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s ? s : "";
}

json_int_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static void print_safe(FILE *f, const char *s)
{
    CLEANUP(buf_done) struct buf safe = BUF_INIT;

    buf_escape(&safe, s, strlen(s), strlen(s));
    (void)fputs(buf_str(&safe), f);
}

static void print_findings(const json_t *findings)
{
    static const char *const extras[] = {"expected", "nearest", "fix"};
    const json_t *f;
    size_t i;

    json_array_foreach(findings, i, f)
    {
        if (text_of(f, "file")[0]) {
            print_safe(stderr, text_of(f, "file"));
            (void)fprintf(stderr, ":%d:%d: ", (int)json_integer_value(json_object_get(f, "line")),
                          (int)json_integer_value(json_object_get(f, "column")));
        }
        (void)fprintf(stderr, "%s %s: ", text_of(f, "severity"), text_of(f, "code"));
        print_safe(stderr, text_of(f, "message"));
        (void)fputc('\n', stderr);
        for (size_t k = 0; k < ARRAY_SIZE(extras); k++)
            if (text_of(f, extras[k])[0]) {
                (void)fprintf(stderr, "     %s: ", extras[k]);
                print_safe(stderr, text_of(f, extras[k]));
                (void)fputc('\n', stderr);
            }
    }
}

int client_judge(const struct answer *a)
{
    if (!a->is_repeat || a->status >= 400)
        print_findings(json_object_get(a->json, "findings"));
    if (a->status < 400)
        return EXIT_OK;
    return complain(exit_of(a->status), "%s (%d)",
                    a->json ? text_of(a->json, "detail") : "the controller sent no reason",
                    a->status);
}

static int tell_waiting(void *wait, curl_off_t to_come, curl_off_t came, curl_off_t to_go,
                        curl_off_t gone)
{
    const struct wait *w = wait;
    uint64_t waited_ms = loop_now_ms() - w->since_ms;

    (void)to_come;
    (void)came;
    (void)to_go;
    (void)gone;
    if (waited_ms >= A_SECOND_MS)
        meter_say(w->meter, "waiting", waited_ms / A_SECOND_MS, 0);
    return 0;
}

static void watch_waiting(CURL *curl, struct wait *w)
{
    if (!w->meter)
        return;
    w->since_ms = loop_now_ms();
    (void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, tell_waiting);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, w);
}

static CURLcode perform(CURL *curl, const char *method, const char *url, const char *bearer,
                        const char *if_match, const struct buf *body, struct buf *text,
                        struct answer *a)
{
    CLEANUP(buf_done) struct buf condition = BUF_INIT;
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    struct wait wait = {.meter = a->meter};
    CURLcode code;
    long status = 0;

    headers = curl_slist_append(headers, "Expect:");
    if (bearer[0])
        headers = curl_slist_append(headers, bearer);
    if (if_match) {
        buf_printf(&condition, "If-Match: %s", if_match);
        headers = curl_slist_append(headers, condition.data);
    }
    if (a->meter)
        headers = curl_slist_append(headers, "Prefer: respond-async, wait=30");
    if (pack_is_packed(body))
        headers = curl_slist_append(headers, "Content-Encoding: gzip");
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 10L);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, text);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, a);
    if (body->size) {
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->data);
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->size);
    }
    watch_waiting(curl, &wait);
    code = curl_easy_perform(curl);
    if (a->meter)
        meter_clear(a->meter);
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    a->status = (int)status;
    curl_slist_free_all(headers);
    return code;
}

int client_ask(const struct invocation *in, const char *method, const char *path,
               const json_t *body, const char *if_match, struct answer *ret_a)
{
    CLEANUP(buf_done) struct buf url = BUF_INIT;
    CLEANUP(buf_done) struct buf bearer = BUF_INIT;
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    CLEANUP(buf_done) struct buf body_text = BUF_INIT;
    struct answer a = {.is_repeat = ret_a->is_repeat, .meter = ret_a->meter};
    const char *where = "";
    CURL *curl = curl_easy_init();
    CURLcode code;
    int r;

    if (!curl)
        abort(); /* Out of memory. */
    r = choose(in, curl, &url, &bearer, &where);
    if (r != EXIT_OK) {
        curl_easy_cleanup(curl);
        return r;
    }
    buf_puts(&url, path);
    pack_body(body, &body_text);
    code = perform(curl, method, buf_str(&url), buf_str(&bearer), if_match, &body_text, &text, &a);
    curl_easy_cleanup(curl);
    if (code != CURLE_OK || a.status == 0)
        return unreachable(where, curl_easy_strerror(code));
    a.json = json_loadb(buf_str(&text), text.size, JSON_DECODE_ANY, NULL);
    r = client_judge(&a);
    if (r != EXIT_OK) {
        answer_done(&a);
        return r;
    }
    *ret_a = a;
    return EXIT_OK;
}

/* ---- lists ---- */

/* Where a page has its items; NULL: the answer is no page. */
static json_t *items_of(const json_t *page)
{
    json_t *items = json_object_get(page, "items");

    if (!json_object_get(page, "next"))
        return NULL;
    return items ? items : json_object_get(page, "rules");
}

static int get_plainly(const struct invocation *in, const char *path, struct answer *ret_a)
{
    return client_ask(in, "GET", path, NULL, NULL, ret_a);
}

static int ask_next(const struct invocation *in, const char *path, const char *next,
                    client_get *get, struct answer *ret_a)
{
    CLEANUP(buf_done) struct buf url = BUF_INIT;

    buf_printf(&url, "%s%ccursor=", path, strchr(path, '?') ? '&' : '?');
    url_add(&url, next);
    return get(in, buf_str(&url), ret_a);
}

int client_ask_list(const struct invocation *in, const char *path, struct answer *ret_a)
{
    return client_ask_list_by(in, path, get_plainly, ret_a);
}

int client_ask_list_by(const struct invocation *in, const char *path, client_get *get,
                       struct answer *ret_a)
{
    int r = get(in, path, ret_a);
    json_t *items = r == EXIT_OK ? items_of(ret_a->json) : NULL;
    CLEANUP(free_voidp) char *next = items ? xstrdup(text_of(ret_a->json, "next")) : NULL;

    if (!items)
        return r;
    while (r == EXIT_OK && next[0]) {
        CLEANUP(answer_done) struct answer page = {.json = NULL};

        r = ask_next(in, path, next, get, &page);
        (void)json_array_extend(items, items_of(page.json));
        free(next);
        next = xstrdup(text_of(page.json, "next"));
    }
    (void)json_object_del(ret_a->json, "next");
    if (json_object_get(ret_a->json, "items")) {
        (void)json_incref(items);
        json_decref(ret_a->json);
        ret_a->json = items;
    }
    return r;
}

/* ---- printing ---- */

static void value_text(struct buf *b, const json_t *value)
{
    const json_t *item;
    const char *key;
    size_t i;

    if (json_is_string(value)) {
        buf_escape(b, json_string_value(value), json_string_length(value), 500);
    } else if (json_is_integer(value)) {
        buf_printf(b, "%lld", json_integer_value(value));
    } else if (json_is_boolean(value)) {
        buf_puts(b, json_is_true(value) ? "yes" : "no");
    } else if (json_is_array(value)) {
        json_array_foreach(value, i, item)
        {
            if (i)
                buf_putc(b, ',');
            value_text(b, item);
        }
    } else if (json_is_object(value)) {
        const char *between = "";
        void *iter;

        for (iter = json_object_iter((json_t *)(uintptr_t)value); iter;
             iter = json_object_iter_next((json_t *)(uintptr_t)value, iter)) {
            key = json_object_iter_key(iter);
            buf_puts(b, between);
            buf_escape(b, key, strlen(key), 100);
            buf_putc(b, '=');
            value_text(b, json_object_iter_value(iter));
            between = ",";
        }
    }
}

static void yaml_key(const char *key)
{
    CLEANUP(json_decrefp) json_t *quoted = NULL;

    if (key[strspn(key, "abcdefghijklmnopqrstuvwxyz_")] == 0) {
        (void)fputs(key, stdout);
        return;
    }
    quoted = json_string(key);
    (void)json_dumpf(quoted, stdout, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
}

static void yaml(const json_t *value, int depth)
{
    /* JSON is YAML; strings stay quoted, so that nothing is guessed at. */
    CLEANUP(free_voidp) char *text = NULL;
    const json_t *item;
    const char *key;
    void *iter;
    size_t i;

    if (json_is_object(value) && json_object_size(value)) {
        for (iter = json_object_iter((json_t *)(uintptr_t)value); iter;
             iter = json_object_iter_next((json_t *)(uintptr_t)value, iter)) {
            key = json_object_iter_key(iter);
            item = json_object_iter_value(iter);
            (void)printf("%*s", depth * 2, "");
            yaml_key(key);
            (void)fputs(json_is_object(item) || json_is_array(item) ? ":\n" : ": ", stdout);
            yaml(item, depth + 1);
        }
    } else if (json_is_array(value) && json_array_size(value)) {
        json_array_foreach(value, i, item)
        {
            (void)printf("%*s-%s", depth * 2, "",
                         json_is_object(item) || json_is_array(item) ? "\n" : " ");
            yaml(item, depth + 1);
        }
    } else {
        text = json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
        (void)printf("%*s%s\n", json_is_object(value) || json_is_array(value) ? depth * 2 : 0, "",
                     text ? text : "null");
    }
}

size_t print_lines(FILE *f, const char *text, size_t max)
{
    size_t shown = 0, left = 0;

    for (const char *line = text; *line;) {
        CLEANUP(buf_done) struct buf safe = BUF_INIT;
        size_t len = strcspn(line, "\n");

        if (shown < max) {
            buf_escape(&safe, line, len, len);
            (void)fprintf(f, "%s\n", buf_str(&safe));
            shown++;
        } else {
            left++;
        }
        line += len + (line[len] == '\n');
    }
    return left;
}

bool wants_document(const struct invocation *in)
{
    return in->output == OUTPUT_JSON || in->output == OUTPUT_YAML;
}

void print_answer(const struct invocation *in, json_t *answer)
{
    if (!wants_document(in)) {
        (void)print_lines(stdout, text_of(answer, "text"), SIZE_MAX);
        return;
    }
    (void)json_object_del(answer, "text");
    (void)print_document(in, answer);
}

void print_json_text(const struct invocation *in, const char *text)
{
    CLEANUP(json_decrefp) json_t *document = NULL;

    if (in->output == OUTPUT_YAML)
        document = json_loads(text, JSON_DECODE_ANY, NULL);
    if (!document || !print_document(in, document))
        (void)printf("%s\n", text);
}

bool print_document(const struct invocation *in, const json_t *document)
{
    if (in->output == OUTPUT_JSON) {
        (void)json_dumpf(document, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
        (void)putchar('\n');
        return true;
    }
    if (in->output == OUTPUT_YAML) {
        yaml(document, 0);
        return true;
    }
    return false;
}

static size_t shown_width(const char *s)
{
    size_t n = 0;

    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80; /* Characters, not bytes. */
    return n;
}

static void pad(const char *s, size_t width)
{
    (void)printf("%s%*s", s, (int)(width - shown_width(s)), "");
}

void print_table(const struct invocation *in, const json_t *rows, const struct column *columns,
                 size_t n_columns)
{
    enum { MAX_COLUMNS = 16 };
    size_t width[MAX_COLUMNS] = {0}, i;
    const json_t *row;

    if (print_document(in, rows))
        return;
    for (size_t k = 0; k < n_columns; k++) {
        width[k] = shown_width(columns[k].title);
        json_array_foreach(rows, i, row)
        {
            CLEANUP(buf_done) struct buf cell = BUF_INIT;

            value_text(&cell, json_object_get(row, columns[k].key));
            if (shown_width(buf_str(&cell)) > width[k])
                width[k] = shown_width(buf_str(&cell));
        }
    }
    for (i = 0; i <= json_array_size(rows); i++) {
        for (size_t k = 0; k < n_columns; k++) {
            CLEANUP(buf_done) struct buf cell = BUF_INIT;

            if (columns[k].wide_only && in->output != OUTPUT_WIDE)
                continue;
            if (i == 0)
                buf_puts(&cell, columns[k].title);
            else
                value_text(&cell, json_object_get(json_array_get(rows, i - 1), columns[k].key));
            pad(buf_str(&cell), width[k] + 2);
        }
        (void)putchar('\n');
    }
}

void print_object(const struct invocation *in, const json_t *object)
{
    void *iter;

    if (print_document(in, object))
        return;
    for (iter = json_object_iter((json_t *)(uintptr_t)object); iter;
         iter = json_object_iter_next((json_t *)(uintptr_t)object, iter)) {
        CLEANUP(buf_done) struct buf cell = BUF_INIT;

        value_text(&cell, json_object_iter_value(iter));
        (void)printf("%-16s %s\n", json_object_iter_key(iter), buf_str(&cell));
    }
}

int client_add_scope(const struct invocation *in, json_t *body)
{
    const char *scope = invocation_value(in, "scope"), *equals = scope ? strchr(scope, '=') : NULL;
    CLEANUP(free_voidp) char *label = xstrdup(scope);
    json_t *object;

    if (!scope)
        return EXIT_OK;
    if (equals && equals != scope && equals[1])
        label[equals - scope] = 0;
    object = equals ? json_pack("{s:s}", label, equals + 1) : NULL;
    if (!object || !equals[1] || equals == scope) {
        json_decref(object);
        return complain(EXIT_USAGE, "--scope %s: expected LABEL=VALUE, like site=tokyo", scope);
    }
    (void)json_object_set_new(body, "scope", object);
    return EXIT_OK;
}
