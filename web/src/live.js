// Answers that stay true while they are shown: asked again when the daemon's stream of events says
// that something of their topics has happened, and, where there is no stream, from time to time.
import { useEffect } from "preact/hooks";
import { signal, useSignal } from "@preact/signals";
import { ask, at, getAll, session } from "./api.js";
import { askLong } from "./operation.js";

const SLOW_MS = 15_000, CALM_MS = 2500;

/** What the daemon tells (docs/api.md). */
const TOPICS = ["flows", "alerts", "enforcers", "policy", "audit", "trust", "operations"];

export const stream = signal("off"); // off, on, lost
const listeners = new Set();

/** Calls with (topic, data) for each event, until the returned function is called. */
export function onEvent(f) {
    listeners.add(f);
    return () => listeners.delete(f);
}

let source = null;

function tell(topic, event) {
    let data = null;
    try {
        data = JSON.parse(event.data);
    } catch { /* An event that cannot be read still says that something has changed. */ }
    for (const f of [...listeners]) f(topic, data);
}

/** One stream a tab; the daemon leaves out what the role may not see. */
export function connect() {
    if (source && source.readyState !== EventSource.CLOSED) return;
    source = new EventSource("/api/v1/events");
    source.onopen = () => (stream.value = "on");
    source.onerror = () => (stream.value = source?.readyState === EventSource.CLOSED ? "off" : "lost");
    for (const topic of TOPICS) source.addEventListener(topic, (e) => tell(topic, e));
    source.addEventListener("lost", (e) => TOPICS.forEach((topic) => tell(topic, e)));
}

export function disconnect() {
    source?.close();
    source = null;
    stream.value = "off";
}

/**
 * @param {string | null} path null: nothing is asked
 * @param {{topics?: string[], every?: number, list?: boolean, long?: boolean}} [options] every: asked
 *        again so often in any case, 0: never; long: as an operation, 'busy' says how far it is
 * @returns {{data: any, etag: string, error: any, loading: boolean, busy?: any, reload: () => void}}
 */
export function useAnswer(path, options = {}) {
    const state = useSignal({ data: undefined, etag: "", error: null, loading: true, path: null });
    const again = useSignal(0);
    const every = options.every ?? SLOW_MS, topics = (options.topics ?? []).join();

    useEffect(() => {
        if (path === null) return undefined;
        const abort = new AbortController();
        let timer = 0, last = 0, busy = false, news = false;
        const later = (ms) => {
            clearTimeout(timer);
            timer = setTimeout(load, ms);
        };
        const onProgress = (far) => (state.value = { ...state.value, busy: far });
        const load = async () => {
            busy = true;
            news = false;
            try {
                const answer = options.long
                    ? { data: await askLong(path, null, abort.signal, onProgress), etag: "" }
                    : options.list ? { data: await getAll(path, { signal: abort.signal, onProgress }), etag: "" }
                    : await ask("GET", path, { signal: abort.signal, onProgress });
                state.value = { ...answer, error: null, loading: false, path };
            } catch (error) {
                if (abort.signal.aborted) return;
                const old = state.value.path === path ? state.value : { data: undefined, etag: "" };
                state.value = { ...old, error, loading: false, path };
            }
            busy = false;
            last = Date.now();
            if (abort.signal.aborted) return;
            if (news) later(CALM_MS);
            else if (every) later(every);
        };
        const stop = topics && onEvent((topic) => {
            if (!topics.split(",").includes(topic)) return;
            news = true;
            if (!busy) later(Math.max(0, last + CALM_MS - Date.now()));
        });
        load();
        return () => {
            abort.abort();
            clearTimeout(timer);
            if (stop) stop();
        };
    }, [path, at.value, session.value?.actor, again.value, topics, every]);

    return { ...state.value, reload: () => again.value++ };
}
