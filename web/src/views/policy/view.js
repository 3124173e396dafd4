// The policy: its rules as sentences, its text, proofs, findings, reach and versions.
import { useEffect, useState } from "preact/hooks";
import { h, div } from "../../ui/h.js";
import { Loading, Refusal, Tabs } from "../../ui/bits.js";
import { href, route } from "../../router.js";
import { t } from "../../i18n/index.js";
import { Rules } from "./rules.js";
import { Proofs } from "./proofs.js";
import { FindingsTab } from "./findings.js";
import { Drafts } from "./drafts.js";
import { Radius } from "./radius.js";
import { Versions } from "./versions.js";

/** The editor is the heaviest part of the console, and comes when it is wanted. */
function LazyEdit() {
    const [state, setState] = useState({});
    useEffect(() => {
        import("./edit.js").then((m) => setState({ Edit: m.Edit }), (error) => setState({ error }));
    }, []);
    if (state.error) return h(Refusal, { error: state.error });
    return state.Edit ? h(state.Edit) : h(Loading);
}

const TABS = { rules: Rules, edit: LazyEdit, drafts: Drafts, proofs: Proofs, findings: FindingsTab, radius: Radius, versions: Versions };

export default function Policy() {
    const name = route.value.rest[0] in TABS ? route.value.rest[0] : "rules";
    return div({ class: "fill" },
        h(Tabs, { label: t("nav.policy"), current: name,
            tabs: Object.keys(TABS).map((k) => [k, t(`policy.${k}`), href("policy", [k])]) }),
        h(TABS[name], { key: name }));
}
