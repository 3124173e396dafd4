// What this daemon can be asked: its own description (openapi.json), read once after the login.
import { signal } from "@preact/signals";
import { get } from "./api.js";

/** @type {import("@preact/signals").Signal<Map<string, Set<string>>>} path → names of its query */
export const routes = signal(new Map());

export async function loadFeatures() {
    try {
        const { paths } = await get("/openapi.json");
        routes.value = new Map(Object.entries(paths).filter(([, methods]) => methods.get).map(([path, methods]) =>
            [path.replace("/api/v1", ""), new Set((methods.get.parameters ?? []).map((p) => p.name))]));
    } catch { /* Then nothing but the oldest routes is asked. */ }
}

export const has = (path) => routes.value.has(path);
export const takes = (path, name) => Boolean(routes.value.get(path)?.has(name));
