// What is wrong or suspicious, with what to do about it.
import { h, div } from "../../ui/h.js";
import { Answer, Card, Empty, Findings } from "../../ui/bits.js";
import { useAnswer } from "../../live.js";
import { go } from "../../router.js";
import { t } from "../../i18n/index.js";

export function FindingsTab() {
    const findings = useAnswer("/policy/findings", { topics: ["policy"], every: 60_000 });
    return h(Answer, { of: findings }, (list) => list.length === 0 ? h(Empty, null, t("findings.none"))
        : div({ class: "stack" }, h(Card, null, h(Findings, { findings: list,
            onPick: (f) => go("policy", ["edit"], { file: f.file, line: f.line }) }))));
}
