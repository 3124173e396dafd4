// A plot over time; the library comes when the first one is shown.
import { useEffect, useRef } from "preact/hooks";
import { div } from "./h.js";
import { theme } from "../theme.js";
import { t } from "../i18n/index.js";

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

const hour = (seconds) => {
    const d = new Date(seconds * 1000);
    return `${String(d.getHours()).padStart(2, "0")}:${String(d.getMinutes()).padStart(2, "0")}`;
};

/** Nothing is no bar. */
const valuesOf = (series) => series.map((s) => s.values.map((v) => v || null));

/** Bars side by side on one another: who reads them compares heights, not areas. */
function build(uPlot, element, { times, series, height }) {
    const axis = { stroke: color("muted"), grid: { stroke: color("line"), width: 1 }, ticks: { show: false },
        font: "11px system-ui" };
    const bars = uPlot.paths.bars({ size: [0.7, 24] });
    return new uPlot({
        width: element.clientWidth, height, legend: { show: true }, cursor: { y: false },
        scales: { y: { range: (u, min, max) => [0, Math.max(1, max * 1.1)] } },
        axes: [{ ...axis, size: 24, incrs: [60, 300, 900, 3600, 10800, 86400], values: (u, at) => at.map(hour) }, { ...axis, size: 48 }],
        series: [{ label: t("audit.time"), value: (u, at) => (at === null ? "–" : hour(at)) }, ...series.map((s) => ({
            label: s.name, stroke: color(s.tone), width: 1, fill: `${color(s.tone)}${s.solid ? "" : "44"}`, paths: bars, points: { show: false },
        }))],
    }, [times, ...valuesOf(series)], element);
}

/** @param {{times: number[], series: {name: string, values: number[], tone: string, solid?: boolean}[],
 *           height: number, label: string}} props */
export function Plot(props) {
    const box = useRef(null), plot = useRef(null), latest = useRef(props);
    latest.current = props;
    const shape = `${theme.value} ${props.series.map((s) => s.name).join()}`;
    useEffect(() => {
        const element = box.current;
        let alive = true, watch = null;
        import("./uplot.js").then(({ uPlot }) => {
            if (!alive) return;
            plot.current = build(uPlot, element, latest.current);
            watch = new ResizeObserver(() => element.clientWidth > 0 &&
                plot.current?.setSize({ width: element.clientWidth, height: latest.current.height }));
            watch.observe(element);
        });
        return () => {
            alive = false;
            watch?.disconnect();
            plot.current?.destroy();
            plot.current = null;
        };
    }, [shape]);
    useEffect(() => plot.current?.setData([props.times, ...valuesOf(props.series)]));
    return div({ class: "plot", ref: box, role: "img", "aria-label": props.label,
        style: { minHeight: `${props.height + 30}px` } });
}
