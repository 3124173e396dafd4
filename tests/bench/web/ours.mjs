// Our map alone on a page: window.start() builds and draws it, window.pan(n) moves it n frames.
import { buildModel } from "../../../web/src/map/model.js";
import { buildScene } from "../../../web/src/map/scene.js";
import { Stage } from "../../../web/src/map/stage.js";
import { makeGraph } from "./graph.mjs";

const frame = () => new Promise(requestAnimationFrame);

window.start = async (nEndpoints, nFlows, nGroups, zoom) => {
    const { endpoints, facts } = makeGraph(nEndpoints, nFlows, nGroups);
    const before = performance.now();
    const model = buildModel(endpoints, facts, { by: "group", outside: "outside", other: "-" });
    const scene = buildScene(model, endpoints, {}, "sans-serif");
    window.stage ??= new Stage(document.querySelector(".map-stage"), () => {});
    window.stage.show(scene, null, true);
    await frame();
    await frame();
    const first = performance.now() - before;
    window.stage.zoom(zoom);
    await frame();
    await frame();
    return first;
};

window.pan = async (frames) => {
    for (let i = 0; i < frames; i++) {
        const turn = Math.floor(i / 60) % 4;
        window.stage.pan([9, 0, -9, 0][turn], [0, 5, 0, -5][turn]);
        await frame();
    }
};
