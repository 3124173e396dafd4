// A table that sorts, goes by keys, and draws only the rows that are in sight.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { h, button, div, span, table, tbody, td, th, thead, tr } from "./h.js";
import { Empty } from "./bits.js";

const ROW = 30, SPARE = 12, WHOLE = 150;

/**
 * @typedef {{key: string, label: string, cell: (row: any) => any, sort?: (row: any) => any,
 *            class?: string}} Column
 */

const byName = new Intl.Collator("en", { numeric: true }).compare;
const order = (x, y) => (typeof x === "number" && typeof y === "number" ? x - y : byName(String(x ?? ""), String(y ?? "")));

function sorted(rows, columns, by) {
    const column = columns.find((c) => c.key === by?.key);
    if (!column?.sort) return rows;
    const sign = by.down ? -1 : 1;
    return rows.slice().sort((x, y) => sign * order(column.sort(x), column.sort(y)));
}

function Heading({ column, by, onSort }) {
    const mine = by?.key === column.key;
    const state = mine ? (by.down ? "descending" : "ascending") : undefined;
    return th({ scope: "col", class: column.class, "aria-sort": state },
        column.sort
            ? button({ type: "button", onClick: () => onSort({ key: column.key, down: mine && !by.down }) },
                column.label, span({ "aria-hidden": "true", class: "sort" }, mine ? (by.down ? "▾" : "▴") : ""))
            : column.label);
}

/** Which rows are in sight: [first, end). */
function useWindow(box, n) {
    const [range, setRange] = useState([0, WHOLE]);
    useLayoutEffect(() => {
        const element = box.current;
        if (!element || n <= WHOLE) return undefined;
        const measure = () => {
            const first = Math.max(0, Math.floor(element.scrollTop / ROW) - SPARE);
            const end = Math.min(n, Math.ceil((element.scrollTop + element.clientHeight) / ROW) + SPARE);
            setRange((old) => (old[0] === first && old[1] === end ? old : [first, end]));
        };
        measure();
        element.addEventListener("scroll", measure, { passive: true });
        const watch = new ResizeObserver(measure);
        watch.observe(element);
        return () => {
            element.removeEventListener("scroll", measure);
            watch.disconnect();
        };
    }, [n]);
    return n <= WHOLE ? [0, n] : [Math.min(range[0], n), Math.min(range[1], n)];
}

const KEYS = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: 15, PageUp: -15 };

/**
 * @param {{rows: any[], columns: Column[], id: (row: any) => any, label: string,
 *          onOpen?: (row: any) => void, chosen?: any, empty?: any, by?: {key: string, down: boolean},
 *          tone?: (row: any) => string}} props
 */
export function Table({ rows, columns, id, label, onOpen, chosen, empty, by: first, tone }) {
    const [by, setBy] = useState(first);
    const box = useRef(null);
    const list = sorted(rows, columns, by);
    const [start, end] = useWindow(box, list.length);
    if (rows.length === 0) return h(Empty, null, empty);

    const onKey = (e) => {
        const step = KEYS[e.key];
        const row = e.target.closest?.("tr[data-index]");
        if (row && onOpen && (e.key === "Enter" || e.key === " ") && e.target === row) {
            e.preventDefault();
            onOpen(list[Number(row.dataset.index)]);
        }
        if (!row || !step || e.ctrlKey || e.metaKey || e.altKey) return;
        e.preventDefault();
        const to = Math.min(list.length - 1, Math.max(0, Number(row.dataset.index) + step));
        box.current.querySelector(`tr[data-index="${to}"]`)?.focus();
    };

    const line = (row, i) => tr({
        key: id(row), "data-index": i, "aria-rowindex": i + 2, class: tone?.(row),
        tabIndex: onOpen ? 0 : undefined, "aria-selected": onOpen && chosen !== undefined
            ? String(id(row) === chosen) : undefined,
        onClick: onOpen && ((e) => !e.target.closest("a,button") && onOpen(row)),
    }, columns.map((c) => td({ key: c.key, class: c.class }, c.cell(row))));

    return div({ class: "table", ref: box, onKeyDown: onKey, tabIndex: 0, role: "region", "aria-label": label },
        table({ "aria-label": label, "aria-rowcount": list.length + 1, class: onOpen ? "opens" : "" },
            thead(null, tr({ "aria-rowindex": 1 },
                columns.map((c) => h(Heading, { key: c.key, column: c, by, onSort: setBy })))),
            tbody(null,
                start > 0 && tr({ key: "<", "aria-hidden": "true" },
                    td({ class: "gap", colSpan: columns.length, style: { height: `${start * ROW}px` } })),
                list.slice(start, end).map((row, i) => line(row, start + i)),
                end < list.length && tr({ key: ">", "aria-hidden": "true" },
                    td({ class: "gap", colSpan: columns.length,
                        style: { height: `${(list.length - end) * ROW}px` } })))));
}
