// Who changed what, and whether the chain is whole.
import { useState } from "preact/hooks";
import { h, div, pre, span } from "../ui/h.js";
import { Action, Answer, Badge } from "../ui/bits.js";
import { Dialog } from "../ui/dialog.js";
import { Filter } from "../ui/filter.js";
import { Table } from "../ui/table.js";
import { actionOf, detailOf, objectOf } from "../audit.js";
import { getAll, withQuery } from "../api.js";
import { useAnswer } from "../live.js";
import { route, setQuery } from "../router.js";
import { moment, number } from "../format.js";
import { t } from "../i18n/index.js";

const PAGE = 200;

/** By its word, and by the name that filters and the command line know. */
const Did = (x) => [actionOf(x), actionOf(x) !== x.action && span({ class: "muted" }, ` ${x.action}`)];

const columns = () => [
    { key: "seq", label: "#", class: "num", sort: (x) => x.seq, cell: (x) => number(x.seq) },
    { key: "time", label: t("audit.time"), sort: (x) => x.seq, cell: (x) => moment(x.time) },
    { key: "actor", label: t("audit.actor"), sort: (x) => x.actor, cell: (x) => x.actor },
    { key: "action", label: t("audit.action"), class: "mono", sort: (x) => x.action, cell: Did },
    { key: "object", label: t("audit.object"), class: "mono clip", sort: (x) => x.object, cell: objectOf },
    { key: "detail", label: t("audit.detail"), class: "clip", cell: detailOf },
];

const Whole = () => {
    const answer = useAnswer("/audit/verify", { every: 60_000, topics: ["audit"] });
    if (!answer.data) return null;
    return answer.data.whole ? h(Badge, { tone: "good", value: t("audit.whole", { n: number(answer.data.entries) }) })
        : h(Badge, { tone: "bad", value: t("audit.broken", { n: number(answer.data.first_bad) }) });
};

const Entry = ({ entry, onClose }) => h(Dialog, { title: `${actionOf(entry)} ${objectOf(entry)}`, onClose, wide: true },
    ["time", "actor", "detail", "before", "after", "prev"].filter((k) => entry[k]).map((k) =>
        div({ key: k }, span({ class: "muted" }, t(`audit.${k}`)), pre({ class: "quote" }, k === "detail" ? detailOf(entry) : String(entry[k])))));

export default function Audit() {
    const { query } = route.value;
    const newest = useAnswer("/audit", { list: true, topics: ["audit"] });
    const [older, setOlder] = useState([]);
    const [chosen, setChosen] = useState(null);
    const list = [...(newest.data ?? []), ...older].filter((x, i, all) => i === 0 || x.seq < all[i - 1].seq);
    const more = async () => {
        const last = list[list.length - 1];
        if (last) setOlder([...older, ...await getAll(withQuery("/audit", { before: last.seq }))]);
    };
    const all = (f) => [...new Set(list.map(f))];
    const fields = {
        actor: { label: t("audit.actor"), values: () => all((x) => x.actor) },
        action: { label: t("audit.action"), values: () => all((x) => x.action) },
        object: { label: t("audit.object"), values: () => all((x) => x.object) },
    };
    const rows = list.filter((x) => Object.keys(fields).every((k) => !query[k] || x[k].includes(query[k])));
    return div({ class: "fill" },
        div({ class: "toolbar" }, h(Filter, { value: query, fields, free: "object", onChange: (q) => setQuery(q) }), h(Whole),
            list.length >= PAGE && list[list.length - 1].seq > 1 && h(Action, { onClick: more }, t("audit.more"))),
        h(Answer, { of: newest }, () => h(Table, { rows, columns: columns(), id: (x) => x.seq, label: t("nav.audit"),
            empty: t("audit.none"), onOpen: setChosen })),
        chosen && h(Entry, { entry: chosen, onClose: () => setChosen(null) }));
}
