// CodeMirror in a shadow tree: its styles are sheets there, which a policy without inline styles
// allows, and nothing of the page leaks in.
import { basicSetup } from "codemirror";
import { EditorState } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { yaml } from "@codemirror/lang-yaml";
import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { autocompletion } from "@codemirror/autocomplete";
import { lintGutter, setDiagnostics } from "@codemirror/lint";
import { tags } from "@lezer/highlight";
import { completionsAt } from "./complete.js";

const highlight = HighlightStyle.define([
    { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--accent)" },
    { tag: [tags.string, tags.content], color: "var(--ink)" },
    { tag: tags.comment, color: "var(--muted)", fontStyle: "italic" },
    { tag: [tags.number, tags.bool, tags.keyword], color: "var(--would)" },
    { tag: [tags.punctuation, tags.separator, tags.bracket], color: "var(--muted)" },
]);

const look = (dark) => EditorView.theme({
    "&": { height: "100%", fontSize: "13px", color: "var(--ink)", backgroundColor: "var(--surface)" },
    ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.5" },
    ".cm-content": { caretColor: "var(--ink)" },
    ".cm-gutters": { backgroundColor: "var(--raised)", color: "var(--muted)", borderRight: "1px solid var(--line)" },
    ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--hover)" },
    "&.cm-focused .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "var(--select) !important" },
    ".cm-cursor": { borderLeftColor: "var(--ink)" },
    ".cm-tooltip": { backgroundColor: "var(--raised)", color: "var(--ink)", border: "1px solid var(--line)" },
    ".cm-panels": { backgroundColor: "var(--raised)", color: "var(--ink)" },
    ".cm-diagnostic": { whiteSpace: "pre-wrap", maxWidth: "60ch" },
}, { dark });

/** A finding's place, in characters of lines, as a range of the text. */
export function diagnostic(doc, finding) {
    const line = doc.line(Math.min(Math.max(1, finding.line), doc.lines));
    const from = Math.min(line.to, line.from + Math.max(0, finding.column - 1));
    const rest = doc.sliceString(from, line.to);
    const width = finding.width ?? (rest.match(/^[\w@./-]+/)?.[0].length || 1);
    const more = [finding.expected, finding.fix].filter(Boolean).join("\n");
    return {
        from, to: Math.min(line.to, from + width), source: finding.code,
        severity: { error: "error", warning: "warning" }[finding.severity] ?? "info",
        message: more ? `${finding.message}\n${more}` : finding.message,
    };
}

const extensions = (options) => [
    basicSetup, yaml(), lintGutter(), look(options.dark), syntaxHighlighting(highlight),
    autocompletion({ override: [(context) => completionsAt(context, options.names())] }),
    EditorState.readOnly.of(options.readOnly), EditorView.lineWrapping,
    EditorView.contentAttributes.of({ "aria-label": options.label, tabindex: "0" }),
    EditorView.updateListener.of((u) => u.docChanged && options.onChange(u.state.doc.toString())),
];

/**
 * @param {HTMLElement} host
 * @param {{text: string, readOnly: boolean, dark: boolean, label: string, line: number,
 *          names: () => Record<string, string[]>, onChange: (text: string) => void}} options
 */
export function createEditor(host, options) {
    const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
    const parent = document.createElement("div");
    parent.style.height = "100%";
    root.replaceChildren(parent);
    const view = new EditorView({ root, parent,
        state: EditorState.create({ doc: options.text, extensions: extensions(options) }) });
    host.editor = view;
    if (options.line > 0) {
        const line = view.state.doc.line(Math.min(options.line, view.state.doc.lines));
        view.dispatch({ selection: { anchor: line.from }, effects: EditorView.scrollIntoView(line.from, { y: "center" }) });
    }
    return {
        setFindings: (findings) => view.dispatch(setDiagnostics(view.state,
            findings.map((f) => diagnostic(view.state.doc, f)).sort((x, y) => x.from - y.from))),
        destroy: () => view.destroy(),
    };
}
