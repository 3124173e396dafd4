// The address of a view: #/flows?from=web1&verdict=deny, #/endpoints/web1, #/policy/proofs
//
// Behind the hash, so that any static server can carry it; every state that somebody may want to
// send to a colleague is in it.
import { signal } from "@preact/signals";

/** @typedef {{view: string, rest: string[], query: Record<string, string>}} Route */

/** @param {string} hash @returns {Route} */
export function parse(hash) {
    const [path, query] = hash.replace(/^#?\/?/, "").split("?", 2);
    const [view, ...rest] = path.split("/").map(decode);
    return {
        view: view || "overview",
        rest: rest.filter((s) => s !== ""),
        query: Object.fromEntries(new URLSearchParams(query ?? "")),
    };
}

function decode(text) {
    try {
        return decodeURIComponent(text);
    } catch {
        return text; // A lone "%": somebody typed it.
    }
}

/** The address of a view; empty values of the query are left out. */
export function href(view, rest = [], query = {}) {
    const path = [view, ...rest].map(encodeURIComponent).join("/");
    const moment = route.value.query.at; // Whoever looks at the past stays there.
    const pairs = Object.entries(moment && query.at === undefined ? { ...query, at: moment } : query).filter(([, v]) => v !== "" && v !== undefined && v !== null);
    const text = new URLSearchParams(pairs).toString();
    return `#/${path}${text ? `?${text}` : ""}`;
}

/** @type {import("@preact/signals").Signal<Route>} */
export const route = signal(parse(globalThis.location?.hash ?? ""));

globalThis.addEventListener?.("hashchange", () => {
    route.value = parse(location.hash);
});

export function go(view, rest, query) {
    location.hash = href(view, rest, query);
}

/** Changes some of the query; by default without a new entry in the browser's history. */
export function setQuery(patch, replace = true) {
    const { view, rest, query } = route.value;
    const to = href(view, rest, { ...query, ...patch });
    if (replace) {
        history.replaceState(null, "", to);
        route.value = parse(to);
    } else {
        location.hash = to;
    }
}
