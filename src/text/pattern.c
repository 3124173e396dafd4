/* SPDX-License-Identifier: Apache-2.0 */
/* Regular expressions, put together from parts; see pattern.h. */
#include "text/pattern.h"

#include "core/model.h"

#define END "$(?!\n)"
#define WHOLE(regex) "^(" regex ")" END

/* What utf8_printable() refuses, for the inside of brackets. */
#define HIDDEN                                                                                     \
    "\\u0000-\\u001f\\u007f-\\u009f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff"           \
    "\\ufff9-\\ufffb\xf3\xa0\x80\x80-\xf3\xa0\x81\xbf"
/* Neither begins nor ends with a blank; 'not' is for brackets too. */
#define PRINTABLE(not ) "(?! )[^" HIDDEN not "]*[^ " HIDDEN not "]"

#define NAME_63 "[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}"
#define USER_63 "[a-zA-Z0-9][a-zA-Z0-9._@-]{0,62}"

#define PORT_NUMBER                                                                                \
    "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
#define OCTET "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define ICMP_NAMES "echo-reply|unreachable|redirect|echo|time-exceeded|parameter-problem|timestamp"
#define PORT                                                                                       \
    "(tcp|udp)/" PORT_NUMBER "(-" PORT_NUMBER ")?|icmp/(" ICMP_NAMES "|" OCTET "(-" OCTET ")?)"

#define LEAP_YEAR "((19|[2-9][0-9])(0[48]|[2468][048]|[13579][26])|([2468][048]|[3579][26])00)"
#define DAY                                                                                        \
    "(19[7-9][0-9]|[2-9][0-9]{3})-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|"                     \
    "(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|"                                \
    "(?!19[0-6])" LEAP_YEAR "-02-29"

#define V4 OCTET "(\\." OCTET "){3}"
#define H "[0-9a-fA-F]{1,4}"
#define V6                                                                                         \
    "((" H ":){7}" H "|(" H ":){1,7}:|(" H ":){1,6}:" H "|(" H ":){1,5}(:" H "){1,2}|"             \
    "(" H ":){1,4}(:" H "){1,3}|(" H ":){1,3}(:" H "){1,4}|(" H ":){1,2}(:" H "){1,5}|" H ":(:" H  \
    "){1,6}|:((:" H "){1,7}|:)|(" H ":){6}" V4 "|(" H ":){1,5}:" V4 "|(" H ":){1,4}:" H ":" V4     \
    "|(" H ":){1,3}(:" H "){1,2}:" V4 "|(" H ":){1,2}(:" H "){1,3}:" V4 "|" H ":(:" H "){1,4}:" V4 \
    "|::(" H ":){0,5}" V4 ")"
#define PREFIX V4 "(/(3[0-2]|[12]?[0-9]))?|" V6 "(/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))?"
/* Of one machine: no loopback, no multicast, not "this network". */
#define UNICAST_4 "(?!127\\.)([1-9]|[1-9][0-9]|1[0-9]{2}|2[01][0-9]|22[0-3])(\\." OCTET "){3}"
#define UNICAST_6 "(?![fF][fF]|::1?$)" V6

/* Of one machine: the lowest bit of the first byte is for groups. */
#define HEX "[0-9a-fA-F]"
#define MAC HEX "[02468aceACE](:" HEX "{2}){5}"

struct pattern pattern_of(enum grammar grammar)
{
    switch (grammar) {
    case GRAMMAR_NAME:
        return (struct pattern){.regex = WHOLE(NAME_63)};
    case GRAMMAR_PORT_NAME:
        return (struct pattern){.regex = WHOLE("[a-zA-Z0-9][a-zA-Z0-9/.:-]{0,62}")};
    case GRAMMAR_REF:
        return (struct pattern){.regex = WHOLE(NAME_63), .refused = WHOLE(V4)};
    case GRAMMAR_USER:
        return (struct pattern){.regex = WHOLE(USER_63)};
    case GRAMMAR_USER_REF:
        return (struct pattern){.regex = WHOLE("@" NAME_63 "|" USER_63)};
    case GRAMMAR_VALUE:
        return (struct pattern){.regex = WHOLE(PRINTABLE("\"'`\\\\{};<>&$")),
                                .max_len = MODEL_VALUE_LEN};
    case GRAMMAR_TEXT:
        /* Perhaps with the line's end of a block; 500 is MODEL_TEXT_LEN. */
        return (struct pattern){.regex = "^(?=.{1,500}\n?" END ")(" PRINTABLE("") ")\n?" END};
    case GRAMMAR_PATH:
        return (struct pattern){.regex = WHOLE("(/(?!\\.{1,2}(/|$))[^/" HIDDEN "]+)+"),
                                .refused = " $",
                                .max_len = MODEL_PATH_LEN,
                                .text_only = true};
    case GRAMMAR_PORT:
        return (struct pattern){.regex = WHOLE(PORT), .text_only = true};
    case GRAMMAR_SERVICE:
        return (struct pattern){.regex = WHOLE(PORT "|" NAME_63)};
    case GRAMMAR_DAY:
        return (struct pattern){.regex = WHOLE(DAY), .text_only = true};
    case GRAMMAR_PREFIX:
        return (struct pattern){.regex = WHOLE(PREFIX), .text_only = true};
    case GRAMMAR_ADDRESS:
        return (struct pattern){.regex = WHOLE(UNICAST_4 "|" UNICAST_6), .text_only = true};
    case GRAMMAR_END:
        return (struct pattern){.regex = WHOLE(NAME_63 "|" V6)};
    case GRAMMAR_INTERFACE:
        return (struct pattern){.regex = WHOLE("[a-zA-Z0-9][a-zA-Z0-9._-]{0,14}")};
    case GRAMMAR_MAC:
        return (struct pattern){.regex = WHOLE("(?!00(:00){5})" MAC), .text_only = true};
    case GRAMMAR_ANY:
        break;
    }
    return (struct pattern){.regex = NULL};
}
