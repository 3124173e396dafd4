// The policy's text: checked while it is written, compared with what is in force, applied with a
// clock that takes it back unless somebody confirms.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { h, button, div, p, span } from "../../ui/h.js";
import { Action, Badge, Card, Findings, Loading, Refusal } from "../../ui/bits.js";
import { DiffText } from "../../ui/diff.js";
import { ask, get, Problem, segment, session } from "../../api.js";
import { useAnswer } from "../../live.js";
import { route } from "../../router.js";
import { t } from "../../i18n/index.js";
import { may } from "../../session.js";
import { theme } from "../../theme.js";
import { createEditor } from "../../editor/editor.js";
import { Apply, onlyTestsFail } from "./apply.js";
import { Path, pathOf } from "./path.js";
import { Propose } from "./propose.js";
import { Simulate } from "./simulate.js";

const WAIT_MS = 700;

/** The files in force, or a first one where nothing was ever applied; with a draft its files instead. */
async function load(draft) {
    try {
        if (draft) {
            const [{ data, etag }, proposed] = await Promise.all([ask("GET", "/policy"), get(`/policy/drafts/${segment(draft)}`)]);
            return { files: proposed.files ?? data.files, original: data.files, etag };
        }
        const { data, etag } = await ask("GET", "/policy");
        return { files: data.files, etag };
    } catch (e) {
        if (e instanceof Problem && e.status === 404)
            return { files: [{ name: "policy.yaml", text: "suimitsu: 1\n" }], etag: "" };
        throw e;
    }
}

/** Asks what the text would mean, some time after the last key. */
function useCheck(files, etag, active) {
    const [state, setState] = useState({ findings: [] });
    useEffect(() => {
        if (!active) return undefined;
        const abort = new AbortController();
        const timer = setTimeout(async () => {
            setState((old) => ({ ...old, busy: true }));
            try {
                const { data } = await ask("PUT", "/policy", { body: { files, dry_run: true }, etag, signal: abort.signal });
                setState({ findings: data.findings ?? [], diff: data.diff, text: data.diff_text, base: data.base, files });
            } catch (error) {
                if (!abort.signal.aborted) setState({ findings: error.findings ?? [], failed: error.failed, error, files });
            }
        }, WAIT_MS);
        return () => {
            abort.abort();
            clearTimeout(timer);
        };
    }, [files, etag, active]);
    return state;
}

const worst = (list) => list.some((f) => f.severity === "error") ? "bad" : list.length ? "warn" : "good";

const Meaning = ({ check, files }) => div({ class: "stack meaning" },
    check.error && check.error.status !== 422 && h(Refusal, { error: check.error }),
    h(Card, { title: t("edit.findings"), action: h(Badge, { tone: worst(check.findings),
        value: check.busy ? t("edit.checking") : String(check.findings.length) }) },
    check.findings.map((f, i) => f.code === "E-PROOF" && h(Path, { key: i, hops: pathOf(f.message) })),
    check.findings.length > 0 ? h(Findings, { findings: check.findings }) : p({ class: "muted" }, t("findings.none"))),
    h(Card, { title: t("edit.meaning") }, check.text ? h(DiffText, { text: check.text })
        : p({ class: "muted" }, check.diff?.same ? t("edit.same") : t("edit.unknown"))),
    h(Simulate, { body: { files } }));

/** The editor of one file, made anew when another is shown. */
function Text({ file, line, names, findings, onChange }) {
    const host = useRef(null), editor = useRef(null), latest = useRef(onChange);
    latest.current = onChange;
    const dark = theme.value === "dark";
    useEffect(() => {
        editor.current = createEditor(host.current, { text: file.text, readOnly: !may.try(), dark, line,
            names: () => names, label: file.name, onChange: (text) => latest.current(text) });
        return () => editor.current.destroy();
    }, [dark, names]);
    useEffect(() => editor.current.setFindings(findings), [findings, dark, names]);
    return div({ class: "cm-host", ref: host });
}

function useNames() {
    const groups = useAnswer("/groups", { list: true, every: 0 });
    const services = useAnswer("/services", { list: true, every: 0 });
    return useMemo(() => ({ group: (groups.data ?? []).map((g) => g.name), service: (services.data ?? []).map((s) => s.name) }),
        [groups.data, services.data]);
}

export function Edit() {
    const { query } = route.value;
    const [state, setState] = useState(null);
    const [error, setError] = useState(null);
    const [current, setCurrent] = useState(0);
    const [applying, setApplying] = useState("");
    const [round, setRound] = useState(0);
    const names = useNames();
    const start = (add, draft) => load(draft).then((loaded) => {
        const files = add ? [...loaded.files, { name: "new-rule.yaml", text: add }] : loaded.files;
        setState({ ...loaded, files, original: loaded.original ?? loaded.files });
        setCurrent(add ? files.length - 1 : Math.max(0, files.findIndex((f) => f.name === query.file)));
        setRound((n) => n + 1);
    }, setError);
    useEffect(() => {
        start(query.add, query.draft);
    }, []);
    const check = useCheck(state?.files, state?.etag, Boolean(state) && may.try());
    const file = state?.files[current];
    const mine = useMemo(() => check.findings.filter((f) => f.file === file?.name), [check.findings, file?.name]);
    if (error) return h(Refusal, { error });
    if (!state) return h(Loading);

    const changed = JSON.stringify(state.files) !== JSON.stringify(state.original);
    const usable = changed && !check.busy && check.files === state.files && (!check.error || onlyTestsFail(check));
    const change = (text) => setState((old) => ({ ...old, files: old.files.map((f, i) => (i === current ? { ...f, text } : f)) }));
    return div({ class: "split editor" },
        div({ class: "editor-side" },
            div({ class: "toolbar" }, div({ class: "choice", role: "group", "aria-label": t("edit.files") },
                state.files.map((f, i) => button({ key: f.name, type: "button", class: "mono", "aria-pressed": String(i === current),
                    onClick: () => setCurrent(i) }, f.name))),
            span({ class: "grow" }),
            may.try() && changed && h(Action, { onClick: () => start() }, t("edit.undo")),
            may.draft() && h(Action, { tone: session.value.four_eyes ? "primary" : "", disabled: !usable || Boolean(check.error), onClick: () => setApplying("propose") }, t("drafts.propose")),
            may.apply() && !session.value.four_eyes && h(Action, { tone: "primary", disabled: !usable, onClick: () => setApplying("apply") }, t("edit.apply"))),
            h(Text, { key: `${round} ${current}`, file, names, findings: mine, onChange: change,
                line: query.file === file.name ? Number(query.line) || 0 : 0 })),
        may.try() ? h(Meaning, { check, files: state.files }) : p({ class: "muted" }, t("edit.readonly")),
        applying === "apply" && h(Apply, { files: state.files, etag: state.etag, check, onClose: () => setApplying(""), onDone: () => start() }),
        applying === "propose" && h(Propose, { files: state.files, check, onClose: () => setApplying("") }));
}
