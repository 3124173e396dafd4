// Elements as functions: div({class: "card"}, "text", span(null, "more")).
//
// Everything that is shown goes through here as children, which Preact writes as text nodes: no
// string from anywhere ever becomes markup.
import { h, Fragment } from "preact";

/** @param {string} name */
const element = (name) => (props, ...children) => h(name, props, ...children);

export { h, Fragment };
export const a = element("a"), abbr = element("abbr"), article = element("article"),
    aside = element("aside"), button = element("button"), canvas = element("canvas"),
    caption = element("caption"), code = element("code"), dd = element("dd"),
    datalist = element("datalist"), details = element("details"), dialog = element("dialog"), div = element("div"),
    dl = element("dl"), dt = element("dt"), em = element("em"), footer = element("footer"),
    form = element("form"), h1 = element("h1"), h2 = element("h2"), h3 = element("h3"),
    header = element("header"), input = element("input"), kbd = element("kbd"),
    label = element("label"), li = element("li"), main = element("main"), nav = element("nav"),
    ol = element("ol"), option = element("option"), p = element("p"), pre = element("pre"),
    section = element("section"), select = element("select"), small = element("small"),
    span = element("span"), strong = element("strong"), summary = element("summary"),
    table = element("table"), tbody = element("tbody"), td = element("td"),
    textarea = element("textarea"), tfoot = element("tfoot"), th = element("th"),
    thead = element("thead"), time = element("time"), tr = element("tr"), ul = element("ul");
