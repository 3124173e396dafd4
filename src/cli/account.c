/* SPDX-License-Identifier: Apache-2.0 */
/* People who may log in.  A password comes from the terminal, a file or standard input, and never
 * stands in the command line, which every user of the machine can read. */
#include <errno.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "sys/file.h"

enum { MAX_PASSWORD = 256, MAX_FILE = 4096 };

static const struct option_spec account_options[] = {
    CLIENT_OPTIONS,
    {"role", 0, "ROLE", "viewer, auditor, operator, editor, approver or admin (default viewer)"},
    {"scope", 0, "LABEL=VALUE", "only endpoints with this label; for viewer and operator"},
    {"password-file", 0, "FILE", "the password's first line is taken; - is standard input"},
};

static const struct option_spec password_options[] = {
    CLIENT_OPTIONS,
    {"password-file", 0, "FILE", "the password's first line is taken; - is standard input"},
};

static const struct option_spec change_options[] = {
    CLIENT_OPTIONS,
    {"role", 0, "ROLE", "viewer, auditor, operator, editor, approver or admin"},
    {"scope", 0, "LABEL=VALUE", "only endpoints with this label; for viewer and operator"},
    {"no-scope", 0, NULL, "all endpoints"},
    {"disable", 0, NULL, "it can no longer log in; its sessions end"},
    {"enable", 0, NULL, "it can log in again"},
};

static const struct option_spec plain_options[] = {CLIENT_OPTIONS};

static void wipe(struct buf *b)
{
    if (b->data)
        explicit_bzero(b->data, b->room);
    buf_done(b);
}

static void cut_line(struct buf *b)
{
    size_t len = strcspn(buf_str(b), "\r\n");

    if (b->data)
        b->data[len] = 0;
    b->size = len;
}

/* One line without echo.  -ENOTTY: no terminal. */
static int ask_terminal(const char *question, struct buf *ret_line)
{
    FILE *tty = fopen("/dev/tty", "r+");
    struct termios before, quiet;
    char line[MAX_PASSWORD + 2];
    int r = 0;

    if (!tty)
        return -ENOTTY;
    if (tcgetattr(fileno(tty), &before) < 0) {
        (void)fclose(tty);
        return -ENOTTY;
    }
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    (void)tcsetattr(fileno(tty), TCSAFLUSH, &quiet);
    (void)fprintf(tty, "%s: ", question);
    (void)fflush(tty);
    if (fgets(line, sizeof(line), tty))
        buf_puts(ret_line, line);
    else
        r = -EIO;
    (void)tcsetattr(fileno(tty), TCSAFLUSH, &before);
    (void)fputs("\n", tty);
    (void)fclose(tty);
    explicit_bzero(line, sizeof(line));
    cut_line(ret_line);
    return r;
}

static int read_stdin(struct buf *ret_line)
{
    char line[MAX_PASSWORD + 2];

    if (fgets(line, sizeof(line), stdin))
        buf_puts(ret_line, line);
    explicit_bzero(line, sizeof(line));
    cut_line(ret_line);
    return 0;
}

static int ask_twice(struct buf *ret_password)
{
    CLEANUP(wipe) struct buf again = BUF_INIT;

    if (ask_terminal("Password", ret_password) < 0 || ask_terminal("Again", &again) < 0)
        return complain(EXIT_USAGE, "there is no terminal to ask for the password; give "
                                    "--password-file FILE, or - for standard input");
    if (strcmp(buf_str(ret_password), buf_str(&again)) != 0)
        return complain(EXIT_USAGE, "the two are not the same");
    return EXIT_OK;
}

static int get_password(const struct invocation *in, struct buf *ret_password)
{
    const char *file = invocation_value(in, "password-file");
    int r;

    if (!file)
        return ask_twice(ret_password);
    r = strcmp(file, "-") == 0 ? read_stdin(ret_password) : file_read(file, MAX_FILE, ret_password);
    if (r < 0)
        return complain(EXIT_NOT_FOUND, "--password-file %s: %s", file, strerror(-r));
    cut_line(ret_password);
    return ret_password->size ? EXIT_OK : complain(EXIT_USAGE, "the password is empty");
}

static int run_add(const struct invocation *in)
{
    const char *role = invocation_value(in, "role");
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(wipe) struct buf password = BUF_INIT;
    CLEANUP(json_decrefp)
    json_t *body = json_pack("{s:s,s:s}", "name", in->args[0], "role", role ? role : "viewer");
    int r = body ? client_add_scope(in, body) : complain(EXIT_USAGE, "the name must be UTF-8");

    if (r == EXIT_OK)
        r = get_password(in, &password);
    if (r != EXIT_OK)
        return r;
    if (json_object_set_new(body, "password", json_string(buf_str(&password))) < 0)
        return complain(EXIT_USAGE, "the password must be UTF-8");
    r = client_ask(in, "POST", "/api/v1/accounts", body, NULL, &a);
    if (r == EXIT_OK && !print_document(in, a.json))
        (void)printf("%s may log in as %s\n", text_of(a.json, "name"), text_of(a.json, "role"));
    return r;
}

static int ask_account(const struct invocation *in, const char *method, const char *tail,
                       const json_t *body, struct answer *a)
{
    CLEANUP(buf_done) struct buf path = BUF_INIT;

    buf_puts(&path, "/api/v1/accounts/");
    url_add(&path, in->args[0]);
    buf_puts(&path, tail);
    return client_ask(in, method, buf_str(&path), body, NULL, a);
}

static int run_remove(const struct invocation *in)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    int r = ask_account(in, "DELETE", "", NULL, &a);

    if (r == EXIT_OK && !print_document(in, a.json))
        (void)puts("removed, and its sessions ended");
    return r;
}

static int run_password(const struct invocation *in)
{
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(wipe) struct buf password = BUF_INIT;
    CLEANUP(json_decrefp) json_t *body = json_object();
    int r = get_password(in, &password);

    if (r != EXIT_OK)
        return r;
    if (json_object_set_new(body, "password", json_string(buf_str(&password))) < 0)
        return complain(EXIT_USAGE, "the password must be UTF-8");
    r = ask_account(in, "POST", "/password", body, &a);
    if (r == EXIT_OK && !print_document(in, a.json))
        (void)puts("changed, and its sessions ended");
    return r;
}

static int run_change(const struct invocation *in)
{
    const char *role = invocation_value(in, "role");
    bool disable = invocation_value(in, "disable") != NULL,
         enable = invocation_value(in, "enable") != NULL;
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    CLEANUP(json_decrefp) json_t *body = json_object();
    int r = client_add_scope(in, body);

    if (r != EXIT_OK)
        return r;
    if (disable && enable)
        return complain(EXIT_USAGE, "--disable and --enable do not go together");
    if (invocation_value(in, "no-scope")) {
        if (json_object_get(body, "scope"))
            return complain(EXIT_USAGE, "--scope and --no-scope do not go together");
        (void)json_object_set_new(body, "scope", json_object());
    }
    if (role)
        (void)json_object_set_new(body, "role", json_string(role));
    if (disable || enable)
        (void)json_object_set_new(body, "disabled", json_boolean(disable));
    if (json_object_size(body) == 0)
        return complain(EXIT_USAGE, "account change needs --role, --scope, --no-scope, --disable "
                                    "or --enable");
    r = ask_account(in, "PUT", "", body, &a);
    if (r == EXIT_OK && !print_document(in, a.json))
        (void)printf("%s is %s%s\n", text_of(a.json, "name"), text_of(a.json, "role"),
                     json_is_true(json_object_get(a.json, "disabled")) ? ", disabled" : "");
    return r;
}

/* {"site": "tokyo"} as a cell of a table. */
static void flatten_scopes(json_t *list)
{
    json_t *account, *value;
    const char *label;
    size_t i;

    json_array_foreach(list, i, account)
    {
        CLEANUP(buf_done) struct buf text = BUF_INIT;

        json_object_foreach(json_object_get(account, "scope"), label, value)
        {
            buf_printf(&text, "%s=%s", label,
                       json_is_string(value) ? json_string_value(value) : "?");
        }
        (void)json_object_set_new(account, "scope", json_string(buf_str(&text)));
        (void)json_object_set_new(
            account, "state",
            json_string(json_is_true(json_object_get(account, "disabled")) ? "disabled" : ""));
    }
}

static int run_list(const struct invocation *in)
{
    static const struct column columns[] = {
        {"NAME", "name", false},   {"ROLE", "role", false},      {"SCOPE", "scope", false},
        {"STATE", "state", false}, {"CREATED", "created", true}, {"CHANGED", "changed", false}};
    CLEANUP(answer_done) struct answer a = {.json = NULL};
    int r = client_ask_list(in, "/api/v1/accounts", &a);

    if (r != EXIT_OK || print_document(in, a.json))
        return r;
    flatten_scopes(a.json);
    print_table(in, a.json, columns, ARRAY_SIZE(columns));
    return EXIT_OK;
}

static const struct command commands[] = {
    {.name = "account add",
     .arguments = "NAME [--role ROLE] [--scope LABEL=VALUE] [--password-file FILE]",
     .summary = "let somebody log in to the web console and the API",
     .help =
         "Adds an account.  The password is asked for on the terminal, or is the first line of\n"
         "--password-file; it has 12 to 256 bytes.  With --scope, which viewers and operators\n"
         "can have, only endpoints with that label are seen and acted on.",
     COMMAND_OPTIONS(account_options),
     .min_args = 1,
     .max_args = 1,
     .run = run_add},
    {.name = "account change",
     .arguments = "NAME [--role ROLE] [--scope LABEL=VALUE|--no-scope] [--disable|--enable]",
     .summary = "another role or scope, or whether somebody may log in",
     .help = "What is not named stays.  A disabled account keeps its name and password, and cannot "
             "log in;\nits sessions end at once.",
     COMMAND_OPTIONS(change_options),
     .min_args = 1,
     .max_args = 1,
     .run = run_change},
    {.name = "account list",
     .arguments = "",
     .summary = "who may log in, and as what",
     .help = "Accounts with role and scope; passwords are stored as hashes, and never shown.",
     COMMAND_OPTIONS(plain_options),
     .run = run_list},
    {.name = "account remove",
     .arguments = "NAME",
     .summary = "remove an account and end its sessions",
     .help = "Removes an account; all its sessions end at once.",
     COMMAND_OPTIONS(plain_options),
     .min_args = 1,
     .max_args = 1,
     .run = run_remove},
    {.name = "account password",
     .arguments = "NAME [--password-file FILE]",
     .summary = "set an account's password and end its sessions",
     .help = "Sets the password, read as in account add; all sessions of the account end at once.",
     COMMAND_OPTIONS(password_options),
     .min_args = 1,
     .max_args = 1,
     .run = run_password},
};

const struct command_table account_commands = {commands, ARRAY_SIZE(commands)};
