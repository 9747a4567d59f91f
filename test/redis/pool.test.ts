import { expect, onTestFinished, test } from "vitest";
import { startRedis } from "../../scripts/redis-server.ts";
import type { Answer } from "../../worker/redis/connection.ts";
import type { Message } from "../../worker/redis/ears.ts";
import { type NodeLinks, openLinks } from "../../worker/redis/node.ts";
import { tcpServer } from "../support/tcp.ts";
import { until } from "../support/wait.ts";

/** Long enough for a slow machine: whoever gets another answer than silence did not wait for it. */
const deadlineMs = 20_000;

async function start(limits = { connections: 4, waiting: 8 }) {
  const server = await startRedis();
  onTestFinished(() => server.stop());
  return { server, links: linksTo(server, limits) };
}

function linksTo(
  { host, port }: { host: string; port: number },
  limits = { connections: 4, waiting: 8 },
): NodeLinks {
  const endpoint = { host, port, username: null, password: null };
  const links = openLinks(endpoint, deadlineMs, limits);
  onTestFinished(() => links.close());
  return links;
}

async function said(answer: Promise<Answer>): Promise<unknown> {
  const settled = await answer;
  if (settled.kind === "failure") return settled;
  const plain = (reply: unknown): unknown =>
    Array.isArray(reply) ? reply.map(plain) : reply === null ? null : String(reply);
  return settled.replies.map(plain);
}

/** How many clients wait inside Redis. */
async function blockedClients({ control }: NodeLinks): Promise<number> {
  const [info] = (await said(control.run([["INFO", "clients"]], { deadlineMs }))) as [string];
  return Number(/blocked_clients:(\d+)/.exec(info)?.[1]);
}

const blpop = (key: string) => [["BLPOP", key, "0"]];

test("who waits inside Redis holds up nobody else", async () => {
  const { links } = await start();
  const waiting = links.pool.run(blpop("queue"), { deadlineMs });
  await until("it waits", async () => (await blockedClients(links)) === 1);
  expect(await said(links.data.run([["RPUSH", "queue", "x"]], { deadlineMs }))).toEqual(["1"]);
  expect(await said(waiting)).toEqual([["queue", "x"]]);
});

test("a connection is used again, unless it was left in a state of its own", async () => {
  const { links } = await start();
  const id = async () =>
    (await said(links.pool.run([["CLIENT", "ID"]], { deadlineMs }))) as string[];
  // CLIENT itself may change a connection, so that one is never kept.
  const seen = new Set([...(await id()), ...(await id())]);
  expect(seen.size).toBe(2);
  expect(links.pool.usage().connections).toBe(0);
  for (const [commands, kept] of [
    [[["INCR", "n"]], 1],
    [[["MULTI"], ["INCR", "n"], ["EXEC"]], 1],
    [[["WATCH", "n"], ["MULTI"], ["DISCARD"]], 1],
    [[["MULTI"], ["INCR", "n"]], 0],
    [[["WATCH", "n"]], 0],
    [[["SELECT", "1"]], 0],
  ] as const) {
    await links.pool.run(commands, { deadlineMs });
    expect([commands, links.pool.usage().connections]).toEqual([commands, kept]);
  }
  // What was left open was destroyed with its connection: this one is clean.
  expect(await said(links.pool.run([["MULTI"], ["GET", "n"], ["EXEC"]], { deadlineMs }))).toEqual([
    ...["OK", "QUEUED"],
    ["2"],
  ]);
});

test("at most so many connections, at most so many who wait for one, in their order", async () => {
  const { links } = await start({ connections: 2, waiting: 2 });
  const order: number[] = [];
  const runs = [0, 1, 2, 3].map((index) =>
    said(links.pool.run(blpop(`q${index}`), { deadlineMs })).then((answer) => {
      order.push(index);
      return answer;
    }),
  );
  await until("two wait inside Redis", async () => (await blockedClients(links)) === 2);
  expect(links.pool.usage()).toEqual({ connections: 2, running: 2, waiting: 2 });
  expect(await said(links.pool.run(blpop("q"), { deadlineMs }))).toMatchObject({
    class: "busy",
    dispatched: false,
  });
  for (const index of [0, 1, 2, 3]) {
    await links.data.run([["RPUSH", `q${index}`, "x"]], { deadlineMs });
    await runs[index];
  }
  expect(order).toEqual([0, 1, 2, 3]);
  expect(links.pool.usage()).toEqual({ connections: 2, running: 0, waiting: 0 });
});

test("no connection comes free in time: busy, and surely not executed", async () => {
  const { links } = await start({ connections: 1, waiting: 1 });
  const first = links.pool.run(blpop("q"), { deadlineMs });
  await until("it waits", async () => (await blockedClients(links)) === 1);
  const late = await links.pool.run([["INCR", "n"]], { deadlineMs: 50 });
  expect(late).toMatchObject({ class: "busy", dispatched: false });
  await links.data.run([["RPUSH", "q", "x"]], { deadlineMs });
  await first;
  expect(await said(links.data.run([["EXISTS", "n"]], { deadlineMs }))).toEqual(["0"]);
  expect(links.pool.usage().waiting).toBe(0);
});

test("an interrupted connection is destroyed: by its deadline, by its caller", async () => {
  const { links } = await start();
  const silent = await links.pool.run(blpop("q"), { deadlineMs: 50 });
  expect(silent).toMatchObject({ class: "timeout", dispatched: true });
  const caller = new AbortController();
  const left = links.pool.run(blpop("q"), { deadlineMs, signal: caller.signal });
  await until("it waits", async () => (await blockedClients(links)) === 1);
  caller.abort();
  expect(await left).toMatchObject({ class: "busy", dispatched: true });
  expect(links.pool.usage().connections).toBe(0);
  // Redis noticed as well: what is pushed is there for others.
  await until("nobody waits", async () => (await blockedClients(links)) === 0);
  await links.data.run([["RPUSH", "q", "x"]], { deadlineMs });
  expect(await said(links.data.run([["LLEN", "q"]], { deadlineMs }))).toEqual(["1"]);
  const signal = AbortSignal.abort();
  expect(await links.pool.run([["INCR", "n"]], { deadlineMs, signal })).toMatchObject({
    dispatched: false,
  });
});

test("a hold makes the pool wait, and tells the interrupted why", async () => {
  const { links } = await start();
  const waiting = links.pool.run(blpop("q"), { deadlineMs });
  await until("it waits", async () => (await blockedClients(links)) === 1);
  let finish: (value: unknown) => void = () => {};
  const work = new Promise((resolve) => {
    finish = resolve;
  });
  links.data.holdDuring(work, "dropped by a verb");
  const held = links.pool.run([["INCR", "n"]], { deadlineMs });
  await links.control.run([["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]], { deadlineMs });
  expect(await waiting).toMatchObject({
    class: "closed",
    dispatched: true,
    detail: "dropped by a verb",
  });
  expect(await said(links.control.run([["EXISTS", "n"]], { deadlineMs }))).toEqual(["0"]);
  finish(null);
  expect(await said(held)).toEqual(["1"]);
});

test("a hold that begins while the connection opens holds as well", async () => {
  const { links } = await start();
  const held = links.pool.run([["INCR", "n"]], { deadlineMs, holdMs: deadlineMs });
  let finish: (value: unknown) => void = () => {};
  links.data.holdDuring(new Promise((resolve) => (finish = resolve)), "because");
  await until("its connection was given back", () => {
    const { running, waiting } = links.pool.usage();
    return running === 0 && waiting === 1;
  });
  expect(await said(links.control.run([["EXISTS", "n"]], { deadlineMs }))).toEqual(["0"]);
  finish(null);
  expect(await said(held)).toEqual(["1"]);
  expect(links.pool.usage()).toEqual({ connections: 1, running: 0, waiting: 0 });
});

test("retired: who is under way finishes, and then nothing is left", async () => {
  const { server, links } = await start();
  const waiting = links.pool.run(blpop("q"), { deadlineMs });
  await until("it waits", async () => (await blockedClients(links)) === 1);
  const retired = links.retire(deadlineMs);
  const other = linksTo(server);
  await other.data.run([["RPUSH", "q", "x"]], { deadlineMs });
  expect(await said(waiting)).toEqual([["q", "x"]]);
  await retired;
  expect(links.usage()).toEqual({ connections: 0, waiting: 0 });
  // A request that had not come so far is still served, on a connection of its own.
  expect(await said(links.data.run([["PING"]], { deadlineMs }))).toEqual(["PONG"]);
  expect(await said(links.pool.run([["PING"]], { deadlineMs }))).toEqual(["PONG"]);
  expect(links.usage()).toEqual({ connections: 0, waiting: 0 });
});

test("a server that is down: apps dial seldom, looks each time anew, and both are told", async () => {
  let dialled = 0;
  const port = await tcpServer((socket) => {
    dialled += 1;
    socket.destroy();
  });
  const links = linksTo({ host: "127.0.0.1", port });
  const times = 300;
  const ask = async (run: NodeLinks["data"]["run"] | NodeLinks["pool"]["run"]) => {
    for (let left = times; left > 0; left -= 1) {
      const failed = await run([["PING"]], { deadlineMs });
      expect(failed).toMatchObject({ class: "closed", dispatched: false });
    }
    const count = dialled;
    dialled = 0;
    return count;
  };
  expect(await ask(links.data.run)).toBeLessThan(times);
  expect(await ask(links.pool.run)).toBeLessThan(times);
  expect(await ask(links.control.run)).toBe(times);
});

test("a server that comes back serves apps again", async () => {
  const { server, links } = await start();
  await server.kill();
  expect(await links.data.run([["PING"]], { deadlineMs })).toMatchObject({ class: "refused" });
  await server.start();
  await until("apps are served", async () => {
    const answer = await links.data.run([["PING"]], { deadlineMs });
    return answer.kind === "replies";
  });
});

test("listeners share one connection, and hear what they asked for until they leave", async () => {
  const { links } = await start();
  const heard: string[] = [];
  const hear = (who: string) => (message: Message) =>
    heard.push(`${who} ${message.pattern} ${message.channel} ${message.payload}`);
  const [one, other] = [new AbortController(), new AbortController()];
  const first = await links.pool.subscribe({ kind: "channels", names: ["a", "b"] }, hear("one"), {
    deadlineMs,
    signal: one.signal,
  });
  const second = await links.pool.subscribe({ kind: "patterns", names: ["a*"] }, hear("other"), {
    deadlineMs,
    signal: other.signal,
  });
  expect(links.pool.usage().connections).toBe(1);
  const publish = (...words: string[]) =>
    said(links.data.run([["PUBLISH", ...words]], { deadlineMs }));
  expect([await publish("a", "1"), await publish("b", "2"), await publish("ab", "3")]).toEqual([
    ...[["2"], ["1"], ["1"]],
  ]);
  await until("they heard it", () => heard.length === 4);
  expect(heard.toSorted()).toEqual([
    "one null a 1",
    "one null b 2",
    "other a* a 1",
    "other a* ab 3",
  ]);
  one.abort();
  expect(first.kind === "subscribed" && (await first.ended)).toMatchObject({ class: "busy" });
  await until("Redis knows", async () => String(await publish("b", "4")) === "0");
  other.abort();
  expect(second.kind === "subscribed" && (await second.ended)).toMatchObject({ class: "busy" });
  expect(links.pool.usage().connections).toBe(0);
});

test("a lost connection ends its listeners; a new one listens again", async () => {
  const { server, links } = await start();
  const { signal } = new AbortController();
  const listen = () =>
    links.pool.subscribe({ kind: "channels", names: ["a"] }, () => {}, { deadlineMs, signal });
  const before = await listen();
  await server.kill();
  expect(before.kind === "subscribed" && (await before.ended)).toMatchObject({ class: "closed" });
  expect(await listen()).toMatchObject({ class: "refused" });
  await server.start();
  await until("it listens again", async () => (await listen()).kind === "subscribed");
  links.pool.hush();
  expect(await listen()).toMatchObject({ class: "busy" });
});

test("a listener without permission hears Redis's own word, and disturbs nobody", async () => {
  const { server, links } = await start();
  const user = [
    "ACL",
    "SETUSER",
    "limited",
    "on",
    ">secret",
    "+@all",
    "~*",
    "resetchannels",
    "&ok",
  ];
  await links.control.run([user], { deadlineMs });
  const endpoint = {
    host: server.host,
    port: server.port,
    username: "limited",
    password: "secret",
  };
  const limited = openLinks(endpoint, deadlineMs, { connections: 1, waiting: 1 });
  onTestFinished(() => limited.close());
  const { signal } = new AbortController();
  const listen = (name: string) =>
    limited.pool.subscribe({ kind: "channels", names: [name] }, () => {}, { deadlineMs, signal });
  const good = await listen("ok");
  const refused = await listen("other");
  expect(refused.kind === "said" && refused.error.message).toMatch(/^NOPERM/);
  expect(good.kind).toBe("subscribed");
  expect(await said(links.data.run([["PUBLISH", "ok", "x"]], { deadlineMs }))).toEqual(["1"]);
});
