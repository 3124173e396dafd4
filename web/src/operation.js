// Long questions: asked as operations (docs/api.md), which say how far they are and can be ended.
// The daemon's stream tells when to look again; where there is none, they are looked at all the time.
import { useEffect, useRef, useState } from "preact/hooks";
import { get, post, Problem, segment } from "./api.js";
import { onEvent, stream } from "./live.js";

const FIRST_MS = 20, LAST_MS = 500, CALM_MS = 10_000;
const longer = (ms) => 2 * ms <= LAST_MS ? 2 * ms : stream.value === "on" ? CALM_MS : LAST_MS;
export const hasEnded = ({ state }) => state !== "waiting" && state !== "running";

/** Its pauses end when the stream tells of the operation, or has told since the pause before. */
function watch(id) {
    let news = false, wake = () => {};
    const stop = onEvent((topic, data) => {
        if (topic !== "operations" || (data?.id ?? id) !== id) return; // Of what was lost, nobody knows whose it was.
        news = true;
        wake();
    });
    const pause = (ms, signal) => new Promise((resolve) => {
        const timer = setTimeout(() => wake(), ms);
        wake = () => {
            clearTimeout(timer);
            news = false;
            wake = () => {};
            resolve();
        };
        signal.addEventListener("abort", () => wake(), { once: true });
        if (news) wake();
    });
    return { pause, stop };
}

/** What became of it: its answer, or what it was refused with. */
function resultOf({ state, result, why }) {
    if (!result) throw new Problem(0, { detail: why ?? state });
    if (result.status >= 400) throw new Problem(result.status, result.body);
    return result.body;
}

/**
 * @param {any} operation that has begun
 * @param {AbortSignal} signal ends it, there too
 * @param {(operation: any) => void} onProgress
 */
export async function follow(operation, signal, onProgress) {
    const own = `/operations/${segment(operation.id)}`, { pause, stop } = watch(operation.id);
    try {
        for (let ms = FIRST_MS; !hasEnded(operation) && !signal.aborted; ms = longer(ms)) {
            onProgress(operation);
            await pause(ms, signal);
            if (!signal.aborted) operation = await get(own);
        }
    } finally {
        stop();
    }
    if (!signal.aborted) return resultOf(operation);
    await post(`${own}/cancel`).catch(() => {}); // It has ended by itself, or nobody can say so any more.
    throw new DOMException("ended", "AbortError");
}

/**
 * @param {string} path of a GET, or with a body of a POST, below /api/v1
 * @param {any} body or null
 * @param {AbortSignal} signal @param {(operation: any) => void} onProgress as of follow()
 */
export const askLong = async (path, body, signal, onProgress) =>
    follow(body ? await post(path, { ...body, operation: true }) : await post("/operations", { get: `/api/v1${path}` }), signal, onProgress);

/** @returns {{data?: any, error?: any, busy?: any, ask: (path: string, body?: any) => void, cancel: () => void}}
 *  busy: how far it is. A new question ends the one before, and so does leaving the view. */
export function useLong() {
    const [state, setState] = useState({}), running = useRef(null);
    const cancel = () => running.current?.abort();
    const start = (path, body = null) => {
        cancel();
        const own = (running.current = new AbortController());
        const tell = (next) => own === running.current && setState(next);
        setState({ busy: {} });
        askLong(path, body, own.signal, (busy) => tell({ busy })).then((data) => tell({ data }),
            (error) => tell(own.signal.aborted ? {} : { error }));
    };
    useEffect(() => cancel, []);
    return { ...state, ask: start, cancel };
}
