// A proxy that serves a coordinator below a path, as nginx does. With `dist`, it serves the built files instead of the
// embedded ones.
import { existsSync, readFileSync } from "node:fs";
import { createServer, request } from "node:http";
import { join } from "node:path";

const TYPES = { html: "text/html", js: "text/javascript", css: "text/css", svg: "image/svg+xml" };

export async function startProxy(target, prefix, dist) {
  const { hostname, port } = new URL(target);
  const server = createServer((from, to) => {
    if (!from.url.startsWith(prefix)) return to.writeHead(404).end();
    const path = from.url.slice(prefix.length - 1);
    const file = dist && join(dist, path === "/" ? "index.html" : path);
    if (file && from.method === "GET" && existsSync(file)) {
      to.writeHead(200, { "content-type": TYPES[file.split(".").pop()] });
      return to.end(readFileSync(file));
    }
    const onward = request({ hostname, port, path, method: from.method, headers: from.headers }, (reply) => {
      to.writeHead(reply.statusCode, reply.headers);
      to.flushHeaders();
      reply.pipe(to);
    });
    onward.on("error", () => (to.headersSent ? to.destroy() : to.writeHead(502).end()));
    to.on("close", () => onward.destroy());
    from.pipe(onward);
    return undefined;
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `http://127.0.0.1:${server.address().port}${prefix}`,
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
