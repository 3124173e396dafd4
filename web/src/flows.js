// What is worked out of flow records, here in the browser.

/** @param {any[]} flows @param {string[]} verdicts
 *  @returns {{times: number[], series: Record<string, number[]>}} connections by minute of their end */
export function perMinute(flows, verdicts) {
    const minutes = flows.map((f) => Math.floor(Date.parse(f.last) / 60_000)).filter(Number.isFinite);
    const first = Math.min(...minutes), last = Math.max(...minutes);
    const from = Math.min(Math.max(first, last - 24 * 60), last - 30);
    const times = Array.from({ length: last - from + 1 }, (_, i) => (from + i) * 60);
    const series = Object.fromEntries(verdicts.map((v) => [v, times.map(() => 0)]));
    for (const f of flows) {
        const i = Math.floor(Date.parse(f.last) / 60_000) - from;
        if (i >= 0 && series[f.verdict]) series[f.verdict][i] += f.count;
    }
    return { times, series };
}

export const nameOf = (flow, end) => flow[end] || flow[`${end}_address`];

/** The question that "why" is asked about a flow. */
export const whyOf = (flow) => ({
    from: nameOf(flow, "from"), to: nameOf(flow, "to"), service: `${flow.protocol}/${flow.port}`,
    process: flow.script || flow.process, user: flow.user,
});
