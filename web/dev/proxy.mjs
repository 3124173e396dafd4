// For working on the console: serves web/dist at /ui/ and hands /api to a daemon's unix socket, as
// root, so that nobody has to log in.  Never shipped.
//   node dev/proxy.mjs /run/suimitsu/api.sock [PORT]
import { createReadStream, existsSync } from "node:fs";
import { createServer, request } from "node:http";
import { fileURLToPath } from "node:url";
import { basename, extname, join } from "node:path";

const [socketPath, port = "8099"] = process.argv.slice(2);
const dist = fileURLToPath(new URL("../dist/", import.meta.url));
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

createServer((q, a) => {
    const path = new URL(q.url, "http://x").pathname;
    if (path.startsWith("/api/")) {
        const up = request({ socketPath, path: q.url, method: q.method, headers: { ...q.headers, host: "suimitsud" } }, (r) => {
            a.writeHead(r.statusCode, r.headers);
            r.pipe(a);
        });
        up.on("error", (e) => a.writeHead(502).end(String(e)));
        q.pipe(up);
        return;
    }
    const file = join(dist, path.endsWith("/") ? "index.html" : basename(path));
    if (!existsSync(file)) return a.writeHead(404).end();
    a.writeHead(200, { "Content-Type": TYPES[extname(file)] ?? "application/octet-stream", "Content-Security-Policy": CSP });
    createReadStream(file).pipe(a);
}).listen(Number(port), "127.0.0.1", () => console.log(`http://127.0.0.1:${port}/ui/`));
