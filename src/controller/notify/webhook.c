/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/notify/webhook.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/log.h"
#include "sys/clock.h"
#include "sys/crew.h"

enum { ID_BYTES = 8, RETRY_FACTOR = 4, SIGNATURE_SIZE = 80 };

struct delivery { /* The thread's, while it is under way. */
    struct crew_job job;
    struct webhook *webhook;
    const char *url, *ca_file; /* The webhook's; they do not change. */
    char id[2 * ID_BYTES + 1], timestamp[24], signature[SIGNATURE_SIZE];
    char *body;
    size_t n_events;
    long status; /* 0: no answer. */
};

struct webhook {
    struct loop *loop;
    struct crew *crew;
    struct timer *timer;
    char *url, *secret, *ca_file;
    json_t *waiting;
    struct delivery *delivery; /* What is to be delivered now; NULL: nothing. */
    bool is_under_way;
    unsigned attempts;
    uint64_t retry_ms;
    struct webhook_counts counts;
};

void webhook_sign(const char *secret, const char *timestamp, const char *body, size_t size,
                  char ret_signature[SIGNATURE_SIZE])
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    size_t at;

    buf_printf(&text, "%s.", timestamp);
    buf_add(&text, body, size);
    if (!HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)text.data,
              text.size, mac, &n))
        abort(); /* Out of memory. */
    at = (size_t)snprintf(ret_signature, SIGNATURE_SIZE, "sha256=");
    for (unsigned i = 0; i < n && at + 2 < SIGNATURE_SIZE; i++, at += 2)
        (void)snprintf(ret_signature + at, 3, "%02x", mac[i]);
}

/* ---- the thread ---- */

static size_t ignore(char *data, size_t size, size_t n, void *unused)
{
    (void)data;
    (void)unused;
    return size * n;
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct curl_slist *more;

    buf_printf(&b, "%s: %s", name, value);
    more = curl_slist_append(list, buf_str(&b));
    return more ? more : list;
}

static void run(struct crew_job *job)
{
    struct delivery *d = (struct delivery *)job;
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = NULL;

    d->status = 0;
    if (!curl)
        return;
    headers = add_header(headers, "Content-Type", "application/json");
    headers = add_header(headers, "X-Suimitsu-Delivery", d->id);
    headers = add_header(headers, "X-Suimitsu-Timestamp", d->timestamp);
    headers = add_header(headers, "X-Suimitsu-Signature", d->signature);
    (void)curl_easy_setopt(curl, CURLOPT_URL, d->url);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)WEBHOOK_TIMEOUT_S);
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "suimitsud/" SUIMITSU_VERSION);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(d->body));
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, d->body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
    if (d->ca_file)
        (void)curl_easy_setopt(curl, CURLOPT_CAINFO, d->ca_file);
    if (curl_easy_perform(curl) == CURLE_OK)
        (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &d->status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
}

/* ---- the loop ---- */

static void free_delivery(struct delivery *d)
{
    if (!d)
        return;
    free(d->body);
    free(d);
}

static void start(struct webhook *w)
{
    w->is_under_way = crew_submit(w->crew, &w->delivery->job) == 0;
    if (!w->is_under_way)
        timer_start(w->timer, w->retry_ms);
}

static bool is_worth_another(long status)
{
    return status == 0 || status == 408 || status == 429 || status >= 500;
}

static void done(struct crew_job *job, bool has_run)
{
    struct delivery *d = (struct delivery *)job;
    struct webhook *w = d->webhook;
    uint64_t pause_ms = w->retry_ms;

    w->is_under_way = false;
    if (!has_run)
        return; /* The end. */
    if (d->status < 200 || d->status > 299) {
        w->attempts++;
        for (unsigned i = 1; i < w->attempts; i++)
            pause_ms *= RETRY_FACTOR;
        if (is_worth_another(d->status) && w->attempts < WEBHOOK_ATTEMPTS) {
            w->counts.retried++;
            timer_start(w->timer, pause_ms);
            return;
        }
        log_warn("webhook: delivery %s is given up after %u attempts, last status %ld; %zu events "
                 "are lost to it",
                 d->id, w->attempts, d->status, d->n_events);
        w->counts.dropped += d->n_events;
    } else {
        w->counts.delivered += d->n_events;
    }
    w->delivery = NULL;
    free_delivery(d);
    if (json_array_size(w->waiting))
        timer_start(w->timer, WEBHOOK_GATHER_MS);
}

/* The next batch, signed when it is first sent. */
static struct delivery *next_delivery(struct webhook *w)
{
    struct delivery *d = xcalloc(1, sizeof(*d));
    CLEANUP(json_decrefp) json_t *batch = json_array();
    CLEANUP(json_decrefp) json_t *body = NULL;
    unsigned char bytes[ID_BYTES];

    while (json_array_size(w->waiting) && json_array_size(batch) < WEBHOOK_BATCH) {
        (void)json_array_append(batch, json_array_get(w->waiting, 0));
        (void)json_array_remove(w->waiting, 0);
    }
    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        abort(); /* No randomness. */
    for (size_t i = 0; i < sizeof(bytes); i++)
        (void)snprintf(d->id + 2 * i, 3, "%02x", bytes[i]);
    d->n_events = json_array_size(batch);
    body = json_pack("{s:s,s:O}", "id", d->id, "events", batch);
    d->body = json_dumps(body, JSON_COMPACT);
    if (!d->body)
        abort(); /* Out of memory. */
    d->job = (struct crew_job){.run = run, .done = done};
    d->webhook = w;
    d->url = w->url;
    d->ca_file = w->ca_file;
    return d;
}

static void go_on(void *webhook)
{
    struct webhook *w = webhook;

    if (w->is_under_way)
        return;
    if (!w->delivery && json_array_size(w->waiting)) {
        w->delivery = next_delivery(w);
        w->attempts = 0;
    }
    if (!w->delivery)
        return;
    (void)snprintf(w->delivery->timestamp, sizeof(w->delivery->timestamp), "%lld",
                   (long long)clock_unix_s());
    webhook_sign(w->secret, w->delivery->timestamp, w->delivery->body, strlen(w->delivery->body),
                 w->delivery->signature);
    start(w);
}

struct webhook *webhook_new(struct loop *l, const char *url, const char *secret,
                            const char *ca_file, uint64_t retry_ms)
{
    struct webhook *w = xcalloc(1, sizeof(*w));

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        abort(); /* Out of memory. */
    w->loop = l;
    w->crew = crew_new(l, 1, 1);
    w->timer = timer_new(l, go_on, w);
    w->url = xstrdup(url);
    w->secret = xstrdup(secret);
    w->ca_file = xstrdup(ca_file);
    w->waiting = json_array();
    w->retry_ms = retry_ms;
    return w;
}

void webhook_free(struct webhook *w)
{
    if (!w)
        return;
    crew_free(w->crew); /* At most WEBHOOK_TIMEOUT_S. */
    timer_free(w->timer);
    free_delivery(w->delivery);
    json_decref(w->waiting);
    explicit_bzero(w->secret, strlen(w->secret));
    free(w->secret);
    free(w->url);
    free(w->ca_file);
    free(w);
    curl_global_cleanup();
}

void webhook_send(struct webhook *w, json_t *event)
{
    if (json_array_size(w->waiting) >= WEBHOOK_MAX_WAITING) {
        w->counts.dropped++;
        json_decref(event);
        return;
    }
    (void)json_array_append_new(w->waiting, event);
    if (!w->delivery && !timer_is_running(w->timer))
        timer_start(w->timer, WEBHOOK_GATHER_MS);
}

struct webhook_counts webhook_counts(const struct webhook *w)
{
    return w->counts;
}
