// The canvas: pan, zoom, click, keys.  Draws when something has changed, never by a clock.
import { drawScene, palette } from "./draw.js";
import { fit, hit } from "./scene.js";

const MARGIN = 0.35, STEP = 60, CLICK = 4, ZOOM_MAX = 8, ZOOM_MIN = 0.01, LEGEND = 40;

export class Stage {
    /** @param {HTMLElement} host @param {(what: any) => void} onPick
     *  @param {(nodes: any[]) => void} onMoved somebody has put a compartment elsewhere */
    constructor(host, onPick, onMoved) {
        this.onMoved = onMoved;
        this.arranging = false; // Then compartments are moved, and not the picture.
        this.host = host;
        this.canvas = host.querySelector("canvas");
        this.g = this.canvas.getContext("2d", { alpha: false });
        this.onPick = onPick;
        this.camera = { x: 0, y: 0, k: 1 };
        this.moved = false; // By somebody: then the picture stays where it is when the window changes.
        this.drawn = null; // The camera of the picture that is there.
        this.scene = null;
        this.listen();
        this.watch = new ResizeObserver(() => this.resize());
        this.watch.observe(host);
        this.resize();
    }

    destroy() {
        this.watch.disconnect();
        this.abort.abort();
        cancelAnimationFrame(this.frame);
    }

    resize() {
        const { clientWidth: w, clientHeight: h } = this.host;
        if (!w || !h) return;
        Object.assign(this, { width: w, height: h, marginX: Math.round(w * MARGIN), marginY: Math.round(h * MARGIN),
            ratio: Math.min(2, devicePixelRatio || 1) });
        this.canvas.width = (w + 2 * this.marginX) * this.ratio;
        this.canvas.height = (h + 2 * this.marginY) * this.ratio;
        this.canvas.style.width = `${w + 2 * this.marginX}px`;
        this.canvas.style.height = `${h + 2 * this.marginY}px`;
        this.drawn = null;
        if (!this.moved) this.fit();
        this.ask();
    }

    /** @param {any} scene @param {{link?: any, node?: any}} chosen */
    show(scene, chosen, refit) {
        const first = !this.scene;
        Object.assign(this, { scene, chosen, colors: palette() });
        this.drawn = null;
        if (first || refit) this.fit();
        this.ask();
    }

    fit() {
        if (!this.width || !this.scene) return;
        this.moved = false;
        this.camera = fit(this.scene.bounds, this.width, this.height, LEGEND);
        this.ask();
    }

    ask() {
        this.frame ||= requestAnimationFrame(() => {
            this.frame = 0;
            this.paint();
        });
    }

    /** Moves the picture while it covers the window; draws it again when it does not. */
    paint() {
        if (!this.scene || !this.width) return;
        const { camera } = this;
        let dx = this.drawn ? (this.drawn.x - camera.x) * camera.k : 0, dy = this.drawn ? (this.drawn.y - camera.y) * camera.k : 0;
        if (!this.drawn || this.drawn.k !== camera.k || Math.abs(dx) > this.marginX || Math.abs(dy) > this.marginY) {
            const corner = { k: camera.k, x: camera.x - this.marginX / camera.k, y: camera.y - this.marginY / camera.k };
            drawScene(this.g, this.scene, corner, { width: this.width + 2 * this.marginX, height: this.height + 2 * this.marginY,
                ratio: this.ratio, chosenLink: this.chosen?.link, chosenNode: this.chosen?.node, colors: this.colors });
            this.drawn = { ...camera };
            dx = dy = 0;
        }
        this.canvas.style.transform = `translate(${Math.round(dx) - this.marginX}px, ${Math.round(dy) - this.marginY}px)`;
    }

    pan(dx, dy) {
        this.moved = true;
        this.camera.x -= dx / this.camera.k;
        this.camera.y -= dy / this.camera.k;
        this.ask();
    }

    /** Zooms by a factor around a point of the window. */
    zoom(factor, px = this.width / 2, py = this.height / 2) {
        this.moved = true;
        const { camera } = this, k = Math.min(ZOOM_MAX, Math.max(ZOOM_MIN, camera.k * factor));
        camera.x += px / camera.k - px / k;
        camera.y += py / camera.k - py / k;
        camera.k = k;
        this.ask();
    }

    listen() {
        this.abort = new AbortController();
        const on = (type, f, more) => this.host.addEventListener(type, f, { signal: this.abort.signal, ...more });
        on("wheel", (e) => {
            e.preventDefault();
            const box = this.host.getBoundingClientRect();
            this.zoom(Math.exp(-e.deltaY * 0.0015), e.clientX - box.left, e.clientY - box.top);
        }, { passive: false });
        on("pointerdown", (e) => {
            if (e.target !== this.canvas) return;
            this.host.setPointerCapture(e.pointerId);
            this.grab = { x: e.clientX, y: e.clientY, far: 0, node: this.arranging ? this.under(e)?.node : null };
        });
        on("pointermove", (e) => {
            if (!this.grab) return;
            const dx = e.clientX - this.grab.x, dy = e.clientY - this.grab.y;
            const { node } = this.grab;
            if (node) this.move(node, dx / this.camera.k, dy / this.camera.k);
            else this.pan(dx, dy);
            this.grab = { x: e.clientX, y: e.clientY, node, far: this.grab.far + Math.abs(dx) + Math.abs(dy) };
        });
        on("pointerup", (e) => {
            const click = this.grab && this.grab.far < CLICK, moved = this.grab?.node;
            this.grab = null;
            if (click && this.scene) this.onPick(this.under(e));
            else if (moved) this.onMoved(this.scene.nodes);
        });
        on("keydown", (e) => this.key(e));
    }

    under(e) {
        const box = this.host.getBoundingClientRect(), { x, y, k } = this.camera;
        return this.scene && hit(this.scene, x + (e.clientX - box.left) / k, y + (e.clientY - box.top) / k, k);
    }

    move(node, dx, dy) {
        this.scene.place(node, node.x + dx, node.y + dy);
        this.drawn = null;
        this.ask();
    }

    key(e) {
        const moves = { ArrowLeft: [STEP, 0], ArrowRight: [-STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] };
        if (e.target !== this.canvas) return;
        if (moves[e.key] && this.arranging && this.chosen?.node) {
            this.move(this.chosen.node, -moves[e.key][0] / 4, -moves[e.key][1] / 4);
            this.onMoved(this.scene.nodes);
        } else if (moves[e.key]) this.pan(...moves[e.key]);
        else if (e.key === "+" || e.key === "=") this.zoom(1.25);
        else if (e.key === "-") this.zoom(0.8);
        else if (e.key === "0") this.fit();
        else return;
        e.preventDefault();
    }
}
