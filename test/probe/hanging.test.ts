/** A hanging node is never up, and no answer of a broken server takes more than its share. */
import { afterEach, expect, it } from "vitest";
import { freePort } from "../../scripts/redis-server.ts";
import { lookOverRest } from "../../worker/probe/upstash.ts";
import { http, type RawServer, rawServer } from "./server.ts";

/** For what never answers; and for what does, on a machine however slow. */
const timeoutMs = 150;
const patientMs = 20_000;
let server: RawServer | null = null;
afterEach(async () => {
  await server?.close();
  server = null;
});

async function look(url: string, forMs = patientMs) {
  const seen = await lookOverRest(
    { url, token: "secret-token", group: "cache" },
    { timeoutMs: forMs },
  );
  expect(seen.class).not.toBe("up");
  expect(seen.facts).toBeNull();
  expect(seen.detail).not.toContain("secret-token");
  return seen;
}

const good = JSON.stringify([{ result: "PONG" }, { result: "role:master" }, { result: [] }]);
const chunked =
  "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";

it.each([
  ["never answers", "relay-unreachable", ""],
  ["sends a head and then nothing", "relay-unreachable", chunked],
  ["sends one byte and then nothing", "relay-unreachable", `${chunked}1\r\n[\r\n`],
  [
    "promises more than it sends, and stays",
    "relay-unreachable",
    http(200, good, { "content-length": "9999" }),
  ],
])("%s: %s", async (_, expected, bytes) => {
  server = await rawServer((socket) => void socket.write(bytes));
  const { class: kind, detail } = await look(server.url, timeoutMs);
  expect(kind).toBe(expected);
  expect(detail).toBe(`no answer within ${timeoutMs} ms`);
});

it.each([
  ["no JSON", "malformed", http(200, "PONG")],
  ["an empty body", "malformed", http(200, "")],
  ["the wrong shape", "malformed", http(200, '{"result":"PONG"}')],
  ["half of the JSON", "malformed", http(200, good.slice(0, 30))],
  ["a body that is cut off", "malformed", http(200, good, { "content-length": "9999" })],
  ["an HTML page", "malformed", http(200, "<html>Welcome</html>", { "content-type": "text/html" })],
  ["an HTML error page", "relay-unreachable", http(502, "<html>Bad gateway</html>")],
  ["an HTML page with 404", "malformed", http(404, "<html>Not found</html>")],
  ["204", "malformed", "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"],
  ["bytes that are no UTF-8", "malformed", http(200, "\u00ff\u00fe\u0000")],
  ["no HTTP", "relay-unreachable", "-ERR unknown command 'POST'\r\n"],
])("%s: %s", async (_, expected, bytes) => {
  server = await rawServer((socket) => void socket.end(bytes));
  expect((await look(server.url)).class).toBe(expected);
});

it("follows no redirect: the token is for one address", async () => {
  const other = await rawServer((socket) => void socket.end(http(200, good)));
  server = await rawServer(
    (socket) => void socket.end(http(307, "", { location: `${other.url}/` })),
  );
  expect((await look(server.url)).class).toBe("malformed");
  expect(other.heads()).toEqual([]);
  await other.close();
});

it("a connection that is reset is the observer's failure", async () => {
  server = await rawServer((socket) => socket.resetAndDestroy());
  expect((await look(server.url)).class).toBe("relay-unreachable");
  expect(server.heads()).toHaveLength(1);
});

it("nobody listens", async () => {
  const seen = await look(`http://127.0.0.1:${await freePort()}`);
  expect(seen).toMatchObject({ class: "relay-unreachable", detail: "ECONNREFUSED", relay: null });
});

it("reads no more than its bound of a hundred megabytes", async () => {
  const total = 100 << 20;
  const block = Buffer.alloc(1 << 16, " ");
  let sent = 0;
  server = await rawServer((socket) => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n`);
    const more = () => {
      while (sent < total && !socket.destroyed) {
        sent += block.length;
        if (!socket.write(block)) return;
      }
    };
    socket.on("drain", more);
    more();
  });
  expect(await look(server.url)).toMatchObject({ class: "malformed", detail: "answer too large" });
  expect(sent).toBeLessThan(total / 4);
});

it("does not begin to read what is declared too large", async () => {
  server = await rawServer(
    (socket) => void socket.write(http(200, "[", { "content-length": "104857600" })),
  );
  expect(await look(server.url)).toMatchObject({ class: "malformed", detail: "answer too large" });
});

it("a fetch that ignores its signal is late all the same", async () => {
  const target = { group: "cache", url: "http://x", token: "secret" };
  const fetch = () => new Promise<Response>(() => {});
  const seen = await lookOverRest(target, { timeoutMs: 20, fetch });
  expect(seen).toMatchObject({ class: "relay-unreachable", detail: "no answer within 20 ms" });
});
