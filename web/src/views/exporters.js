// Network gear that tells flows: what came, and what of it is lost, refused or not understood.
import { h, div, p } from "../ui/h.js";
import { Answer, Badge } from "../ui/bits.js";
import { Table } from "../ui/table.js";
import { useAnswer } from "../live.js";
import { go } from "../router.js";
import { ago, number } from "../format.js";
import { t } from "../i18n/index.js";
import { SeenTabs } from "./enforcers.js";

const amount = (key) => ({ key, label: t(`exporters.${key}`), class: "num", sort: (e) => e[key], cell: (e) => number(e[key]) });
const odd = (e) => (e.malformed ?? 0) + (e.unexpected ?? 0) + (e.without_template ?? 0) + (e.without_addresses ?? 0);

const columns = () => [
    { key: "name", label: t("endpoints.name"), class: "mono", sort: (e) => e.name, cell: (e) => e.name || "–" },
    { key: "address", label: t("enforcers.address"), class: "mono", sort: (e) => e.address, cell: (e) => e.address },
    { key: "believed", label: t("exporters.believed"), sort: (e) => String(e.believed),
        cell: (e) => h(Badge, { value: t(e.believed ? "yes" : "no"), tone: e.believed ? "good" : "bad" }) },
    { key: "kind", label: t("exporters.kind"), class: "mono", sort: (e) => e.kind ?? "", cell: (e) => e.kind || "–" },
    ...["datagrams", "records", "kept", "lost", "refused"].map(amount),
    { key: "odd", label: t("exporters.odd"), class: "num", sort: odd, cell: (e) => number(odd(e)) },
    { key: "seen", label: t("exporters.seen"), sort: (e) => e.last_seen ?? "", cell: (e) => e.last_seen ? ago(e.last_seen) : "–" },
];

export default function Exporters() {
    const answer = useAnswer("/exporters", { every: 5000 });
    return div({ class: "fill" }, h(SeenTabs, { current: "exporters" }), p({ class: "muted" }, t("exporters.note")),
        h(Answer, { of: answer }, (list) => h(Table, { rows: list, columns: columns(), id: (e) => `${e.name} ${e.address}`, label: t("nav.exporters"),
            empty: t("exporters.none"), tone: (e) => (e.believed ? "" : "row-deny"), onOpen: (e) => go("flows", [], { reporter: e.name }) })));
}
