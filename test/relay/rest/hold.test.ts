import { expect, onTestFinished, test } from "vitest";
import { openLinks } from "../../../worker/redis/node.ts";
import { createTurns } from "../../../worker/relay/verbs/turns.ts";
import { until } from "../../support/wait.ts";
import { ask, redis } from "../support.ts";
import { asApp, doorOver, limits } from "./support.ts";

/** The door over one node whose holds the test has in its own hands. */
async function held(holdMs: number) {
  const server = await redis();
  const at = { host: server.host, port: server.port, username: null, password: null };
  const counted: string[] = [];
  const links = openLinks(at, 20_000, { connections: 4, waiting: 4 }, (_, answer) =>
    counted.push(answer.kind === "replies" ? "answered" : answer.class),
  );
  const node = { ...links, id: "a", inTurn: createTurns() };
  const { url } = await doorOver({ nodes: new Map([["a", node]]), limits: limits({ holdMs }) });
  onTestFinished(() => links.close());
  const post = async (path: string, body: unknown) => {
    const response = await fetch(`${url}/nodes/a${path}`, {
      method: "POST",
      headers: asApp,
      body: JSON.stringify(body),
    });
    return [response.status, await response.json()];
  };
  let end: () => void = () => {};
  const begin = () =>
    links.data.holdDuring(new Promise<void>((resolve) => (end = resolve)), "a switch");
  return { server, links, post, counted, begin, end: () => end() };
}

test("a command that was not sent yet waits for a switch to end, and is then executed once", async () => {
  const { server, links, post, begin, end } = await held(20_000);
  expect(await post("", ["PING"])).toEqual([200, { result: "PONG" }]);
  begin();
  const waiting = [
    post("", ["INCR", "n"]),
    post("/multi-exec", [["INCR", "n"]]),
    post("", ["BLMOVE", "q", "r", "LEFT", "LEFT", "1"]),
  ];
  await until("all have come", () => links.data.inFlight() === 4 && links.usage().waiting === 1);
  expect(await ask(server, ["GET", "n"], ["RPUSH", "q", "x", "y"])).toEqual([null, "2"]);
  end();
  const answers = await Promise.all(waiting);
  expect(answers.map(([status]) => status)).toEqual([200, 200, 200]);
  expect(await ask(server, ["GET", "n"], ["LLEN", "q"])).toEqual(["2", "1"]);
});

test("a switch that lasts longer than hold_ms: 503, surely not executed", async () => {
  const { server, post, counted, begin, end } = await held(30);
  begin();
  await ask(server, ["RPUSH", "q", "x"]);
  const error = expect.stringMatching(/^RELAY_BUSY held back for 30 ms .*not executed$/);
  expect(await post("", ["INCR", "n"])).toEqual([503, { error }]);
  expect(await post("", ["BLPOP", "q", "20"])).toEqual([503, { error }]);
  // No fault of the node.
  expect(counted).toEqual(["busy", "busy"]);
  end();
  expect(await ask(server, ["GET", "n"], ["LLEN", "q"])).toEqual([null, "1"]);
  expect(await post("", ["INCR", "n"])).toEqual([200, { result: 1 }]);
});
