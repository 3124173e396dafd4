// Line drawings, 20 × 20.
import { h } from "preact";

const PATHS = {
    overview: "M3 11l7-7 7 7M5 9.5V17h10V9.5",
    map: "M4 4h5v5H4zM11 11h5v5h-5zM11 4.5h5v3h-5zM4 12.5h5v3H4zM9 6.5h2M6.5 9v3.5M9 14h2M13.5 7.5V11",
    flows: "M3 6h11l-3-3M17 14H6l3 3M3 10h14",
    endpoints: "M3 4h14v9H3zM7 17h6M10 13v4",
    policy: "M5 3h7l3 3v11H5zM12 3v3h3M8 9.5h4M8 13h4",
    incidents: "M10 3l7.5 13.5h-15zM10 8v4M10 14.3v.4",
    enforcers: "M10 3l6 2v5c0 4-3 6-6 7-3-1-6-3-6-7V5zM7.5 10l2 2 3.5-4",
    accounts: "M7.5 10a3 3 0 100-6 3 3 0 000 6zM2 16.5c0-3 2.5-4.5 5.5-4.5s5.5 1.5 5.5 4.5M13.5 10.5a2.5 2.5 0 10-1-4.8M15 12.5c2 .4 3 1.8 3 4",
    audit: "M4 5h2M4 10h2M4 15h2M8.5 5H16M8.5 10H16M8.5 15H16",
    unprotected: "M10 3l6 2v5c0 4-3 6-6 7-3-1-6-3-6-7V5zM8 8l4 4M12 8l-4 4",
    why: "M7.5 7.5a2.5 2.5 0 115 0c0 2-2.5 2-2.5 4M10 14.5v.4M10 18a8 8 0 100-16 8 8 0 000 16z",
    operations: "M6 3h8M6 17h8M7 3c0 4 6 5 6 7s-6 3-6 7M13 3c0 4-6 5-6 7s6 3 6 7",
    copy: "M7 7h9v9H7zM13 7V4H4v9h3",
    sun: "M10 13.5a3.5 3.5 0 100-7 3.5 3.5 0 000 7zM10 1.5v2M10 16.5v2M1.5 10h2M16.5 10h2M4 4l1.4 1.4M14.6 14.6L16 16M4 16l1.4-1.4M14.6 5.4L16 4",
    moon: "M16.5 12A7 7 0 118 3.5a5.5 5.5 0 008.5 8.5z",
    close: "M5 5l10 10M15 5L5 15",
    out: "M8 4H4v12h4M12 6.5L15.5 10 12 13.5M15 10H8",
    check: "M4 10.5l4 4 8-9",
    clock: "M10 17a7 7 0 100-14 7 7 0 000 14zM10 6v4l3 2",
    search: "M9 14.5a5.5 5.5 0 100-11 5.5 5.5 0 000 11zM13 13l4 4",
    help: "M7.5 7.5a2.5 2.5 0 115 0c0 2-2.5 2-2.5 4M10 14.5v.4",
    play: "M6 4l10 6-10 6z",
    pause: "M6.5 4v12M13.5 4v12",
    arrow: "M4 10h12M12 6l4 4-4 4",
};

export const Icon = ({ name, size = 18 }) => h("svg", {
    class: "icon", viewBox: "0 0 20 20", width: size, height: size, "aria-hidden": "true",
    focusable: "false",
}, h("path", { d: PATHS[name] ?? PATHS.help }));

/** A hull with its compartments. */
export const Mark = ({ size = 26 }) => h("svg", {
    class: "mark", viewBox: "0 0 28 28", width: size, height: size, "aria-hidden": "true",
}, h("path", { class: "hull", d: "M2 9h24c0 8-5 14-12 16C7 23 2 17 2 9z" }),
h("path", { class: "bulkheads", d: "M9 9v13M14 4v20.5M19 9v13M3 15.5h22" }));
