/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL's PEM and X.509; see identity.h. */
#include "agent/net/identity.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "sys/file.h"

enum { MAX_PEM_SIZE = 65536 };

void identity_done(struct identity *id)
{
    if (id->key_pem)
        OPENSSL_cleanse(id->key_pem, strlen(id->key_pem));
    free(id->key_pem);
    free(id->chain_pem);
    free(id->ca_pem);
    *id = (struct identity){.key_pem = NULL};
}

static int read_file(const char *dir, const char *name, char **ret_text)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    char path[512];
    int r;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    r = file_read(path, MAX_PEM_SIZE, &text);
    if (r < 0)
        return r;
    *ret_text = buf_take(&text);
    return 0;
}

static int64_t unix_time(const ASN1_TIME *t)
{
    struct tm tm;

    return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

int identity_read_chain(struct identity *id)
{
    BIO *bio = BIO_new_mem_buf(id->chain_pem, -1);
    X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    int r = -EINVAL;

    if (certificate && X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName,
                                                 id->name, sizeof(id->name)) > 0) {
        id->not_before_s = unix_time(X509_get0_notBefore(certificate));
        id->not_after_s = unix_time(X509_get0_notAfter(certificate));
        r = 0;
    }
    X509_free(certificate);
    BIO_free(bio);
    return r;
}

int identity_load(const char *dir, struct identity *ret_id, const char **ret_what)
{
    CLEANUP(identity_done) struct identity id = {.key_pem = NULL};
    int r;

    *ret_what = "key.pem";
    r = read_file(dir, "key.pem", &id.key_pem);
    if (r == 0)
        *ret_what = "chain.pem", r = read_file(dir, "chain.pem", &id.chain_pem);
    if (r == 0)
        r = identity_read_chain(&id);
    if (r == 0)
        *ret_what = "ca.pem", r = read_file(dir, "ca.pem", &id.ca_pem);
    if (r < 0)
        return r;
    *ret_id = id;
    id = (struct identity){.key_pem = NULL};
    return 0;
}

/* What was written to a memory BIO, as a string. */
static char *text_of(BIO *bio)
{
    char *data = NULL, *text;
    long size = BIO_get_mem_data(bio, &data);

    if (size <= 0 || !data)
        return NULL;
    text = xcalloc((size_t)size + 1, 1);
    memcpy(text, data, (size_t)size);
    return text;
}

char *identity_new_key(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;

    if (key && bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1)
        text = text_of(bio);
    BIO_free(bio);
    EVP_PKEY_free(key);
    return text;
}

char *identity_request(const char *key_pem)
{
    BIO *in = BIO_new_mem_buf(key_pem, -1), *out = BIO_new(BIO_s_mem());
    EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, NULL, NULL) : NULL;
    X509_REQ *request = X509_REQ_new();
    char *text = NULL;

    if (key && request && out && X509_REQ_set_version(request, 0) == 1 &&
        X509_REQ_set_pubkey(request, key) == 1 && X509_REQ_sign(request, key, EVP_sha256()) > 0 &&
        PEM_write_bio_X509_REQ(out, request) == 1)
        text = text_of(out);
    X509_REQ_free(request);
    EVP_PKEY_free(key);
    BIO_free(in);
    BIO_free(out);
    return text;
}

static int store(const char *dir, const char *name, const char *text)
{
    char path[512];

    if (!text)
        return 0;
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return file_write(path, text, strlen(text), 0600);
}

int identity_store(const char *dir, const char *key_pem, const char *chain_pem, const char *ca_pem)
{
    int r = store(dir, "key.pem", key_pem);

    if (r == 0)
        r = store(dir, "ca.pem", ca_pem);
    return r == 0 ? store(dir, "chain.pem", chain_pem) : r;
}
