/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>

/* What a function of SQLite returned, as -errno (https://sqlite.org/rescode.html, of which only the
 * primary codes are looked at); 0 also for "a row" and "done".  -EBUSY: another connection holds
 * the file's lock; -EUCLEAN: the file is damaged, or none of SQLite's.  Without memory it aborts.
 */
static inline int sqlite_error(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
        return 0;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return -EUCLEAN;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return -EACCES;
    case SQLITE_NOMEM:
        abort();
    case SQLITE_TOOBIG:
        return -E2BIG;
    default:
        return -EIO;
    }
}
