// Who is logged in, and what they may.
import { get, post, Problem, session } from "./api.js";
import { loadFeatures } from "./features.js";
import { connect, disconnect } from "./live.js";

const can = (right) => (session.value?.rights ?? []).includes(right);

/** What the role lets one do; the daemon decides, this only hides what it would refuse. */
export const may = {
    try: () => can("try"),
    apply: () => can("apply"),
    operate: () => can("trust"),
    draft: () => can("draft"),
    admin: () => can("admin"),
    audit: () => can("audit"),
    whole: () => !Object.keys(session.value?.scope ?? {}).length,
};

async function enter(who) {
    await loadFeatures();
    session.value = who;
    connect();
}

/** At the start: does the cookie still hold? */
export async function resume() {
    try {
        await enter(await get("/me", { quiet: true }));
    } catch (e) {
        session.value = null;
        if (!(e instanceof Problem)) throw e;
    }
}

export async function logIn(name, password) {
    await enter(await post("/login", { name, password }, { quiet: true }));
}

export async function logOut() {
    disconnect();
    try {
        await post("/logout");
    } finally {
        session.value = null;
    }
}
