// The lines of a difference in meaning, coloured by their first sign.
import { pre, span } from "./h.js";
import { phrase } from "../i18n/index.js";

const LINE = { "+": "plus", "-": "minus", "!": "bang", ">": "bang" };

export const DiffText = ({ text }) => pre({ class: "diff", tabIndex: 0 }, String(text ?? "").trimEnd().split("\n").map((line, i) =>
    span({ key: i, class: LINE[line.trimStart()[0]] ?? "" }, `${phrase(line)}\n`)));
