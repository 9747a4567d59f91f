/** The relay's connection to the Group, at a real server: what it does when it is hung up on. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { WebSocketServer } from "ws";
import { closeCodes } from "../../../worker/relay/push.ts";
import { dial } from "../../../worker/relay/watch/dial.ts";
import { until } from "../../support/wait.ts";

async function server() {
  const wss = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  onTestFinished(() => wss.close());
  await once(wss, "listening");
  return { wss, url: `http://127.0.0.1:${(wss.address() as AddressInfo).port}` };
}
const deps = { tokens: ["t"], opened: () => undefined, heard: () => undefined };

test("hung up on at once: dialled again more and more slowly", async () => {
  const { wss, url } = await server();
  const dialled: number[] = [];
  wss.on("connection", (socket) => {
    dialled.push(performance.now());
    socket.close(closeCodes.badMessage);
  });
  const line = dial({ ...deps, url, log: () => undefined });
  onTestFinished(line.close);
  await until("the fifth time", () => dialled.length >= 5);
  const [first = 0, , , , fifth = 0] = dialled;
  // At least half of 200, 400, 800 and 1600 ms: a slow machine only makes it longer.
  expect(fifth - first).toBeGreaterThanOrEqual(1490);
});

test("a token that is refused gives way to the next one", async () => {
  const { wss, url } = await server();
  const tokens: unknown[] = [];
  wss.options.verifyClient = ({ req }, answer) => {
    tokens.push(req.headers.authorization);
    answer(req.headers.authorization === "Bearer good", 401);
  };
  const line = dial({ ...deps, tokens: ["old", "good"], url, log: () => undefined });
  onTestFinished(line.close);
  await until("a connection", () => line.isOpen());
  expect(tokens).toEqual(["Bearer old", "Bearer good"]);
});
