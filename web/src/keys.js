// Keys: "g" and a letter goes to a view, "/" to the filter, "?" tells them.
import { signal } from "@preact/signals";
import { VIEWS } from "./views/index.js";
import { go } from "./router.js";
import { toggleTheme } from "./theme.js";

export const helpOpen = signal(false);

const typing = (e) => e.target.closest?.("input,textarea,select,[contenteditable],.cm-host,dialog");
let pending = false;

export function onKey(e) {
    if (e.ctrlKey || e.metaKey || e.altKey || typing(e)) return;
    if (pending) {
        pending = false;
        const view = Object.keys(VIEWS).find((name) => VIEWS[name].key === e.key);
        if (view) {
            e.preventDefault();
            go(view);
        }
        return;
    }
    if (e.key === "g") pending = true;
    else if (e.key === "?") helpOpen.value = true;
    else if (e.key === "T") toggleTheme();
    else if (e.key === "/") {
        const box = document.getElementById("filter-input");
        if (!box) return;
        e.preventDefault();
        box.focus();
    }
}
