/* SPDX-License-Identifier: Apache-2.0 */
/* The web console's files. */
#include <string.h>

#include "controller/main/app.h"

void get_root(void *user, const struct http_request *q, struct http_response *a)
{
    (void)user;
    (void)q;
    a->status = 308;
    http_header(a, "Location", "/ui/");
}

/* A view's address, /ui/flows/denied, is the page's to understand; what looks like a file is not.
 */
static bool is_view(const char *name)
{
    const char *slash = strrchr(name, '/');

    return strchr(slash ? slash : name, '.') == NULL;
}

static void answer(const struct app *app, const char *name, const struct http_request *q,
                   struct http_response *a)
{
    const struct webfile *f = webfiles_find(app->web, name);

    if (!f && is_view(name))
        f = webfiles_find(app->web, "index.html");
    if (f)
        webfile_answer(f, q, a);
    else if (app->web)
        http_problem(a, 404, "the web console has no such file");
    else
        http_problem(a, 404, "the web console is not installed: see --web-dir");
}

void get_ui(void *user, const struct http_request *q, struct http_response *a)
{
    answer(user, "index.html", q, a);
}

void get_ui_file(void *user, const struct http_request *q, struct http_response *a)
{
    answer(user, q->param, q, a);
}
