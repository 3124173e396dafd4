/* SPDX-License-Identifier: Apache-2.0 */
/* A dictionary that a crash or a bad disk left: each number reads as one text, and is found by it.
 */
#include <stdlib.h>

#include "store/history/columns.h"
#include "store/history/frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct frames_found found;
    struct texts t;

    texts_init(&t);
    columns_take_texts(&t, data, size, &found);
    if (found.end > size)
        abort();
    for (text_t i = 0; i < t.n && i < 10000; i++) {
        const char *text = texts_of(&t, i);
        text_t known = texts_find(&t, text, strlen(text));

        if (strcmp(texts_of(&t, known), text) != 0)
            abort();
    }
    texts_done(&t);
    return 0;
}
