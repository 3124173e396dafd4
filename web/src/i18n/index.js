// Words in the language of whoever reads.  en.js and ja.js have the same keys with the same
// placeholders, and every key that is used: the build fails otherwise (tools/words.mjs).
import { signal } from "@preact/signals";
import { translator } from "./phrases.js";

export const LANGUAGES = { en: "English", ja: "日本語" };
const load = { en: () => import("./en.js"), ja: () => import("./ja.js") };
/** The controller's sentences come in English; for other languages a table that is loaded behind the words. */
const tables = { ja: () => import("./phrases-ja.js") };
const words = signal({});
const said = signal({ language: "", say: (sentence) => sentence });

export const language = signal("en");

export function preferred() {
    const kept = globalThis.localStorage?.getItem("language");
    if (kept && kept in LANGUAGES) return kept;
    return (navigator.languages ?? []).some((l) => l.startsWith("ja")) ? "ja" : "en";
}

/** Takes effect when its words are here. */
export async function setLanguage(name) {
    const module = await load[name]();
    words.value = module.default;
    language.value = name;
    document.documentElement.lang = name;
    globalThis.localStorage?.setItem("language", name);
    tables[name]?.().then((table) => { // Nobody waits for it; should it not come, they stay English.
        if (said.value.language !== name) said.value = { language: name, say: translator(table.default) };
    }, () => {});
}

/** A sentence of the controller: a reason, a finding, a line of a difference. */
export const phrase = (sentence) => (said.value.language === language.value ? said.value.say(String(sentence ?? "")) : String(sentence ?? ""));

/** The text of a key; {name} in it becomes args.name. */
export function t(key, args) {
    const text = words.value[key] ?? key;
    return args ? text.replace(/\{(\w+)\}/g, (all, name) => String(args[name] ?? all)) : text;
}

/** A word of the API, such as a verdict, where there is one for it; else as it came. */
export const term = (family, value) => words.value[`${family}.${value}`] ?? String(value ?? "");
