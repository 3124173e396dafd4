// A filter of words "field:value" that completes fields and values.
import { useRef, useState } from "preact/hooks";
import { h, button, div, input, label, li, span, ul } from "./h.js";
import { Icon } from "./icons.js";
import { t } from "../i18n/index.js";

const MAX = 12;

/** What may follow what stands there: fields, or values of the field. */
export function suggestions(text, fields) {
    const [name, value] = split(text);
    if (value === null)
        return Object.keys(fields).filter((f) => f.startsWith(name.toLowerCase()))
            .map((f) => ({ text: `${f}:`, note: fields[f].label }));
    const field = fields[name];
    if (!field) return [];
    const wanted = value.toLowerCase();
    const values = (field.values?.() ?? []).filter((v) => v.toLowerCase().includes(wanted));
    values.sort((x, y) => Number(y.toLowerCase().startsWith(wanted)) - Number(x.toLowerCase().startsWith(wanted))
        || x.localeCompare(y, undefined, { numeric: true }));
    return values.slice(0, MAX).map((v) => ({ text: `${name}:${v}`, note: "" }));
}

function split(text) {
    const colon = text.indexOf(":");
    return colon < 0 ? [text, null] : [text.slice(0, colon), text.slice(colon + 1)];
}

/**
 * @param {{value: Record<string, string>, fields: Record<string, {label: string,
 *          values?: () => string[]}>, free?: string, onChange: (value: Record<string, string>) => void}}
 *        props  free: the field of a word without ":"
 */
export function Filter({ value, fields, free, onChange }) {
    const [text, setText] = useState("");
    const [open, setOpen] = useState(false);
    const [at, setAt] = useState(-1);
    const box = useRef(null);
    const list = open ? suggestions(text, fields) : [];

    const take = (word) => {
        const [name, rest] = split(word.trim());
        if (rest === "" && fields[name]) {
            setText(`${name}:`);
            setAt(-1);
            box.current?.focus();
            return;
        }
        const field = rest === null ? free : name;
        if (!word.trim() || !field || !fields[field]) return;
        onChange({ ...value, [field]: rest === null ? word.trim() : rest });
        setText("");
        setAt(-1);
    };

    const onKey = (e) => {
        if (e.key === "ArrowDown" || e.key === "ArrowUp") {
            e.preventDefault();
            const n = list.length;
            if (n) setAt((at + (e.key === "ArrowDown" ? 1 : n + (at < 0 ? 0 : -1))) % n);
        } else if (e.key === "Enter" || (e.key === "Tab" && text && list.length > 0)) {
            e.preventDefault();
            take(at >= 0 ? list[at].text : e.key === "Tab" ? list[0].text : text);
        } else if (e.key === "Escape") {
            setOpen(false);
            setText("");
        } else if (e.key === "Backspace" && text === "") {
            const last = Object.keys(value).filter((k) => fields[k] && value[k]).pop();
            if (last) onChange({ ...value, [last]: "" });
        }
    };

    const chips = Object.entries(value).filter(([name, v]) => fields[name] && v);
    return div({ class: "filter" }, h(Icon, { name: "search", size: 15 }),
        chips.map(([name, v]) => span({ key: name, class: "chip" }, span({ class: "chip-name" }, name), v,
            button({
                type: "button", "aria-label": t("filter.remove", { name }),
                onClick: () => onChange({ ...value, [name]: "" }),
            }, "×"))),
        label({ class: "hidden", for: "filter-input" }, t("filter")),
        input({
            id: "filter-input", ref: box, value: text, placeholder: chips.length ? "" : t("filter.hint"),
            role: "combobox", autocomplete: "off", spellcheck: false, "aria-expanded": String(list.length > 0),
            "aria-controls": "filter-list", "aria-autocomplete": "list",
            "aria-activedescendant": at >= 0 ? `filter-${at}` : undefined,
            onInput: (e) => {
                setText(e.target.value);
                setOpen(true);
                setAt(-1);
            },
            onFocus: () => setOpen(true), onBlur: () => setOpen(false), onKeyDown: onKey,
        }),
        ul({ id: "filter-list", role: "listbox", "aria-label": t("filter"), hidden: list.length === 0 },
            list.map((s, i) => li({
                key: s.text, id: `filter-${i}`, role: "option", "aria-selected": String(i === at),
                onMouseDown: (e) => {
                    e.preventDefault();
                    take(s.text);
                },
            }, span({ class: "mono" }, s.text), span({ class: "muted" }, s.note)))));
}
