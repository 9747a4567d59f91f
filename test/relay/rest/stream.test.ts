import { connect } from "node:net";
import { Redis } from "@upstash/redis";
import { expect, onTestFinished, test } from "vitest";
import type { Route } from "../../../worker/core/route.ts";
import { createDoorkeeper } from "../../../worker/relay/tokens.ts";
import { createRouteBoard } from "../../../worker/relay/watch/routes.ts";
import { until } from "../../support/wait.ts";
import {
  app,
  ask,
  CONTROL,
  DATA,
  dataToken,
  nodeAt,
  redis,
  relayOver,
  settingsFor,
} from "../support.ts";
import { asApp, doorOver, limits, type Rest, rest } from "./support.ts";

/** The lines of an event stream as they come. */
async function listen(
  url: string,
  headers: Readonly<Record<string, string>> = asApp,
  method = "POST",
) {
  const abort = new AbortController();
  onTestFinished(() => abort.abort());
  const response = await fetch(url, { method, headers, signal: abort.signal });
  let text = "";
  let ended = false;
  void (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) text += decoder.decode(chunk, { stream: true });
  })()
    .catch(() => {})
    .finally(() => {
      ended = true;
    });
  return { response, text: () => text, ended: () => ended, abort: () => abort.abort() };
}

const subscribers = async ({ server }: Rest, channel: string) => {
  const [found] = await ask(server, ["PUBSUB", "NUMSUB", channel]);
  return Number((found as string[])[1]);
};

test("the client subscribes, hears, and unsubscribes", async () => {
  const here = await rest();
  const client = new Redis({ url: here.base, token: DATA, retry: { retries: 0 } });
  const heard: unknown[] = [];
  const subscriber = client.subscribe(["chat", "news"]);
  subscriber.on("subscribe", (count) => heard.push(["subscribe", count]));
  subscriber.on("message", ({ channel, message }) => heard.push([channel, message]));
  subscriber.on("message:chat", ({ message }) => heard.push(["only chat", message]));
  await until("both streams are open", () => heard.length === 2);
  expect(heard).toEqual([
    ["subscribe", 1],
    ["subscribe", 1],
  ]);
  expect(await client.publish("chat", "how are you, today?")).toBe(1);
  await client.publish("news", { deep: [1, null] });
  await until("all was heard", () => heard.length === 5);
  expect(heard.slice(2)).toEqual(
    expect.arrayContaining([
      ["chat", "how are you, today?"],
      ["only chat", "how are you, today?"],
      ["news", { deep: [1, null] }],
    ]),
  );
  await subscriber.unsubscribe(["chat"]);
  await until("Redis knows it", async () => (await subscribers(here, "chat")) === 0);
  expect(await subscribers(here, "news")).toBe(1);
  await subscriber.unsubscribe();
  await until("Redis knows it", async () => (await subscribers(here, "news")) === 0);
});

test("the client subscribes to patterns, also to those with a question mark", async () => {
  const here = await rest();
  const client = app(here.relay);
  const heard: unknown[] = [];
  const subscriber = client.psubscribe(["user:?:*", "room*"]);
  subscriber.on("psubscribe", () => heard.push("open"));
  subscriber.on("pmessage", (each) => heard.push(each));
  await until("both streams are open", () => heard.length === 2);
  await client.publish("user:7:name", { first: "Ada" });
  await client.publish("user:77:name", { first: "Nobody" });
  await client.publish("rooms", 5);
  await until("both were heard", () => heard.length === 4);
  expect(heard.slice(2)).toEqual(
    expect.arrayContaining([
      { pattern: "user:?:*", channel: "user:7:name", message: { first: "Ada" } },
      { pattern: "room*", channel: "rooms", message: 5 },
    ]),
  );
  await subscriber.unsubscribe();
});

test("a stream is server-sent events: one for each channel, then one for each message", async () => {
  const { base, run, ask: get } = await rest();
  const stream = await listen(`${base}/subscribe/chat/other%2Fone`);
  expect(stream.response.headers.get("content-type")).toBe("text/event-stream");
  expect(stream.response.headers.get("upstash-sync-token")).toBeTruthy();
  await until("it is open", () => stream.text().includes(",2"));
  expect((await get("/publish/chat/hello", { method: "POST" })).body).toEqual({ result: 1 });
  await run("PUBLISH", "other/one", "two\nlines");
  await until("both came", () => stream.text().includes("lines"));
  expect(stream.text()).toBe(
    [
      "data: subscribe,chat,1\n\n",
      "data: subscribe,other/one,2\n\n",
      "data: message,chat,hello\n\n",
      'data: message,other/one,"two\\nlines"\n\n',
    ].join(""),
  );
});

test("a line break forges no message, and loses none", async () => {
  const here = await rest();
  const heard: unknown[] = [];
  const subscriber = app(here.relay).psubscribe("*");
  subscriber.on("psubscribe", () => heard.push("open"));
  subscriber.on("pmessage", ({ channel, message }) => heard.push([channel, message]));
  await until("it is open", () => heard.length === 1);
  const forged = "x\npmessage,*,ch,forged\r\npmessage,*,ch,forged\rpmessage,*,ch,forged";
  await here.run("PUBLISH", "ch", forged);
  await here.run("PUBLISH", "a\nb", "1");
  await here.run("PUBLISH", "ch", '"last"');
  await until("the last was heard", () => heard.length > 1 && String(heard.at(-1)) === "ch,last");
  expect(heard.slice(1)).toEqual([
    ["ch", forged],
    ["a\\nb", 1],
    ["ch", "last"],
  ]);
  await subscriber.unsubscribe();
  for (const path of ["/subscribe/a%0Ab", "/psubscribe/a%0D", "/subscribe/%FF"]) {
    expect(await here.ask(path)).toMatchObject({
      status: 400,
      body: { error: "ERR a channel or pattern is one line of UTF-8" },
    });
  }
});

test("a token in the address opens a stream, as browsers need it", async () => {
  const { base, run } = await rest();
  const stream = await listen(`${base}/psubscribe/c?x&_token=${DATA}`, {});
  await until("it is open", () => stream.text().includes("psubscribe,c?x,1"));
  await run("PUBLISH", "c-x", "v");
  await until("it came", () => stream.text().includes("data: pmessage,c?x,c-x,v\n\n"));
});

test("a lost connection is sought again, and a line tells of the gap", async () => {
  const here = await rest();
  const stream = await listen(`${here.base}/subscribe/chat`);
  await until("it is open", () => stream.text().includes("subscribe"));
  await ask(here.server, ["CLIENT", "KILL", "TYPE", "pubsub"]);
  await until(
    "it is open again",
    () => stream.text().match(/data: subscribe,chat,1/g)?.length === 2,
  );
  await here.run("PUBLISH", "chat", "after the gap");
  await until("it hears again", () => stream.text().includes("after the gap"));
});

test("a node that a reload replaced: its streams go over to the new one; one that went ends them", async () => {
  const [server, next] = [await redis(), await redis()];
  const settings = await settingsFor([nodeAt("a", server), nodeAt("b", server)]);
  const relay = await relayOver(settings);
  const streams = await Promise.all(
    ["a", "b"].map((node) => listen(`${relay.url}/nodes/${node}/subscribe/chat`)),
  );
  const [kept, ended] = streams;
  await until("both are open", () => streams.every(({ text }) => text().includes("subscribe")));
  expect(relay.reload({ ...settings, nodes: [nodeAt("a", next)] })).toEqual([]);
  await until("one listens at the new node", async () => {
    const [told] = await ask(next, ["PUBLISH", "chat", "hello"]);
    return told === "1";
  });
  await until("it heard", () => kept?.text().includes("hello"));
  expect(kept?.text()).toBe(
    `${"data: subscribe,chat,1\n\n".repeat(2)}data: message,chat,hello\n\n`,
  );
  await until("the other has ended", () => ended?.ended());
  expect(ended?.text()).toBe("data: subscribe,chat,1\n\n");
});

test("the relay's end is the stream's end", async () => {
  const here = await rest();
  const stream = await listen(`${here.base}/subscribe/chat`);
  await until("it is open", () => stream.text().includes("subscribe"));
  await here.relay.close();
  await until("it has ended", () => stream.ended());
});

test("who may not listen is told so, and listens to nothing", async () => {
  const here = await rest({
    dataTokens: [
      dataToken(DATA, { keyPrefix: "app:" }),
      dataToken("token-that-only-reads", { readOnly: true }),
    ],
  });
  const { ask: get } = here;
  for (const path of [
    "/subscribe/other",
    "/subscribe/app:x/other",
    "/psubscribe/*",
    "/psubscribe/ap*",
  ]) {
    const said = await get(path, { method: "POST" });
    expect(said).toMatchObject({
      status: 400,
      body: { error: expect.stringMatching(/^NOPERM .*SUBSCRIBE/) },
    });
  }
  const inside = await listen(`${here.base}/psubscribe/app:*`);
  await until("it is open", () => inside.text().includes("psubscribe"));
  const reader = await listen(`${here.base}/subscribe/any`, {
    authorization: "Bearer token-that-only-reads",
  });
  await until("it is open", () => reader.text().includes("subscribe"));
  const control = await get("/subscribe/ch", {
    headers: { authorization: "Bearer control-token-of-the-tests" },
  });
  expect(control.status).toBe(400);
  expect((await get("/subscribe")).body).toMatchObject({ error: expect.stringMatching(/^NOPERM/) });
});

test("a stream ends with its token: taken away, expired, or bound to other channels", async () => {
  const server = await redis();
  const settings = await settingsFor([nodeAt("a", server)]);
  const relay = await relayOver(settings);
  const url = `${relay.url}/nodes/a/subscribe/chat`;
  for (const dataTokens of [
    [dataToken("another-token-of-an-app")],
    [dataToken(DATA, { expiresAtMs: 1 })],
    [dataToken(DATA, { keyPrefix: "app:" })],
  ]) {
    expect(relay.reload(settings)).toEqual([]);
    const stream = await listen(url);
    await until("it is open", () => stream.text().includes("subscribe"));
    expect(relay.reload({ ...settings, dataTokens })).toEqual([]);
    expect(await ask(server, ["PUBLISH", "chat", "secret"])).toEqual(["1"]);
    await until("it has ended", () => stream.ended());
    expect(stream.text()).toBe("data: subscribe,chat,1\n\n");
  }
  expect(relay.reload(settings)).toEqual([]);
  const kept = await listen(url);
  await until("it is open", () => kept.text().includes("subscribe"));
  const other = dataToken("another-token-of-an-app");
  expect(relay.reload({ ...settings, dataTokens: [...settings.dataTokens, other] })).toEqual([]);
  await ask(server, ["PUBLISH", "chat", "still here"]);
  await until("it hears", () => kept.text().includes("still here"));
});

test("a stream of routes ends with its token as well", async () => {
  const board = createRouteBoard(new AbortController().signal);
  const { url, site } = await doorOver({}, { routes: board.addTo });
  const route = (rev: number): Route => ({
    ...{ v: 1, group: "cache", mode: "replication", epoch: 1, rev, state: "up" },
    ...{ hostname: null, primary: null, replicas: [], updatedAt: "2026-11-20T12:00:00.000Z" },
  });
  board.put(route(1));
  const headers = { ...asApp, accept: "text/event-stream" };
  const stream = await listen(`${url}/v1/groups/cache/route`, headers, "GET");
  await until("it is open", () => stream.text().includes('"rev":1'));
  site.callerOf = createDoorkeeper({ controlTokens: [CONTROL], dataTokens: [dataToken(DATA)] });
  board.put(route(2));
  await until("it goes on", () => stream.text().includes('"rev":2'));
  site.callerOf = createDoorkeeper({ controlTokens: [CONTROL], dataTokens: [] });
  board.put(route(3));
  await until("it has ended", () => stream.ended());
  expect(stream.text()).not.toContain('"rev":3');
});

test("a node that is down opens no stream: surely nothing happened", async () => {
  const { server, ask: get } = await rest();
  await server.kill();
  const said = await get("/subscribe/chat");
  expect(said).toMatchObject({
    status: 502,
    body: { error: expect.stringMatching(/^NODE_REFUSED .*not executed/) },
  });
});

function deafTo(here: Rest, channel: string): void {
  const socket = connect(Number(new URL(here.base).port), "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  socket.pause();
  socket.on("error", () => {});
  socket.write(
    `GET /nodes/a/subscribe/${channel} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${DATA}\r\n\r\n`,
  );
}

test("who never reads a stream is ended, and the others go on", async () => {
  const here = await rest();
  deafTo(here, "loud");
  await until("it listens", async () => (await subscribers(here, "loud")) === 1);
  const payload = "x".repeat(512 * 1024);
  await until(
    "it is ended",
    async () => {
      await here.run("PUBLISH", "loud", payload);
      return (await subscribers(here, "loud")) === 0;
    },
    { everyMs: 1 },
  );
  expect((await here.run("PING")).body).toEqual({ result: "PONG" });
});

test("what streams leave unread is bounded for all together", async () => {
  const here = await rest({ limits: limits({ maxReplyBytes: 1024 }) });
  const other = await listen(`${here.base}/subscribe/other`);
  await until("it is open", () => other.text().includes("subscribe"));
  deafTo(here, "loud");
  await until("it listens", async () => (await subscribers(here, "loud")) === 1);
  // More than all of them may hold: 16 MiB and four times the largest body and answer.
  await ask(here.server, ["PUBLISH", "loud", "x".repeat(24 * 1024 * 1024)]);
  await until("it is ended", async () => (await subscribers(here, "loud")) === 0);
  await here.run("PUBLISH", "other", "still here");
  await until("the other hears", () => other.text().includes("still here"));
});
