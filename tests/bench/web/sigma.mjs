// The same with Sigma.
import Graph from "graphology";
import Sigma from "sigma";
import { makeGraph } from "./graph.mjs";

const frame = () => new Promise(requestAnimationFrame);
const COLORS = { allow: "#14754a", deny: "#b4232c", "would-deny": "#8a5300" };

window.start = async (nEndpoints, nFlows, nGroups, zoom) => {
    const { endpoints, facts } = makeGraph(nEndpoints, nFlows, nGroups);
    const before = performance.now();
    const graph = new Graph({ multi: true });
    const side = Math.ceil(Math.sqrt(nGroups));
    endpoints.forEach((e, i) => {
        const g = i % nGroups, k = Math.floor(i / nGroups), inside = Math.ceil(Math.sqrt(nEndpoints / nGroups));
        graph.addNode(e.name, { x: (g % side) * 2 + (k % inside) / inside, y: Math.floor(g / side) * 2 + Math.floor(k / inside) / inside, size: 2, color: "#566472" });
    });
    for (const f of facts) graph.addEdge(f.from, f.to, { size: 1, color: COLORS[f.verdict] });
    window.sigma = new Sigma(graph, document.querySelector(".map-stage"), { renderLabels: false, hideEdgesOnMove: false });
    await frame();
    await frame();
    const first = performance.now() - before;
    window.sigma.getCamera().setState({ ratio: 1 / zoom });
    await frame();
    await frame();
    return first;
};

window.pan = async (frames) => {
    const camera = window.sigma.getCamera();
    for (let i = 0; i < frames; i++) {
        const turn = Math.floor(i / 60) % 4, { x, y, ratio } = camera.getState();
        camera.setState({ x: x + [-0.008, 0, 0.008, 0][turn] * ratio, y: y + [0, -0.006, 0, 0.006][turn] * ratio });
        await frame();
    }
};
