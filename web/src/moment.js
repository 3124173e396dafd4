// Which moment is looked at: now, or one of the past.  It stands in every address as "at".
import { useEffect, useRef, useState } from "preact/hooks";
import { effect, signal } from "@preact/signals";
import { h, a, button, div, input, label, li, ol, span, time } from "./ui/h.js";
import { Answer } from "./ui/bits.js";
import { Icon } from "./ui/icons.js";
import { at, withQuery } from "./api.js";
import { has, takes } from "./features.js";
import { useAnswer } from "./live.js";
import { href, route, setQuery } from "./router.js";
import { clock, moment } from "./format.js";
import { t, term } from "./i18n/index.js";

const STEP_MS = 1500, EVENTS = 500;
const open = signal(false);

effect(() => {
    at.value = route.value.query.at ?? "";
});

const pad = (n) => String(n).padStart(2, "0");

/** For <input type="datetime-local">, which knows no zones. */
export function toLocal(iso) {
    const d = new Date(iso);
    if (Number.isNaN(d.getTime())) return "";
    return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}T${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
}

export const toIso = (local) => (local ? new Date(local).toISOString().replace(/\.\d+Z$/, "Z") : "");

const show = (time) => setQuery({ at: time ?? "" });

/** Views that can be asked of the past; the others say that they show the present. */
const PAST = () => ["endpoints", "policy", "unprotected", "why", ...(has("/edges") ? ["map"] : []), ...(takes("/flows", "until") ? ["flows"] : [])];

export const MomentButton = () => button({ type: "button", class: `action ${at.value ? "past" : ""}`, "aria-expanded": String(open.value || Boolean(at.value)),
    onClick: () => {
        if (at.value) show("");
        open.value = !(open.value || at.value);
    } }, h(Icon, { name: "clock", size: 15 }), at.value ? moment(at.value) : t("moment.now"));

/** Instants are whole seconds, so that the events of one second are one step; oldest first.
 *  @param {any[]} events as the API lists them, newest first */
export function stepsOf(events) {
    const steps = [];
    for (const e of events.slice().reverse()) {
        const last = steps[steps.length - 1];
        if (last?.time === e.time) last.events.push(e);
        else steps.push({ time: e.time, events: [e] });
    }
    return steps;
}

/** What somebody did or said; a revision alone tells nothing. */
const isTold = (step) => step.events.some((e) => e.comment || !e.what.includes("revision"));

/** The step in force at a moment: an index, or how many there are: now. */
export function stepAt(steps, when) {
    if (!when) return steps.length;
    const later = steps.findIndex((s) => s.time > when);
    return Math.max(0, (later < 0 ? steps.length : later) - 1);
}

const KINDS = ["note", "policy", "trust", "inventory", "revision"];
const kindOf = (step) => KINDS.find((k) => step.events.some((e) => e.what.includes(k))) ?? "revision";

const headOf = (e) => [e.what.filter((w) => w !== "note").map((w) => term("change", w)).join(", "), e.endpoint && `${e.endpoint}: ${term("trust", e.trust)}`]
    .filter(Boolean).join(" · ");

/** Short, for a mark: what was said, or else what it was. */
const markOf = (step) => step.events.filter((e) => e.comment || !e.what.includes("revision"))
    .map((e) => [e.endpoint && `${e.endpoint}: ${term("trust", e.trust)}`, e.comment].filter(Boolean).join(" · ") || headOf(e)).join(" / ") || headOf(step.events[0]);

const whole = (step) => step.events.map(textOf).join(" / ");

const textOf = (e) => [headOf(e), e.actor, e.comment].filter(Boolean).join(" · ");

/** A tick at each step, where the slider's thumb would stand. */
const Ticks = ({ steps, index }) => div({ class: "ticks", "aria-hidden": "true" }, steps.map((step, i) => span({
    key: step.time, class: `tick of-${kindOf(step)}${i === index ? " here" : ""}`, title: `${moment(step.time)} · ${whole(step)}`,
    style: { left: `${(100 * i) / Math.max(1, steps.length)}%` } })));

/** The told steps with their texts, to be clicked. */
function Story({ steps, told, index }) {
    const list = useRef(null);
    useEffect(() => {
        list.current?.querySelector("[aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
    }, [index]);
    return ol({ class: "story", ref: list, "aria-label": t("moment.story") }, told.map((i) => li({ key: steps[i].time },
        button({ type: "button", class: `of-${kindOf(steps[i])}`, title: whole(steps[i]), "aria-current": i === index ? "step" : undefined,
            onClick: () => show(steps[i].time) },
        time({ class: "muted", dateTime: steps[i].time }, clock(steps[i].time)), " ", markOf(steps[i])))));
}

/** Walks the told steps, and ends in the present. */
function usePlay(steps, told, index) {
    const [playing, setPlaying] = useState(false);
    useEffect(() => {
        if (!playing) return undefined;
        const timer = setTimeout(() => {
            const next = told.find((i) => i > index) ?? steps.length;
            show(steps[index >= steps.length ? told[0] : next]?.time);
            if (index < steps.length && next >= steps.length) setPlaying(false);
        }, STEP_MS);
        return () => clearTimeout(timer);
    }, [playing, index]);
    return [playing, setPlaying];
}

function Slider({ events }) {
    const steps = stepsOf(events), now = steps.length, index = stepAt(steps, at.value);
    const told = steps.map((_, i) => i).filter((i) => isTold(steps[i]));
    const [playing, setPlaying] = usePlay(steps, told.length ? told : steps.map((_, i) => i), index);
    return div({ class: "moment" },
        div({ class: "moment-row" },
            button({ type: "button", class: "plain", "aria-label": playing ? t("moment.pause") : t("moment.play"), onClick: () => setPlaying(!playing) },
                h(Icon, { name: playing ? "pause" : "play", size: 16 })),
            div({ class: "slider" }, h(Ticks, { steps, index }),
                input({ type: "range", min: 0, max: now, value: index, "aria-label": t("moment.slider"), "aria-valuetext": at.value ? moment(at.value) : t("moment.now"),
                    onInput: (e) => show(steps[Number(e.target.value)]?.time) })),
            label({ class: "inline" }, span({ class: "hidden" }, t("moment.past")),
                input({ type: "datetime-local", step: 1, value: toLocal(at.value), onChange: (e) => show(toIso(e.target.value)) })),
            span({ class: "muted moment-what" }, steps[index] ? whole(steps[index]) : t("moment.present")),
            a({ class: "action", href: href("compare", [], { from: at.value || steps[0]?.time, at: "" }) }, t("moment.compare")),
            at.value && button({ type: "button", class: "action", onClick: () => show("") }, t("moment.back"))),
        told.length > 0 && h(Story, { steps, told, index }));
}

export function MomentBar() {
    const shown = open.value || Boolean(at.value);
    const timeline = useAnswer(shown ? withQuery("/timeline", { max: EVENTS }) : null, { list: true, topics: ["policy", "trust", "audit"], every: 0 });
    if (!shown) return null;
    return div({ class: `moment-bar ${at.value ? "past" : ""}` },
        h(Answer, { of: timeline }, (list) => h(Slider, { events: list })),
        at.value && !PAST().includes(route.value.view) && span({ class: "badge tone-warn" }, t("moment.notthis")));
}
