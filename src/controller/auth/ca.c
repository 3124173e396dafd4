/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/auth/ca.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>

#include "sys/file.h"

DEFINE_CLEANUP(X509, X509_free)
DEFINE_CLEANUP(X509_REQ, X509_REQ_free)
DEFINE_CLEANUP(BIO, BIO_free_all)
DEFINE_CLEANUP(EVP_PKEY, EVP_PKEY_free)

enum { SERIAL_BITS = 127, BACKDATE_S = 300, MAX_PEM = 65536 };

struct ca {
    EVP_PKEY *key;
    X509 *certificate;
    struct buf pem;
    char fingerprint[2 * TLS_PIN_SIZE + 1];
};

void ca_free(struct ca *ca)
{
    if (!ca)
        return;
    EVP_PKEY_free(ca->key);
    X509_free(ca->certificate);
    buf_done(&ca->pem);
    free(ca);
}

const char *ca_pem(const struct ca *ca)
{
    return buf_str(&ca->pem);
}

const char *ca_fingerprint(const struct ca *ca)
{
    return ca->fingerprint;
}

static BIO *memory(const char *pem)
{
    BIO *bio = pem ? BIO_new_mem_buf(pem, -1) : BIO_new(BIO_s_mem());

    if (!bio)
        abort(); /* Out of memory. */
    return bio;
}

static void take_bio(BIO *bio, struct buf *out)
{
    char *data = NULL;
    long n = BIO_get_mem_data(bio, &data);

    if (n > 0)
        buf_add(out, data, (size_t)n);
}

static int add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509_EXTENSION *extension;
    X509V3_CTX context;
    int good;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509V3_set_ctx_nodb(&context);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    good = extension && X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return good ? 0 : -EINVAL;
}

static int set_serial(X509 *certificate)
{
    BIGNUM *number = BN_new();
    int good = number && BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) &&
               BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));

    BN_free(number);
    return good ? 0 : -EIO;
}

/* A certificate with everything but extensions and signature. */
static X509 *blank(const char *name, EVP_PKEY *key, const X509 *issuer, int64_t life_s)
{
    CLEANUP(X509_freep) X509 *c = X509_new();
    X509_NAME *subject = c ? X509_get_subject_name(c) : NULL;

    if (!c || X509_set_version(c, X509_VERSION_3) != 1 || set_serial(c) < 0 ||
        !X509_gmtime_adj(X509_getm_notBefore(c), -BACKDATE_S) ||
        !X509_gmtime_adj(X509_getm_notAfter(c), (long)life_s) ||
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1,
                                   -1, 0) != 1 ||
        X509_set_issuer_name(c, issuer ? X509_get_subject_name(issuer) : subject) != 1 ||
        X509_set_pubkey(c, key) != 1)
        return NULL;
    return TAKE_PTR(c);
}

static int sign_into(X509 *c, EVP_PKEY *key, struct buf *out)
{
    CLEANUP(BIO_free_allp) BIO *bio = memory(NULL);

    if (X509_sign(c, key, EVP_sha256()) == 0 || PEM_write_bio_X509(bio, c) != 1)
        return -EIO;
    take_bio(bio, out);
    return 0;
}

static int key_into(EVP_PKEY *key, struct buf *out)
{
    CLEANUP(BIO_free_allp) BIO *bio = memory(NULL);

    if (PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
        return -EIO;
    take_bio(bio, out);
    return 0;
}

static int make(const char *key_path, const char *crt_path)
{
    CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = EVP_EC_gen("P-256");
    CLEANUP(X509_freep)
    X509 *c = key ? blank("Suimitsu CA", key, NULL, (int64_t)CA_LIFE_DAYS * 86400) : NULL;
    CLEANUP(buf_done) struct buf key_pem = BUF_INIT;
    CLEANUP(buf_done) struct buf crt_pem = BUF_INIT;
    int r;

    if (!c || add_extension(c, c, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") < 0 ||
        add_extension(c, c, NID_key_usage, "critical,keyCertSign,cRLSign") < 0 ||
        add_extension(c, c, NID_subject_key_identifier, "hash") < 0)
        return -EIO;
    r = sign_into(c, key, &crt_pem);
    if (r < 0)
        return r;
    r = key_into(key, &key_pem);
    if (r < 0)
        return r;
    r = file_write(key_path, key_pem.data, key_pem.size, 0600);
    OPENSSL_cleanse(key_pem.data, key_pem.size);
    return r < 0 ? r : file_write(crt_path, crt_pem.data, crt_pem.size, 0644);
}

static int load(struct ca *ca, const char *key_path, const char *crt_path)
{
    CLEANUP(buf_done) struct buf key_pem = BUF_INIT;
    CLEANUP(BIO_free_allp) BIO *key_bio = NULL;
    CLEANUP(BIO_free_allp) BIO *crt_bio = NULL;
    uint8_t pin[TLS_PIN_SIZE];
    int r = file_read(key_path, MAX_PEM, &key_pem);

    if (r == 0)
        r = file_read(crt_path, MAX_PEM, &ca->pem);
    if (r < 0)
        return r == -ENOENT ? -EUCLEAN : r;
    key_bio = memory(buf_str(&key_pem));
    crt_bio = memory(buf_str(&ca->pem));
    ca->key = PEM_read_bio_PrivateKey(key_bio, NULL, NULL, NULL);
    ca->certificate = PEM_read_bio_X509(crt_bio, NULL, NULL, NULL);
    if (key_pem.data)
        OPENSSL_cleanse(key_pem.data, key_pem.size);
    if (!ca->key || !ca->certificate || X509_check_private_key(ca->certificate, ca->key) != 1 ||
        tls_fingerprint(buf_str(&ca->pem), pin) < 0)
        return -EUCLEAN;
    for (size_t i = 0; i < sizeof(pin); i++)
        (void)snprintf(ca->fingerprint + 2 * i, 3, "%02x", pin[i]);
    return 0;
}

int ca_open(const char *folder, struct ca **ret_ca, const char **ret_what)
{
    CLEANUP(ca_freep) struct ca *ca = xcalloc(1, sizeof(*ca));
    CLEANUP(buf_done) struct buf key_path = BUF_INIT;
    CLEANUP(buf_done) struct buf crt_path = BUF_INIT;
    struct stat there;
    int r = 0;

    buf_printf(&key_path, "%s/ca.key", folder);
    buf_printf(&crt_path, "%s/ca.crt", folder);
    *ret_what = "ca.key or ca.crt cannot be made";
    if (stat(key_path.data, &there) < 0 && stat(crt_path.data, &there) < 0)
        r = make(key_path.data, crt_path.data);
    if (r < 0)
        return r;
    *ret_what = "ca.key or ca.crt is missing, damaged, or they do not belong together";
    r = load(ca, key_path.data, crt_path.data);
    ERR_clear_error();
    if (r < 0)
        return r;
    *ret_ca = TAKE_PTR(ca);
    return 0;
}

static bool is_address(const char *name)
{
    uint8_t room[16];

    return inet_pton(AF_INET, name, room) == 1 || inet_pton(AF_INET6, name, room) == 1;
}

int ca_issue_server(struct ca *ca, const char *const names[], size_t n_names, struct buf *ret_key,
                    struct buf *ret_chain)
{
    CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = EVP_EC_gen("P-256");
    CLEANUP(X509_freep)
    X509 *c =
        key ? blank(TLS_CONTROLLER_NAME, key, ca->certificate, (int64_t)CA_SERVER_LIFE_DAYS * 86400)
            : NULL;
    CLEANUP(buf_done) struct buf alternatives = BUF_INIT;
    int r;

    buf_puts(&alternatives, "DNS:" TLS_CONTROLLER_NAME);
    for (size_t i = 0; i < n_names; i++) {
        if (strpbrk(names[i], ",:") && !is_address(names[i]))
            return -EINVAL;
        buf_printf(&alternatives, ",%s:%s", is_address(names[i]) ? "IP" : "DNS", names[i]);
    }
    if (!c || add_extension(c, ca->certificate, NID_basic_constraints, "critical,CA:FALSE") < 0 ||
        add_extension(c, ca->certificate, NID_key_usage, "critical,digitalSignature") < 0 ||
        add_extension(c, ca->certificate, NID_ext_key_usage, "serverAuth") < 0 ||
        add_extension(c, ca->certificate, NID_subject_alt_name, buf_str(&alternatives)) < 0)
        return -EINVAL;
    r = sign_into(c, ca->key, ret_chain);
    if (r < 0)
        return r;
    buf_puts(ret_chain, ca_pem(ca));
    return key_into(key, ret_key);
}

/* Only what TLS 1.3 signs well with: P-256, P-384, Ed25519, or RSA from 2048 bits. */
static bool strong(EVP_PKEY *key)
{
    int id = EVP_PKEY_get_base_id(key);

    return id == EVP_PKEY_ED25519 || (id == EVP_PKEY_EC && EVP_PKEY_get_bits(key) >= 256) ||
           (id == EVP_PKEY_RSA && EVP_PKEY_get_bits(key) >= 2048 && EVP_PKEY_get_bits(key) <= 8192);
}

static void serial_of(const X509 *c, char serial[TLS_SERIAL_SIZE])
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(c), NULL);
    char *hex = number ? BN_bn2hex(number) : NULL;

    serial[0] = 0;
    if (hex && strlen(hex) < TLS_SERIAL_SIZE)
        memcpy(serial, hex, strlen(hex) + 1);
    OPENSSL_free(hex);
    BN_free(number);
}

int ca_issue_agent(struct ca *ca, const char *csr_pem, const char *endpoint, int64_t life_s,
                   struct buf *ret_chain, char ret_serial[TLS_SERIAL_SIZE])
{
    CLEANUP(BIO_free_allp) BIO *bio = memory(csr_pem);
    CLEANUP(X509_REQ_freep) X509_REQ *request = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
    CLEANUP(X509_freep) X509 *c = NULL;
    EVP_PKEY *key = request ? X509_REQ_get0_pubkey(request) : NULL;
    int r;

    if (!key || !strong(key) || X509_REQ_verify(request, key) != 1) {
        ERR_clear_error();
        return -EINVAL;
    }
    c = blank(endpoint, key, ca->certificate, life_s);
    if (!c || add_extension(c, ca->certificate, NID_basic_constraints, "critical,CA:FALSE") < 0 ||
        add_extension(c, ca->certificate, NID_key_usage, "critical,digitalSignature") < 0 ||
        add_extension(c, ca->certificate, NID_ext_key_usage, "clientAuth") < 0)
        return -EIO;
    r = sign_into(c, ca->key, ret_chain);
    if (r < 0)
        return r;
    buf_puts(ret_chain, ca_pem(ca));
    serial_of(c, ret_serial);
    return 0;
}
