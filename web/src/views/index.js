// The views, in the order of the navigation; each is loaded when it is first looked at.
export const VIEWS = {
    overview: { load: () => import("./overview.js"), key: "o" },
    map: { load: () => import("../map/view.js"), key: "m" },
    flows: { load: () => import("./flows.js"), key: "f" },
    endpoints: { load: () => import("./endpoints.js"), key: "e" },
    policy: { load: () => import("./policy/view.js"), key: "p" },
    incidents: { load: () => import("./incidents.js"), key: "i" },
    enforcers: { load: () => import("./enforcers.js"), key: "n" },
    exporters: { load: () => import("./exporters.js"), key: "x", aside: true }, // A tab of the enforcers.
    unprotected: { load: () => import("./unprotected.js"), key: "u" },
    why: { load: () => import("./why.js"), key: "y" },
    operations: { load: () => import("./operations.js"), key: "q" },
    accounts: { load: () => import("./accounts.js"), key: "s" },
    compare: { load: () => import("./compare.js"), key: "c", aside: true }, // Reached from the moment bar.
    audit: { load: () => import("./audit.js"), key: "a" },
};
