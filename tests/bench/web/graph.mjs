// A network drawn from a seed, for the bench of the map: endpoints in groups, most traffic between few.
/** @param {number} nEndpoints @param {number} nFlows @param {number} nGroups */
export function makeGraph(nEndpoints, nFlows, nGroups, seed = 7) {
    let state = seed >>> 0;
    const random = () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return state / 2 ** 32;
    };
    const skewed = (n) => Math.floor(n * random() ** 2);
    const endpoints = Array.from({ length: nEndpoints }, (_, i) => ({
        name: `host-${i}`, groups: [`group-${String(i % nGroups).padStart(3, "0")}`], labels: { site: `site${i % 7}` }, trust: i % 997 ? "white" : "black",
    }));
    const facts = [], seen = new Set();
    while (facts.length < nFlows) {
        const from = skewed(nEndpoints), to = (from + 1 + skewed(nEndpoints - 1)) % nEndpoints, port = [443, 5432, 8080, 22, 445][skewed(5)];
        const key = `${from} ${to} ${port}`;
        if (seen.has(key)) continue;
        seen.add(key);
        const dice = random();
        facts.push({ from: `host-${from}`, to: `host-${to}`, protocol: "tcp", port, process: "/usr/bin/x", user: "u", layer: "allow", rule: "r",
            verdict: dice < 0.95 ? "allow" : dice < 0.98 ? "would-deny" : "deny", count: 1 + skewed(500), last: "2026-11-22T10:00:00Z" });
    }
    return { endpoints, facts };
}
