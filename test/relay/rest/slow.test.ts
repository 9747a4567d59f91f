/** Callers who read slowly, or not at all: what is refused for them, and what they still get. */
import { connect } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { createDoorkeeper } from "../../../worker/relay/tokens.ts";
import { until } from "../../support/wait.ts";
import { ask, CONTROL, DATA, dataToken } from "../support.ts";
import { inHand } from "./support.ts";

/** More than the system's own buffers take. Of all together 80 MiB may be held, and half as much again. */
const SIZE = 15_000_000;
const OTHER = "another-token-of-an-app";

/** So many callers who were all answered with a large value, and none of whom reads before `read`. */
async function unread(count: number) {
  const here = await inHand({ maxBodyBytes: 1024, holdMs: 20_000 });
  const { url, site, server, links, counted } = here;
  site.callerOf = createDoorkeeper({
    controlTokens: [CONTROL],
    dataTokens: [dataToken(DATA), dataToken(OTHER)],
  });
  await ask(server, ["SET", "big", "x".repeat(SIZE)]);
  // All are sent before any is answered.
  here.begin();
  const callers = Array.from({ length: count }, () => {
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    socket.pause();
    socket.on("error", () => {});
    socket.write(
      `GET /nodes/a/get/big HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${DATA}\r\n\r\n`,
    );
    return socket;
  });
  await until("all have come", () => links.data.inFlight() === count);
  here.end();
  await until("all were answered", () => counted.length === count);
  /** What each of them got, with its connection closed. */
  const read = () =>
    Promise.all(
      callers.map(
        (socket) =>
          new Promise<string>((resolve) => {
            let text = "";
            socket.on("data", (chunk) => {
              text += chunk.toString("latin1");
            });
            socket.on("close", () => resolve(text));
            socket.resume();
          }),
      ),
    );
  const get = async (path: string, token: string) => {
    const response = await fetch(`${url}/nodes/a/${path}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    return [response.status, await response.text()];
  };
  return { read, get };
}

const isWhole = (answer: string) =>
  answer.startsWith("HTTP/1.1 200 ") && answer.length > SIZE && answer.endsWith('x"}');

test("much lies unread: its token is refused before anything is sent, others go on, and slow readers get all", async () => {
  const { read, get } = await unread(9);
  expect(await get("incr/n", DATA)).toEqual([
    503,
    expect.stringMatching(/RELAY_BUSY .* lies unread; it was not executed/),
  ]);
  expect(await get("incr/n", OTHER)).toEqual([200, '{"result":1}']);
  expect(await get("ping", CONTROL)).toEqual([200, '{"result":"PONG"}']);
  const answers = await read();
  expect(answers.map(isWhole)).toEqual(Array(9).fill(true));
  await until("there is room", async () => (await get("ping", DATA))[0] === 200);
});

test("too much lies unread: an answer for which there is no room is an error, and no dropped connection", async () => {
  const { read } = await unread(13);
  const answers = await read();
  const refused = answers.filter((answer) => !isWhole(answer));
  expect(refused.length).toBeGreaterThan(0);
  expect(answers.length - refused.length).toBeGreaterThan(5);
  for (const answer of refused) {
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toMatch(/RELAY_BUSY .*no room for this answer; it was executed"}$/);
  }
});

test("too much lies unread with callers who take nothing: they are ended, and there is room again", {
  timeout: 90_000,
}, async () => {
  const { get } = await unread(9);
  expect((await get("ping", DATA))[0]).toBe(503);
  const ended = async () => (await get("ping", DATA))[0] === 200;
  await until("there is room", ended, { withinMs: 60_000, everyMs: 200 });
});
