// A path through the network, drawn: who gets to whom, by which service and rule.
import { h, a, li, ol, span } from "../../ui/h.js";
import { Icon } from "../../ui/icons.js";
import { href } from "../../router.js";
import { t } from "../../i18n/index.js";

const text = (x) => (typeof x === "string" ? x : x?.name ?? x?.endpoint ?? "");

/** pc1 —tcp/443→ web1 —tcp/8080→ orders1 */
export const Path = ({ hops }) => hops.length > 0 && ol({ class: "path", "aria-label": t("proofs.path") },
    hops.map((hop, i) => li({ key: i },
        i === 0 && span({ class: "station" }, text(hop.from)),
        span({ class: "leg" }, span({ class: "mono" }, hop.service ?? ""), h(Icon, { name: "arrow", size: 16 }),
            hop.rule && a({ href: href("policy", ["rules"], { rule: hop.rule }) }, hop.rule)),
        span({ class: "station" }, text(hop.to)))));

/** The hops of "there is a path: pc1 to web1 by tcp/443 ("office-web"), web1 to ..." */
export function pathOf(message) {
    const head = "there is a path: ";
    if (!message.startsWith(head)) return [];
    const hop = /([^\s,]+) to ([^\s,]+) by ([^\s,]+)(?: \("([^"]*)"[^)]*\))?/g;
    return [...message.slice(head.length).matchAll(hop)]
        .map(([, from, to, service, rule]) => ({ from, to, service, rule }));
}
