#!/usr/bin/python3
"""Makes C of policy templates: embed_templates.py OUTPUT NAME.yaml NAME-inventory.yaml ...

The summary of a template is its first line."""
import pathlib
import sys


def quoted(text):
    def one(c):
        return {"\\": "\\\\", '"': '\\"', "\n": "\\n", "?": "\\?"}.get(c) or (
            c if " " <= c <= "~" else "".join(f"\\{b:03o}" for b in c.encode()))
    return "\n".join(f'    "{"".join(map(one, line))}"' for line in text.splitlines(keepends=True))


def summary(text):
    return text.splitlines()[0].removeprefix("# ").rstrip(".")


def main(output, *paths):
    out = ['#include "cli/template.h"\n', "const struct template templates[] = {"]
    for policy, inventory in zip(paths[::2], paths[1::2]):
        name = pathlib.Path(policy).stem
        assert pathlib.Path(inventory).stem == f"{name}-inventory", (policy, inventory)
        text = pathlib.Path(policy).read_text()
        out += [f'{{\n"{name}",', quoted(summary(text)) + ",", quoted(text) + ",",
                quoted(pathlib.Path(inventory).read_text()), "},"]
    out += ["};", "const size_t n_templates = sizeof(templates) / sizeof(templates[0]);", ""]
    pathlib.Path(output).write_text("\n".join(out))


main(*sys.argv[1:])
