// The licences of what is bundled, from the packages themselves.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

function textOf(folder) {
    const file = readdirSync(folder).find((f) => /^licen[cs]e(\.(md|txt))?$/i.test(f));
    return file ? readFileSync(join(folder, file), "utf8").trim() : "(no licence file in the package)";
}

/** @param {string} root @param {string[]} inputs the files that went into the bundle */
export function licences(root, inputs) {
    const names = [...new Set(inputs.map((f) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(f)?.[1]).filter(Boolean))].sort();
    const parts = names.map((name) => {
        const folder = join(root, "node_modules", name);
        const meta = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
        if (!existsSync(folder)) throw new Error(`${name} is not installed`);
        return `${name} ${meta.version} (${meta.license})\n\n${textOf(folder)}\n`;
    });
    return `What web/dist contains beside Suimitsu itself (Apache-2.0, see ../LICENSE).\n\n${parts.join(`\n${"-".repeat(78)}\n\n`)}`;
}
