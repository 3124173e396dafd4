/* SPDX-License-Identifier: Apache-2.0 */
/* nft_driver.c - the nftables enforcer alone, driven by lines on standard input; for tests
 *
 *     load PROGRAM_FILE     check     detach     bye
 *
 * Each line is answered by one JSON line: {"ok": bool, "result": number, "revision": number,
 * "why": text}. */
#include <errno.h>
#include <stdio.h>

#include <jansson.h>

#include "enforce/nft/nft.h"
#include "sys/sealed.h"
#include "wire/records.h"

enum { LINE_SIZE = 4096, MAX_PROGRAM = 1 << 28 };

static int load(struct nft *n, const char *path, struct buf *why)
{
    CLEANUP(buf_done) struct buf bytes = BUF_INIT;
    CLEANUP(program_freep) struct program *p = NULL;
    const char *what = "";
    int r = sealed_read(path, MAX_PROGRAM, &bytes);

    if (r == 0)
        r = program_decode(bytes.data, bytes.size, &p, &what);
    if (r < 0) {
        buf_printf(why, "%s: %s %s", path, strerror(-r), what);
        return r;
    }
    return nft_load(n, p, why);
}

static int obey(struct nft *n, const char *line, struct buf *why)
{
    if (strncmp(line, "load ", 5) == 0)
        return load(n, line + 5, why);
    if (strcmp(line, "check") == 0)
        return nft_check(n, why);
    return strcmp(line, "detach") == 0 ? nft_detach(n, why) : -EINVAL;
}

int main(int argc, char *argv[])
{
    CLEANUP(nft_freep) struct nft *n = NULL;
    char line[LINE_SIZE];

    if (nft_new(&(struct nft_options){.binary = argc > 1 ? argv[1] : NULL}, &n) < 0)
        return 1;
    while (fgets(line, sizeof(line), stdin)) {
        CLEANUP(buf_done) struct buf why = BUF_INIT;
        int r;

        line[strcspn(line, "\n")] = 0;
        if (strcmp(line, "bye") == 0)
            break;
        r = obey(n, line, &why);
        (void)json_dumpf(json_pack("{sb si sI ss}", "ok", r >= 0, "result", r, "revision",
                                   (json_int_t)nft_revision(n), "why", buf_str(&why)),
                         stdout, JSON_COMPACT | JSON_ENCODE_ANY);
        putchar('\n');
        (void)fflush(stdout);
    }
    return 0;
}
