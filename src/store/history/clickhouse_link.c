/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP to ClickHouse by libcurl; each question has a handle of its own, as threads ask. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "base/number.h"
#include "store/history/clickhouse.h"
#include "sys/file.h"

enum { CONNECT_MS = 3000, SILENT_S = 60, SECRET_MAX = 1000 };

/* ---- where ---- */

static bool copy_name(char to[CLICKHOUSE_NAME], const char *from, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)from[i]) && from[i] != '_')
            return false;
    if (!len || len >= CLICKHOUSE_NAME)
        return false;
    memcpy(to, from, len);
    to[len] = '\0';
    return true;
}

static int read_secret(const char *path, char **ret_secret)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    int r = file_read(path, SECRET_MAX, &b);

    if (r < 0)
        return r;
    while (b.size && (b.data[b.size - 1] == '\n' || b.data[b.size - 1] == '\r'))
        b.data[--b.size] = '\0';
    if (strcspn(buf_str(&b), "\r\n") != b.size) /* It becomes a header. */
        return -EINVAL;
    *ret_secret = buf_take(&b);
    return 0;
}

int clickhouse_link_init(struct clickhouse_link *l, const char *where, size_t len,
                         const char *password_file)
{
    CLEANUP(buf_done) struct buf url = BUF_INIT;
    const char *end = where + len, *host, *slash, *at;
    size_t scheme = strncmp(where, "http://", 7) == 0    ? 7
                    : strncmp(where, "https://", 8) == 0 ? 8
                                                         : 0;

    *l = (struct clickhouse_link){.user = "default"};
    host = where + scheme;
    slash = memchr(host, '/', len > scheme ? len - scheme : 0);
    if (!scheme || !slash || slash == host ||
        !copy_name(l->database, slash + 1, (size_t)(end - slash - 1)))
        return -EINVAL;
    at = memchr(host, '@', (size_t)(slash - host));
    if (at && !copy_name(l->user, host, (size_t)(at - host)))
        return -EINVAL;
    buf_add(&url, where, scheme);
    host = at ? at + 1 : host;
    buf_add(&url, host, (size_t)(slash - host));
    buf_putc(&url, '/');
    l->url = buf_take(&url);
    return password_file ? read_secret(password_file, &l->secret) : 0;
}

void clickhouse_link_done(struct clickhouse_link *l)
{
    free(l->url);
    free(l->secret);
}

/* ---- asking ---- */

struct transfer {
    const struct clickhouse_link *link;
    const struct clickhouse_ask *ask;
    CURL *curl;
    int result; /* Of 'take'. */
};

static size_t came(char *data, size_t one, size_t n, void *user)
{
    struct transfer *t = user;
    long status = 0;

    (void)one; /* 1, says libcurl. */
    (void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200 && t->ask->take && t->result == 0)
        t->result = t->ask->take(t->ask->user, data, n);
    return t->result ? 0 : n;
}

static int progressed(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct transfer *t = user;

    if (t->link->stops)
        return 1;
    (void)a, (void)b, (void)c, (void)d;
    return t->ask->cancel && *t->ask->cancel;
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value)
{
    CLEANUP(buf_done) struct buf line = BUF_INIT;
    struct curl_slist *more;

    buf_printf(&line, "%s: %s", name, value);
    more = curl_slist_append(list, buf_str(&line));
    if (!more)
        abort(); /* Out of memory. */
    return more;
}

static void put_escaped(struct buf *b, const char *text)
{
    for (; *text; text++)
        if (isalnum((unsigned char)*text))
            buf_putc(b, *text);
        else
            buf_printf(b, "%%%02X", (unsigned)(unsigned char)*text);
}

/* With a body the query stands in the URL. */
static void put_url(struct buf *url, const struct clickhouse_link *l,
                    const struct clickhouse_ask *a)
{
    buf_printf(url, "%s?wait_end_of_query=1", l->url);
    if (a->query_id)
        buf_printf(url, "&query_id=%s", a->query_id);
    if (a->body) {
        buf_puts(url, "&query=");
        put_escaped(url, a->sql);
    }
}

static int error_of(CURLcode code, const struct transfer *t)
{
    long status = 0;

    if (t->result)
        return t->result;
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return -ECANCELED;
    if (code == CURLE_OPERATION_TIMEDOUT)
        return -ETIMEDOUT;
    if (code != CURLE_OK)
        return -EHOSTUNREACH;
    (void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    return status == 200 ? 0 : -EIO;
}

int clickhouse_ask(const struct clickhouse_link *l, const struct clickhouse_ask *a)
{
    CLEANUP(buf_done) struct buf url = BUF_INIT;
    struct transfer t = {.link = l, .ask = a, .curl = curl_easy_init()};
    struct curl_slist *headers = add_header(NULL, "X-ClickHouse-User", l->user);
    int r;

    if (!t.curl)
        abort(); /* Out of memory. */
    if (l->secret)
        headers = add_header(headers, "X-ClickHouse-Key", l->secret);
    headers = add_header(headers, "Expect", "");
    put_url(&url, l, a);
    (void)curl_easy_setopt(t.curl, CURLOPT_URL, buf_str(&url));
    (void)curl_easy_setopt(t.curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(t.curl, CURLOPT_POST, 1L);
    (void)curl_easy_setopt(t.curl, CURLOPT_POSTFIELDS, a->body ? buf_str(a->body) : a->sql);
    (void)curl_easy_setopt(t.curl, CURLOPT_POSTFIELDSIZE_LARGE,
                           (curl_off_t)(a->body ? a->body->size : strlen(a->sql)));
    (void)curl_easy_setopt(t.curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(t.curl, CURLOPT_NOPROXY, "*");
    (void)curl_easy_setopt(t.curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    (void)curl_easy_setopt(t.curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    (void)curl_easy_setopt(t.curl, CURLOPT_LOW_SPEED_TIME, (long)SILENT_S);
    (void)curl_easy_setopt(t.curl, CURLOPT_WRITEFUNCTION, came);
    (void)curl_easy_setopt(t.curl, CURLOPT_WRITEDATA, &t);
    (void)curl_easy_setopt(t.curl, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(t.curl, CURLOPT_XFERINFOFUNCTION, progressed);
    (void)curl_easy_setopt(t.curl, CURLOPT_XFERINFODATA, &t);
    r = error_of(curl_easy_perform(t.curl), &t);
    curl_slist_free_all(headers);
    curl_easy_cleanup(t.curl);
    return r;
}

static int gather(void *user, const void *data, size_t size)
{
    struct buf *b = user;

    if (b->size + size > SECRET_MAX)
        return -EIO; /* That is no number. */
    buf_add(b, data, size);
    return 0;
}

int clickhouse_number(const struct clickhouse_link *l, const char *sql, uint64_t *ret)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    const struct clickhouse_ask a = {.sql = sql, .take = gather, .user = &b};
    int r = clickhouse_ask(l, &a);

    if (r < 0)
        return r;
    return number_parse(buf_str(&b), strcspn(buf_str(&b), "\n"), UINT64_MAX, ret) < 0 ? -EIO : 0;
}
