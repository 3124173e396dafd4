// The command line that says the same as a view: shown below each, for scripts and for trust.
/** @typedef {import("./router.js").Route} Route */

/** As a shell takes it. */
export function quote(word) {
    const text = String(word);
    return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function options(query, names) {
    const words = [];
    for (const [key, flag] of Object.entries(names)) {
        if (query[key] === undefined || query[key] === "") continue;
        words.push(flag === true ? `--${key}` : `--${key} ${quote(query[key])}`);
    }
    return words;
}

const FLOWS = { since: "since", from: "from", to: "to", verdict: "verdict", process: "process", user: "user", port: "port", rule: "rule", denied: true };

const OF_POLICY = {
    rules: "suimitsu policy show",
    edit: "suimitsu apply PATH --dry-run",
    proofs: "suimitsu policy prove PATH --inventory INVENTORY",
    findings: "suimitsu check PATH --inventory INVENTORY",
    versions: "suimitsu policy history",
    drafts: "suimitsu draft list",
};

const WINDOWS = { h: "1h", d: "24h", w: "7d", m: "30d" };

const until = (query) => (query.at ? [`--until ${quote(query.at)}`] : []);

const VIEWS = {
    overview: () => ["suimitsu status"],
    flows: ({ rest, query }) => rest[0] === "rare" ? ["suimitsu flows rare", ...options(query, { since: "since" }), ...(query.kind ? [`--${query.kind}`] : [])]
        : ["suimitsu flows", ...options(query, FLOWS), ...until(query),
        ...(query.live ? ["--follow"] : [])],
    endpoints: ({ rest }) => (rest[0] ? ["suimitsu endpoint show", quote(rest[0])]
        : ["suimitsu endpoint"]),
    unprotected: ({ query }) => ["suimitsu unprotected", ...options(query, { reason: "reason" })],
    incidents: () => ["suimitsu endpoint"],
    enforcers: ({ rest }) => (rest[0] ? ["suimitsu enforcer show", quote(rest[0])]
        : ["suimitsu enforcer list"]),
    exporters: () => ["suimitsu exporters"],
    operations: ({ rest }) => (rest[0] ? ["suimitsu operation show", quote(rest[0])] : ["suimitsu operation list"]),
    audit: () => ["suimitsu audit list"],
    accounts: () => ["suimitsu account list"],
    compare: ({ query }) => (query.from ? ["suimitsu timeline diff", quote(query.from), ...(query.to ? [quote(query.to)] : [])]
        : ["suimitsu timeline"]),
    why: ({ query }) => ["suimitsu why", ...["from", "to", "service"].filter((k) => query[k])
        .map((k) => quote(query[k])), ...options(query, { process: "process", user: "user" })],
    policy: ({ rest, query }) => {
        if (rest[0] === "radius")
            return ["suimitsu policy radius PATH --inventory INVENTORY",
                ...options(query, { from: "from" })];
        if (rest[0] === "versions" && query.from)
            return ["suimitsu policy changes", quote(query.from), ...(query.to ? [quote(query.to)] : [])];
        if ((rest[0] ?? "rules") === "rules" && query.hygiene) return ["suimitsu rules hygiene --since 90d"];
        if (rest[0] === "drafts" && rest[1]) return [`suimitsu draft show ${quote(rest[1])}`];
        return [OF_POLICY[rest[0] ?? "rules"] ?? "suimitsu policy show"];
    },
    map: ({ query }) => ["suimitsu edges", `--since ${WINDOWS[query.window] ?? WINDOWS.d}`, ...until(query),
        ...(query.by?.startsWith("label:") ? [`--by ${quote(query.by.slice(6))}`] : []),
        ...(query.show === "violations" ? ["--denied"] : []), ...options(query, { port: "port", process: "process", user: "user", rule: "rule", verdict: "verdict" })],
};

/** @param {Route} route @returns {string} "" when there is none */
export function commandOf(route) {
    const words = VIEWS[route.view]?.(route) ?? [];
    const at = route.query.at && /^(endpoints|why)$/.test(route.view) ? [`--at ${quote(route.query.at)}`] : [];
    return words.length ? [...words, ...at].join(" ") : "";
}
