// What was proved over everything; where a proof fails, the path that breaks it, drawn.
import { h, a, div, p } from "../../ui/h.js";
import { Answer, Badge, Card, Empty } from "../../ui/bits.js";
import { useAnswer } from "../../live.js";
import { href } from "../../router.js";
import { number } from "../../format.js";
import { t } from "../../i18n/index.js";
import { Path } from "./path.js";

const Holds = ({ holds }) => h(Badge, { tone: holds ? "good" : "bad", value: holds ? t("proofs.holds") : t("proofs.fails") });

const One = ({ proof }) => h(Card, { title: proof.name, action: h(Holds, { holds: proof.holds }) },
    h(Path, { hops: proof.hops ?? [] }),
    p({ class: "muted" }, t("proofs.over", {
        endpoints: number(proof.over?.endpoints), services: number(proof.over?.kinds_of_service), rules: number(proof.over?.rules),
    }), " ", a({ class: "mono", href: href("policy", ["edit"], { file: proof.file, line: proof.line }) }, `${proof.file}:${proof.line}`)));

export function Proofs() {
    const proofs = useAnswer("/policy/proofs", { list: true, topics: ["policy"], every: 60_000 });
    return h(Answer, { of: proofs }, (list) => list.length === 0 ? h(Empty, null, t("proofs.none"))
        : div({ class: "stack" }, list.map((proof, i) => h(One, { key: i, proof }))));
}
