// Numbers, times and amounts as people of a language read them.
import { language } from "./i18n/index.js";

export const number = (n) => new Intl.NumberFormat(language.value).format(Number(n) || 0);

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

export function bytes(n) {
    let value = Number(n) || 0, unit = 0;
    while (value >= 1000 && unit < UNITS.length - 1) {
        value /= 1000;
        unit++;
    }
    const digits = unit && value < 10 ? 1 : 0;
    const text = new Intl.NumberFormat(language.value, { maximumFractionDigits: digits });
    return `${text.format(value)} ${UNITS[unit]}`;
}

const valid = (when) => {
    const date = new Date(when);
    return Number.isNaN(date.getTime()) ? null : date;
};

/** "10:37:11" today, with the date otherwise. */
export function clock(when) {
    const date = valid(when);
    if (!date) return String(when ?? "");
    const today = date.toDateString() === new Date().toDateString();
    return new Intl.DateTimeFormat(language.value, {
        ...(today ? {} : { month: "short", day: "numeric" }),
        hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false,
    }).format(date);
}

export function moment(when) {
    const date = valid(when);
    if (!date) return String(when ?? "");
    return new Intl.DateTimeFormat(language.value, {
        year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit",
        second: "2-digit", hour12: false,
    }).format(date);
}

const STEPS = [[60, "second", 1], [3600, "minute", 60], [86400, "hour", 3600],
    [Infinity, "day", 86400]];

/** "5 minutes ago" */
export function ago(when, now = Date.now()) {
    const date = valid(when);
    if (!date) return String(when ?? "");
    const seconds = Math.round((date.getTime() - now) / 1000);
    const [, unit, size] = STEPS.find(([limit]) => Math.abs(seconds) < limit);
    return new Intl.RelativeTimeFormat(language.value, { numeric: "auto", style: "short" })
        .format(Math.trunc(seconds / size), unit);
}

/** "72 ms", "1.3 s" */
export function duration(ms) {
    const unit = ms < 1000 ? "millisecond" : ms < 120_000 ? "second" : "minute";
    const value = ms / { millisecond: 1, second: 1000, minute: 60_000 }[unit];
    return new Intl.NumberFormat(language.value, { style: "unit", unit, maximumFractionDigits: value < 10 ? 1 : 0 }).format(value);
}

/** "4:09" */
export function countdown(seconds) {
    const s = Math.max(0, Math.floor(seconds));
    return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
}
