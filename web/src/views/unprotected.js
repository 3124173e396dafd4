// Where nobody carries out what the policy denies.
import { h, div, p, strong } from "../ui/h.js";
import { Answer, Card, Choice, Name, Stat } from "../ui/bits.js";
import { Table } from "../ui/table.js";
import { withQuery } from "../api.js";
import { useAnswer } from "../live.js";
import { route, setQuery } from "../router.js";
import { number } from "../format.js";
import { phrase, t, term } from "../i18n/index.js";

const REASONS = ["no-enforcer", "agent-only", "plain-switch", "guessed-identity"];

const columns = () => [
    { key: "from", label: t("flows.from"), sort: (r) => r.from, cell: (r) => r.from },
    { key: "to", label: t("flows.to"), sort: (r) => r.to, cell: (r) => r.to },
    { key: "pairs", label: t("unprotected.pairs"), class: "num", sort: (r) => r.pairs, cell: (r) => number(r.pairs) },
    { key: "sources", label: t("unprotected.sources"), class: "num", sort: (r) => r.sources, cell: (r) => number(r.sources) },
    { key: "destinations", label: t("unprotected.destinations"), class: "num", sort: (r) => r.destinations, cell: (r) => number(r.destinations) },
    { key: "example", label: t("unprotected.example"), cell: (r) => [h(Name, { name: r.example?.from, address: t("outside") }), " → ",
        h(Name, { name: r.example?.to, address: t("outside") })] },
];

export default function Unprotected() {
    const wanted = route.value.query.reason ?? "";
    const answer = useAnswer(withQuery("/unprotected", { reason: wanted }), { topics: ["policy"], every: 60_000 });
    return div({ class: "stack" },
        div({ class: "toolbar" }, h(Choice, { label: t("unprotected.reason"), value: wanted,
            options: [["", t("unprotected.all")], ...REASONS.map((r) => [r, term("unprotected", r)])],
            onChange: (reason) => setQuery({ reason }) })),
        h(Answer, { of: answer }, (data) => [
            div({ key: "stats", class: "stats" },
                h(Stat, { label: t("unprotected.without"), value: `${number(data.without_enforcer)} / ${number(data.endpoints)}`,
                    tone: data.without_enforcer ? "bad" : "good", note: t("unprotected.without.note") }),
                h(Stat, { label: t("unprotected.agentonly"), value: `${number(data.agent_only)} / ${number(data.endpoints)}`,
                    tone: data.agent_only ? "warn" : "good", note: t("unprotected.agentonly.note") })),
            ...data.reasons.map((r) => h(Card, { key: r.reason, title: `${term("unprotected", r.reason)} · ${number(r.pairs)}` },
                p({ class: "muted" }, strong(null, t("unprotected.closed")), " ", phrase(r.closed_by)),
                h(Table, { rows: r.rows, columns: columns(), id: (x) => `${x.from} ${x.to}`, label: term("unprotected", r.reason),
                    empty: t("unprotected.none") }),
                r.left_out > 0 && p({ class: "muted" }, t("unprotected.left", { n: number(r.left_out) })))),
        ]));
}
