// May this reach that, and why: every layer, every condition, and what would change it.
import { useEffect, useState } from "preact/hooks";
import { h, a, button, datalist, div, form, h3, input, label, li, ol, option, p, pre, span, strong, ul } from "../ui/h.js";
import { Badge, Card, Loading, Mode, Name, Refusal, Trust, Verdict } from "../ui/bits.js";
import { Icon } from "../ui/icons.js";
import { at, post } from "../api.js";
import { useAnswer } from "../live.js";
import { href, route, setQuery } from "../router.js";
import { phrase, t, term } from "../i18n/index.js";

const FIELDS = ["from", "to", "service", "process", "user"];
const STATE_TONE = { met: "good", "not-met": "bad", "not-told": "warn", unseen: "warn", accepted: "plain" };

function Question({ query }) {
    const endpoints = useAnswer("/endpoints", { list: true, every: 0 });
    const services = useAnswer("/services", { list: true, every: 0 });
    const submit = (e) => {
        e.preventDefault();
        setQuery(Object.fromEntries(FIELDS.map((k) => [k, String(new FormData(e.target).get(k)).trim()])), false);
    };
    const list = (id, data) => datalist({ id }, (data ?? []).map((x) => option({ key: x.name, value: x.name })));
    return form({ class: "card question", onSubmit: submit, key: JSON.stringify(query) },
        FIELDS.map((k) => label({ key: k }, t(`why.${k}`), input({
            name: k, defaultValue: query[k] ?? "", required: k === "from" || k === "to" || k === "service", spellcheck: false,
            list: k === "from" || k === "to" ? "why-names" : k === "service" ? "why-services" : undefined,
            placeholder: t(`why.${k}.hint`),
        }))), list("why-names", endpoints.data), list("why-services", services.data),
        button({ class: "action primary" }, h(Icon, { name: "why", size: 15 }), t("why.ask")));
}

const End = ({ end, title }) => div({ class: "end" }, span({ class: "muted" }, title),
    h(Name, { name: end.endpoint, address: end.asked }),
    end.groups?.length > 0 && span({ class: "muted" }, end.groups.join(", ")),
    end.mode && h(Mode, { value: end.mode }), end.trust && h(Trust, { value: end.trust }),
    end.nearest && span({ class: "muted" }, t("finding.nearest"), " ", end.nearest));

const Layers = ({ layers }) => ol({ class: "layers" }, layers.map((l) => li({ key: l.layer, class: l.decides ? "decides" : "" },
    span({ class: "layer-name" }, term("layer", l.layer)), span(null, phrase(l.text)),
    l.decides && span({ class: "muted" }, t("why.decides")))));

const Conditions = ({ list }) => ul({ class: "conditions" }, list.map((c, i) => li({ key: i },
    h(Badge, { family: "condition", value: c.state, tone: STATE_TONE[c.state] }),
    span({ class: "mono muted" }, c.what), span({ class: "grow" }, phrase(c.text)))));

const Changes = ({ list }) => list?.length > 0 && ul({ class: "changes" }, list.map((c, i) => li({ key: i }, h(Icon, { name: "arrow", size: 14 }), phrase(c.text))));

const Rule = ({ rule }) => h(Card, { title: rule.id, level: h3, action: h(Badge, { family: "layer", value: rule.layer }) },
    p(null, rule.why, span({ class: "muted" }, ` — ${rule.owner}`)),
    h(Conditions, { list: rule.conditions ?? [] }),
    rule.except?.length > 0 && [p({ key: "p", class: "muted" }, t("why.except")), h(Conditions, { key: "c", list: rule.except })],
    h(Changes, { list: rule.changes }),
    rule.then && p(null, t("why.then"), " ", h(Verdict, { value: rule.then.verdict })));

const Text = ({ list }) => (Array.isArray(list) ? list : []).map((c) => (typeof c === "string" ? { text: c } : c));

function Result({ data }) {
    const changes = Text({ list: data.changes });
    return div({ class: "stack" },
        div({ class: `verdict-line v-${data.verdict}` }, h(Verdict, { value: data.verdict }),
            strong(null, term("layer", data.layer)), data.rule && span({ class: "mono" }, data.rule),
            span({ class: "muted" }, data.enforced ? t("why.enforced") : t("why.notenforced"))),
        div({ class: "ends" }, h(End, { end: data.from, title: t("why.from") }), h(Icon, { name: "arrow" }),
            h(End, { end: data.to, title: t("why.to") }), span({ class: "mono" }, data.asked.service)),
        div({ class: "columns" },
            h(Card, { title: t("why.layers") }, h(Layers, { layers: data.layers })),
            data.decider && typeof data.decider === "object" && h(Rule, { rule: data.decider }),
            data.nearest.map((rule) => h(Rule, { key: rule.id, rule })),
            changes.length > 0 && h(Card, { title: t("why.changes") }, h(Changes, { list: changes })),
            data.allow_like && h(Card, { title: t("why.allowlike"), action: a({ class: "action", href: href("policy", ["edit"], { add: data.allow_like }) }, t("why.makerule")) },
                pre({ class: "quote" }, data.allow_like))));
}

export default function Why() {
    const { query } = route.value;
    const [state, setState] = useState({});
    const asked = JSON.stringify(FIELDS.filter((k) => query[k]).map((k) => [k, query[k]]));
    useEffect(() => {
        if (!query.from || !query.to || !query.service) return setState({});
        let alive = true;
        setState({ loading: true });
        post("/why", Object.fromEntries(JSON.parse(asked))).then((data) => alive && setState({ data }),
            (error) => alive && setState({ error }));
        return () => (alive = false);
    }, [asked, at.value]);
    return div({ class: "stack" }, h(Question, { query }), state.loading && h(Loading), h(Refusal, { error: state.error }),
        state.data && h(Result, { data: state.data }));
}
