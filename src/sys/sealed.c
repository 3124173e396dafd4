/* SPDX-License-Identifier: Apache-2.0 */
/* file.h does the durable part; see sealed.h. */
#include "sys/sealed.h"

#include <errno.h>

#include <openssl/sha.h>

#include "base/reader.h"
#include "sys/file.h"

static const char magic[8] = {'S', 'M', 'S', 'E', 'A', 'L', '1', '\n'};

int sealed_write(const char *path, const void *data, size_t size)
{
    CLEANUP(buf_done) struct buf whole = BUF_INIT;
    unsigned char digest[SHA256_DIGEST_LENGTH];

    SHA256(data, size, digest);
    buf_add(&whole, magic, sizeof(magic));
    buf_add(&whole, digest, sizeof(digest));
    buf_add(&whole, data, size);
    return file_write(path, whole.data, whole.size, 0600);
}

int sealed_read(const char *path, size_t max, struct buf *out)
{
    CLEANUP(buf_done) struct buf whole = BUF_INIT;
    unsigned char digest[SHA256_DIGEST_LENGTH];
    const void *start, *written;
    struct reader r;
    int result = file_read(path, max + sizeof(magic) + sizeof(digest), &whole);

    if (result < 0)
        return result;
    r = reader_of(whole.data, whole.size);
    start = reader_bytes(&r, sizeof(magic));
    written = reader_bytes(&r, sizeof(digest));
    if (!written || memcmp(start, magic, sizeof(magic)) != 0)
        return -EBADMSG;
    SHA256(r.p, r.left, digest);
    if (memcmp(digest, written, sizeof(digest)) != 0)
        return -EBADMSG;
    buf_add(out, r.p, r.left);
    return 0;
}
