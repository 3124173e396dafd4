/* SPDX-License-Identifier: Apache-2.0 */
/* language.c - the language itself, for editors and readers: `policy schema`, `policy reference` */
#include <stdio.h>

#include "base/buf.h"
#include "cli/commands.h"
#include "text/language.h"
#include "text/schema.h"

static int run_schema(const struct invocation *in)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;

    schema_write_json(&b, invocation_value(in, "inventory") ? &inventory_schema : &policy_schema);
    (void)fputs(buf_str(&b), stdout);
    return EXIT_OK;
}

static int run_reference(const struct invocation *in)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;

    (void)in; /* It has no arguments. */
    buf_puts(&b,
             "# Every field of policies and inventories\n\n"
             "Made by `suimitsu policy reference` from the table that the reader follows; "
             "`make check` compares.\nWhat the fields mean together is in [policy.md](policy.md), "
             "and editors get the same table as a\n[JSON Schema](editors.md). Fields stand in the "
             "order in which `policy fmt` writes them.\n");
    schema_write_reference(&b, &policy_schema);
    schema_write_reference(&b, &inventory_schema);
    (void)fputs(buf_str(&b), stdout);
    return EXIT_OK;
}

static const struct option_spec schema_options[] = {
    {"inventory", 'i', NULL, "the schema of inventories instead"},
};

static const struct command commands[] = {
    {.name = "policy schema",
     .arguments = "",
     .summary = "the JSON Schema of policies, for editors",
     .help = "Prints a JSON Schema (draft-07) for editors with a YAML language server; it is also\n"
             "installed as /usr/share/suimitsu/policy.schema.json and inventory.schema.json.\n"
             "The first line of a policy tells the editor:\n\n"
             "  # yaml-language-server: $schema=/usr/share/suimitsu/policy.schema.json",
     COMMAND_OPTIONS(schema_options),
     .run = run_schema},
    {.name = "policy reference",
     .arguments = "",
     .summary = "every field of policies and inventories, as Markdown",
     .help = "Prints docs/reference.md.",
     .hidden = true,
     .run = run_reference},
};

const struct command_table language_commands = {commands, ARRAY_SIZE(commands)};
