// Where compartments stand that somebody has moved: kept by the controller, the same for everybody.
import { useRef } from "preact/hooks";
import { ask, withQuery } from "../api.js";
import { has } from "../features.js";
import { useAnswer } from "../live.js";
import { may } from "../session.js";
import { tell } from "../ui/dialog.js";
import { OUTSIDE } from "./model.js";

const OUTSIDE_NAME = "(outside)"; // No text of the controller has a NUL.

const rename = (places, from, to) => Object.fromEntries(Object.entries(places).map(([id, at]) => [id === from ? to : id, at]));

/** @returns {{kept: Record<string, [number, number]> | undefined, save: ((nodes: any[]) => void) | null, reset: () => void}}
 *  kept: undefined while it is not known; save: null for who may not */
export function usePlaces(by) {
    const asked = has("/console/layout") && may.whole();
    const answer = useAnswer(asked ? withQuery("/console/layout", { by }) : null, { every: 60_000 });
    const last = useRef({ by: "", text: "" }), kept = useRef({});
    const text = JSON.stringify(answer.data?.places ?? {});
    if (last.current.by !== by || last.current.text !== text) { // The same places stay the same object.
        last.current = { by, text };
        kept.current = rename(answer.data?.places ?? {}, OUTSIDE_NAME, OUTSIDE);
    }
    const put = async (places) => {
        try {
            await ask("PUT", "/console/layout", { body: { by, places: rename(places, OUTSIDE, OUTSIDE_NAME) } });
        } catch (e) {
            tell(e);
        }
        answer.reload();
    };
    return {
        kept: asked && answer.data === undefined && !answer.error ? undefined : kept.current,
        save: asked && may.operate() ? (nodes) => put(Object.fromEntries(nodes.map((n) => [n.id, [Math.round(n.x), Math.round(n.y)]]))) : null,
        reset: () => put({}),
    };
}
