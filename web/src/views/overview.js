// How things stand: the three numbers that matter, what enforces, what was denied.
import { h, a, div, li, span, ul } from "../ui/h.js";
import { Answer, Card, Empty, Findings, Mode, Name, Stat, Verdict } from "../ui/bits.js";
import { withQuery } from "../api.js";
import { useAnswer } from "../live.js";
import { href } from "../router.js";
import { ago, duration, number } from "../format.js";
import { phrase, t } from "../i18n/index.js";
import { Plot } from "../ui/plot.js";
import { perMinute } from "../flows.js";

const NOTES = 1000;

function BlastRadius({ endpoints }) {
    const answer = useAnswer("/policy/radius", { topics: ["policy"], every: 60_000 });
    const worst = answer.data?.[0];
    return h(Stat, {
        label: t("overview.radius"), tone: "key",
        value: worst ? `${number(worst.reach)} / ${number(endpoints)}` : "–",
        note: worst ? t("overview.radius.note", { endpoint: worst.endpoint, alike: worst.alike })
            : answer.error ? phrase(answer.error.message) : t("overview.radius.none"),
        to: worst && href("policy", ["radius"], { from: worst.endpoint }),
    });
}

/** The newest note on the timeline in which somebody, or a drill, wrote down what was measured. */
function Measured({ notes, field, label, how }) {
    const note = notes?.find((e) => e.measured?.[field] !== undefined);
    if (!note) return h(Stat, { label, value: t("overview.unmeasured"), note: how, tone: "key unmeasured" });
    return h(Stat, { label, value: duration(note.measured[field]), tone: "key", to: href("map", [], { at: note.time }),
        note: t("overview.measured", { when: ago(note.time), text: note.comment }) });
}

function Key({ status }) {
    const notes = useAnswer(withQuery("/timeline", { max: NOTES }), { list: true, topics: ["policy", "trust", "audit"], every: 60_000 });
    return div({ class: "stats three" },
        h(BlastRadius, { endpoints: status.endpoints }),
        h(Measured, { notes: notes.data, field: "detect_ms", label: t("overview.detect"), how: t("overview.detect.note") }),
        h(Measured, { notes: notes.data, field: "contain_ms", label: t("overview.contain"), how: t("overview.contain.note") }));
}

function Standing({ status }) {
    const e = status.enforcers;
    return div({ class: "stats" },
        h(Stat, { label: t("overview.enforcers"), value: `${e.active} / ${e.expected}`, to: href("enforcers"),
            tone: e.active < e.expected ? "warn" : "good", note: t("overview.enforcers.note", { current: e.current, refused: e.refused }) }),
        h(Stat, { label: t("overview.endpoints"), value: number(status.endpoints), to: href("endpoints"),
            note: t("overview.rules", { n: status.rules }) }),
        h(Stat, { label: t("overview.quarantined"), value: number(status.quarantined), to: href("incidents"),
            tone: status.quarantined ? "bad" : "good", note: t("overview.quarantined.note") }),
        h(Stat, { label: t("overview.revision"), value: number(status.revision), to: href("policy", ["versions"]),
            note: t("overview.versions", { policy: status.policy, inventory: status.inventory }) }));
}

function Traffic() {
    const flows = useAnswer("/flows?max=1000", { topics: ["flows"] });
    return h(Card, { title: t("overview.traffic"), class: "wide", action: a({ href: href("flows") }, t("overview.all")) },
        h(Answer, { of: flows }, (data) => {
            if (data.flows.length === 0) return h(Empty, null, t("flows.none"));
            const { times, series } = perMinute(data.flows, ["allow", "would-deny", "deny"]);
            return h(Plot, { times, label: t("overview.traffic"), height: 150, series: [
                { name: t("verdict.allow"), values: series.allow, tone: "allow" },
                { name: t("verdict.would-deny"), values: series["would-deny"], tone: "would", solid: true },
                { name: t("verdict.deny"), values: series.deny, tone: "deny", solid: true }] });
        }));
}

function Denied() {
    const flows = useAnswer("/flows?denied&max=12", { topics: ["flows"] });
    return h(Card, { title: t("overview.denied"), action: a({ href: href("flows", [], { denied: "1" }) }, t("overview.all")) },
        h(Answer, { of: flows }, (data) => data.flows.length === 0 ? h(Empty, null, t("overview.denied.none"))
            : ul({ class: "lines" }, data.flows.slice().reverse().map((f, i) => li({ key: i },
                h(Verdict, { value: f.verdict }),
                span({ class: "grow" }, h(Name, { name: f.from, address: f.from_address }), " → ",
                    h(Name, { name: f.to, address: f.to_address }),
                    span({ class: "mono muted" }, ` ${f.protocol}/${f.port} ${f.process}`)),
                span({ class: "muted" }, ago(f.last)))))));
}

function Modes() {
    const endpoints = useAnswer("/endpoints", { list: true, topics: ["policy"] });
    return h(Card, { title: t("overview.modes") }, h(Answer, { of: endpoints }, (list) => {
        const count = { enforce: 0, test: 0, learn: 0 };
        for (const e of list) count[e.mode] = (count[e.mode] ?? 0) + 1;
        return [div({ key: "bar", class: "bar", "aria-hidden": "true" }, Object.entries(count).map(([mode, n]) =>
            span({ key: mode, class: `bar-${mode}`, style: { flexGrow: n } }))),
        ul({ key: "list", class: "lines" }, Object.entries(count).map(([mode, n]) => li({ key: mode },
            h(Mode, { value: mode }), span({ class: "grow muted" }, t(`mode.${mode}.note`)),
            a({ href: href("endpoints", [], { mode }) }, number(n)))))];
    }));
}

function Problems() {
    const findings = useAnswer("/policy/findings", { topics: ["policy"], every: 60_000 });
    return h(Card, { title: t("overview.findings"), action: a({ href: href("policy", ["findings"]) }, t("overview.all")) },
        h(Answer, { of: findings }, (list) => list.length === 0 ? h(Empty, null, t("findings.none"))
            : h(Findings, { findings: list.slice(0, 4) })));
}

export default function Overview() {
    const status = useAnswer("/status", { topics: ["policy", "trust", "enforcers"], every: 5000 });
    return h(Answer, { of: status }, (s) => div({ class: "stack" },
        s.mode && div({ class: "notice" }, t("overview.learning")),
        h(Key, { status: s }), h(Standing, { status: s }),
        div({ class: "columns" }, h(Traffic), h(Denied), h(Modes), h(Problems))));
}
