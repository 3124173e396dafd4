/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 8259 section 7; see json.h. */
#include "text/json.h"

#include "base/utf8.h"

void json_quote(struct buf *b, const char *s)
{
    size_t len = strlen(s), n;
    uint32_t c;

    buf_putc(b, '"');
    for (size_t i = 0; i < len; i += n) {
        n = utf8_decode(s + i, len - i, &c);
        if (!n) {
            buf_puts(b, "\xef\xbf\xbd");
            n = 1;
        } else if (c == '"' || c == '\\') {
            buf_printf(b, "\\%c", (char)c);
        } else if (c < 0x20 || (c < 0x10000 && !utf8_printable(s + i, n))) {
            buf_printf(b, "\\u%04x", c);
        } else {
            buf_add(b, s + i, n);
        }
    }
    buf_putc(b, '"');
}

void json_text(struct buf *b, const char *key, const char *s)
{
    buf_printf(b, "\"%s\": ", key);
    if (s)
        json_quote(b, s);
    else
        buf_puts(b, "null");
}
