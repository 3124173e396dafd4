// Dark, light, or what the system says.
import { signal, effect } from "@preact/signals";

const kept = globalThis.localStorage?.getItem("theme");
const system = globalThis.matchMedia?.("(prefers-color-scheme: dark)");

export const theme = signal(kept === "dark" || kept === "light" ? kept
    : system?.matches ? "dark" : "light");

effect(() => {
    document.documentElement.dataset.theme = theme.value;
});

export function toggleTheme() {
    theme.value = theme.value === "dark" ? "light" : "dark";
    localStorage.setItem("theme", theme.value);
}
