import { expect, test } from "vitest";
import { until } from "../../support/wait.ts";
import { ask } from "../support.ts";
import { asApp, inHand } from "./support.ts";

async function held(holdMs: number) {
  const here = await inHand({ holdMs });
  const post = async (path: string, body: unknown) => {
    const response = await fetch(`${here.url}/nodes/a${path}`, {
      method: "POST",
      headers: asApp,
      body: JSON.stringify(body),
    });
    return [response.status, await response.json()];
  };
  return { ...here, post };
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
