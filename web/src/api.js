// Requests to the controller, and what it says when it refuses.
import { signal } from "@preact/signals";
import { t } from "./i18n/index.js";
import { follow } from "./operation.js";

const ROOT = "/api/v1";
const TIMEOUT_MS = 40_000;
const PAGES_MAX = 200;
const PACK_FROM = 4 << 20; // Characters; the daemon takes 8 MiB of anybody, and more only packed (docs/api.md).

/** Who is logged in; null: nobody; undefined: not known yet. */
export const session = signal(undefined);

/** The moment of the past that is looked at; "": now. */
export const at = signal("");

/** Paths that can be asked as of a moment (docs/timeline.md). */
export const TIMED = /^\/(why|endpoints(\/[^/]+)?(\/if-owned)?|groups(\/[^/]+)?|services|inventory|unprotected|policy(\/(findings|rules|proofs|radius))?)(\?|$)/;

/** What the history answers: when that takes longer, it goes on as an operation (docs/api.md). */
const SLOW = /^\/(flows|edges|rules\/use)(\?(?!.*\bwait\b)|$)/, LATER = "respond-async, wait=30";

/** A refusal: a problem document (RFC 9457), or no answer at all (status 0). */
export class Problem extends Error {
    constructor(status, body) {
        super(String(body?.detail || body?.title || `HTTP ${status}`));
        this.status = status;
        this.findings = Array.isArray(body?.findings) ? body.findings : [];
        this.failed = body?.failed ?? null;
        this.body = body;
    }
}

/** "/flows" and {from: "web1", denied: true} → "/flows?from=web1&denied" */
export function withQuery(path, query = {}) {
    const parts = [];
    for (const [key, value] of Object.entries(query)) {
        if (value === undefined || value === null || value === "" || value === false) continue;
        parts.push(value === true ? key : `${key}=${encodeURIComponent(value)}`);
    }
    return parts.length ? `${path}${path.includes("?") ? "&" : "?"}${parts.join("&")}` : path;
}

export const segment = encodeURIComponent;

/** A large body by gzip, as the command line sends it. */
async function packed(text, headers) {
    if (text.length <= PACK_FROM || !globalThis.CompressionStream) return text;
    headers["Content-Encoding"] = "gzip";
    return new Response(new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"))).blob();
}

async function readBody(response) {
    const text = await response.text();
    if (!text) return null;
    if (!(response.headers.get("content-type") ?? "").includes("json")) return text;
    try {
        return JSON.parse(text);
    } catch {
        throw new Problem(response.status, { detail: t("error.nojson") });
    }
}

/**
 * @param {string} method @param {string} path below /api/v1
 * @param {{body?: any, etag?: string, signal?: AbortSignal, quiet?: boolean, onProgress?: (operation: any) => void}} [options]
 * @returns {Promise<{data: any, etag: string}>}
 */
export async function ask(method, path, options = {}) {
    const headers = { Accept: "application/json" };
    if (options.body !== undefined) headers["Content-Type"] = "application/json";
    if (options.etag) headers["If-Match"] = options.etag;
    if (method === "GET" && SLOW.test(path)) headers.Prefer = LATER;
    const full = at.value && TIMED.test(path) && (method === "GET" || path === "/why")
        ? withQuery(path, { at: at.value }) : path;
    let response;
    const text = options.body === undefined ? undefined : JSON.stringify(options.body);
    const body = text && await packed(text, headers);
    try {
        response = await fetch(ROOT + full, {
            method, headers, credentials: "same-origin", redirect: "error", cache: "no-store", body,
            signal: options.signal ?? AbortSignal.timeout(TIMEOUT_MS),
        });
    } catch (e) {
        if (e.name === "AbortError") throw e;
        const late = e.name === "TimeoutError";
        throw new Problem(0, { detail: t(late ? "error.timeout" : "error.network") });
    }
    const data = await readBody(response);
    if (response.status === 202 && headers.Prefer)
        return { data: await follow(data, options.signal ?? new AbortController().signal, options.onProgress ?? (() => {})), etag: "" };
    if (response.ok) return { data, etag: response.headers.get("etag") ?? "" };
    if (response.status === 401 && !options.quiet) session.value = null;
    throw new Problem(response.status, data);
}

export const get = async (path, options) => (await ask("GET", path, options)).data;
export const post = async (path, body, options) =>
    (await ask("POST", path, { ...options, body: body ?? {} })).data;

/** A list, page after page; of an answer that has rules beside other things, the rules. */
export async function getAll(path, options) {
    const items = [];
    let next = "";
    for (let page = 0; page < PAGES_MAX; page++) {
        const data = await get(next ? withQuery(path, { cursor: next }) : path, options);
        if (Array.isArray(data)) return data;
        items.push(...(data?.items ?? data?.rules ?? []));
        next = data?.next ?? "";
        if (!next) break;
    }
    return items;
}
