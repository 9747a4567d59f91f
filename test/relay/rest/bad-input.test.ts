import { connect, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { until } from "../../support/wait.ts";
import { ask, CONTROL, DATA, facts, nodeAt, redis, relayOver, settingsFor } from "../support.ts";
import { asApp, limits, type Rest, rest, shared } from "./support.ts";

/** Afterwards: nothing happened, and the next caller is served. */
async function well({ server, run }: Rest) {
  expect(await ask(server, ["DBSIZE"])).toEqual(["0"]);
  expect((await run("PING")).body).toEqual({ result: "PONG" });
}

function socketTo(here: Rest): { socket: Socket; text: () => string; closed: () => boolean } {
  const socket = connect(Number(new URL(here.base).port), "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  let text = "";
  let closed = false;
  socket.on("data", (chunk) => {
    text += chunk;
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    closed = true;
  });
  return { socket, text: () => text, closed: () => closed };
}

const head = (path: string, more: string) =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${DATA}\r\n${more}\r\n\r\n`;

const bodies: readonly (readonly [what: string, path: string, body: string, error: RegExp])[] = [
  ["an empty body", "", "", /^ERR the body is empty: a command is a list/],
  ["an empty body of a pipeline", "/pipeline", "", /^ERR the body is empty/],
  ["no JSON", "", "{", /^ERR the body is not JSON/],
  ["half of a list", "/pipeline", '[["SET","k","v"],', /^ERR the body is not JSON/],
  ["an object", "", "{}", /^ERR the body is an object: a command is a list/],
  ["a number", "", "7", /^ERR the body is a number/],
  ["null", "/multi-exec", "null", /^ERR the body is null: it must be a list of commands/],
  ["an empty list", "", "[]", /^ERR the body is an empty list/],
  ["no commands", "/pipeline", "[]", /^ERR the body is an empty list/],
  ["a list in a command", "", '[["SET","k","v"]]', /^ERR argument 0 of the body is a list/],
  ["null in a command", "", '["SET","k",null]', /^ERR argument 2 of the body is null/],
  ["an object in a command", "", '["SET",{"k":1},"v"]', /^ERR argument 1 of the body is an object/],
  [
    "too large a number",
    "",
    '["SET","k",1e999]',
    /^ERR argument 2 of the body is too large a number/,
  ],
  ["a string for a command", "/pipeline", '[["SET","k","v"],"PING"]', /^ERR command 2 is a string/],
  ["an empty command", "/multi-exec", '[["SET","k","v"],[]]', /^ERR command 2 is an empty list/],
  [
    "null in a pipeline",
    "/pipeline",
    '[["SET","k","v"],["GET",null]]',
    /^ERR argument 1 of command 2 is null/,
  ],
  [
    "a list too deep",
    "",
    `${"[".repeat(100_000)}${"]".repeat(100_000)}`,
    /^ERR argument 0 of the body is a list/,
  ],
  [
    "a list too deep, with digits",
    "",
    `${"[".repeat(100_000)}1234567890123456${"]".repeat(100_000)}`,
    /^ERR (argument 0|the body is nested too deep)/,
  ],
  [
    "a list too deep in a pipeline",
    "/pipeline",
    `[["SET","k","v"],${"[".repeat(50_000)}${"]".repeat(50_000)}]`,
    /^ERR argument 0 of command 2 is a list/,
  ],
  [
    "too many commands",
    "/pipeline",
    JSON.stringify(Array(1001).fill(["PING"])),
    /^ERR the body has 1001 commands: at most 1000/,
  ],
  [
    "a pipeline of 100,000",
    "/pipeline",
    JSON.stringify(Array(100_000).fill(["PING"])),
    /^ERR the body has 100000 commands|^ERR a body has at most/,
  ],
  ["an empty name", "", '[""]', /^ERR unknown command/],
  ["a name with line ends", "", '["GET\\r\\nDEL","k"]', /^ERR unknown command/],
];

const common = shared();

test.each(bodies)("bad body: %s", async (_, path, body, error) => {
  const here = common();
  const said = await here.ask(path, { method: "POST", body });
  expect([400, 413]).toContain(said.status);
  expect(said.body).toEqual({ error: expect.stringMatching(error) });
  await well(here);
});

test("no token, a wrong one, an expired one, somebody else's: 401, and what is wrong", async () => {
  const here = await rest({
    dataTokens: [
      { token: DATA, readOnly: false, keyPrefix: null, expiresAtMs: null },
      { token: "an-expired-token", readOnly: false, keyPrefix: null, expiresAtMs: 1 },
    ],
  });
  const of = async (authorization: string | null, path = "/set/k/v") => {
    const headers = authorization === null ? {} : { authorization };
    const response = await fetch(here.base + path, { headers, method: "POST", body: "[]" });
    return [response.status, ((await response.json()) as { error: string }).error];
  };
  for (const path of [
    "",
    "/pipeline",
    "/multi-exec",
    "/set/k/v",
    "/subscribe/c",
    "/%zz",
    "/seal",
  ]) {
    expect(await of(null, path)).toEqual([401, "Unauthorized: no token was given"]);
  }
  for (const wrong of [
    "Bearer wrong",
    "Bearer",
    "Bearer ",
    `Basic ${DATA}`,
    DATA,
    `Bearer ${DATA} `.replace(/ $/, "x"),
  ]) {
    expect(await of(wrong)).toEqual([401, "Unauthorized: no such token"]);
  }
  expect(await of("Bearer an-expired-token")).toEqual([401, "Unauthorized: the token has expired"]);
  await well(here);
});

test("a control verb by a data token, an unknown node, an unknown address", async () => {
  const here = await rest();
  const of = async (path: string, headers: Readonly<Record<string, string>> = asApp) => {
    const response = await fetch(here.relay.url + path, {
      method: "POST",
      headers,
      body: '["SET","k","v"]',
    });
    return [response.status, ((await response.json()) as { error: string }).error];
  };
  expect(await of("/nodes/a/promote")).toEqual([
    403,
    expect.stringMatching(/^NOPERM the data token/),
  ]);
  expect(await of("/nodes/a/promote?x=1")).toEqual([
    403,
    expect.stringMatching(/^NOPERM the data token/),
  ]);
  for (const path of [
    "/nodes/b",
    "/nodes/",
    "/nodes/a%20",
    "/nodes/__proto__",
    "/nodes/A/pipeline",
  ]) {
    expect(await of(path)).toEqual([404, expect.stringMatching(/^NODE_UNKNOWN/)]);
  }
  for (const path of ["/", "/nodes", "/node/a", "/groups/g/nothing"]) {
    expect(await of(path)).toEqual([404, expect.stringMatching(/^ERR there is nothing/)]);
  }
  expect(await of("/nodes/a", { authorization: `Bearer ${CONTROL}` })).toEqual([
    400,
    expect.stringMatching(/^NOPERM .*'SET'/),
  ]);
  await well(here);
});

test("a string of 512 MB is refused before it was read, and while it is sent", async () => {
  const here = await rest();
  const size = 512 * 1024 * 1024;
  const declared = socketTo(here);
  declared.socket.write(head("/nodes/a/set/k", `Content-Length: ${size}`));
  await until("it is refused at once", () => declared.text().includes("\r\n\r\n{"));
  expect(declared.text()).toMatch(/^HTTP\/1\.1 413 /);
  expect(declared.text()).toContain('"ERR a body has at most 1048576 bytes');

  const chunked = socketTo(here);
  chunked.socket.write(head("/nodes/a/set/k", "Transfer-Encoding: chunked"));
  const piece = `10000\r\n${"x".repeat(0x10000)}\r\n`;
  const flow = setInterval(() => {
    if (!chunked.socket.destroyed && chunked.socket.writableLength < 1e6)
      chunked.socket.write(piece);
  }, 1);
  onTestFinished(() => clearInterval(flow));
  await until("it is refused on the way", () => chunked.text().includes("\r\n\r\n{"), {
    withinMs: 20_000,
  });
  expect(chunked.text()).toMatch(/^HTTP\/1\.1 413 /);
  clearInterval(flow);
  await well(here);
});

test("a body just small enough, and one byte more", async () => {
  const here = await rest({ limits: limits({ maxBodyBytes: 100_000 }) });
  const set = (bytes: number) =>
    here.ask("/set/k", { method: "POST", body: new Uint8Array(bytes) });
  expect((await set(100_001)).status).toBe(413);
  expect((await set(100_000)).body).toEqual({ result: "OK" });
  expect((await here.run("STRLEN", "k")).body).toEqual({ result: 100_000 });
});

test("half a request takes no effect, whether it stays or goes", async () => {
  const here = await rest();
  for (const half of [
    "POST /nodes/a",
    `POST /nodes/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${DATA}\r\n`,
    `${head("/nodes/a", "Content-Length: 100")}["SET","k","v"]`,
    `${head("/nodes/a/set/k", "Transfer-Encoding: chunked")}5\r\nabcde\r\n`,
  ]) {
    const stays = socketTo(here);
    stays.socket.write(half);
    const goes = socketTo(here);
    goes.socket.write(half, () => goes.socket.destroy());
    await until("it is gone", () => goes.closed());
  }
  await well(here);
});

test("many bodies that are half sent: 503 for whom there is no room, and the others go on", async () => {
  const here = await rest({ limits: limits({ maxReplyBytes: 1024 }) });
  const half = Buffer.alloc(1_000_000, "x");
  const callers = Array.from({ length: 30 }, () => {
    const caller = socketTo(here);
    caller.socket.write(head("/nodes/a/set/k", `Content-Length: ${half.length + 1}`));
    caller.socket.write(half);
    return caller;
  });
  await until("there is no more room", () => callers.some(({ text }) => text().includes("503")));
  const refused = callers.filter(({ text }) => text().includes("503"));
  expect(refused[0]?.text()).toContain('"RELAY_BUSY too much is being sent');
  for (const { socket } of callers) socket.destroy();
  await until("there is room", async () => {
    const said = await here.ask("/set/k", { method: "POST", body: half.subarray(0, 900_000) });
    return said.status === 200;
  });
  await here.run("DEL", "k");
  await well(here);
});

test("what is no HTTP gets an error, and takes nobody along", async () => {
  const here = await rest();
  for (const text of [
    "\u0000\u0001\u0002\r\n\r\n",
    "*1\r\n$4\r\nPING\r\n",
    "GET / SPDY/9\r\n\r\n",
  ]) {
    const stranger = socketTo(here);
    stranger.socket.write(text);
    await until("it is turned away", () => stranger.closed());
    expect(stranger.text()).toMatch(/^HTTP\/1\.1 400 /);
  }
  await well(here);
});

test("bytes that are no UTF-8 come back byte for byte", async () => {
  const here = await rest();
  const bytes = Buffer.from(Array.from({ length: 512 }, (_, index) => 255 - (index % 256)));
  const raw = bytes.filter((byte: number) => byte >= 0x20 && byte !== 0x22 && byte !== 0x5c);
  const body = Buffer.concat([
    Buffer.from('["SET","k\\u0159\\ud83d\\udc0e\\n","'),
    raw,
    Buffer.from('"]'),
  ]);
  const said = await here.ask("", { method: "POST", body });
  expect(said.body).toEqual({ result: "OK" });
  const got = await here.ask("", {
    method: "POST",
    body: JSON.stringify(["GET", "kř🐎\n"]),
    headers: { "upstash-encoding": "base64" },
  });
  expect(got.body).toEqual({ result: raw.toString("base64") });
  const many = Buffer.concat([
    Buffer.from('[["SET","p","'),
    raw,
    Buffer.from('"],["STRLEN","p"]]'),
  ]);
  const piped = await here.ask("/pipeline", { method: "POST", body: many });
  expect(piped.body).toEqual([{ result: "OK" }, { result: raw.length }]);
  const resp2 = await fetch(`${here.base}/get/p`, {
    headers: { ...asApp, "upstash-response-format": "resp2" },
  });
  const wanted = Buffer.concat([Buffer.from(`$${raw.length}\r\n`), raw, Buffer.from("\r\n")]);
  expect(Buffer.from(await resp2.arrayBuffer()).equals(wanted)).toBe(true);
  const lone = await here.run("SET", "k", "\ud800");
  expect(lone.body).toEqual({ result: "OK" });
});

test("a command that would wait for ever, or too long, is told the limit, and is not sent", async () => {
  const here = await rest({ limits: limits({ maxBlockMs: 500 }) });
  for (const command of [
    ["BLPOP", "q", 0],
    ["BLPOP", "q", 1],
    ["XREAD", "BLOCK", 0, "STREAMS", "s", "$"],
    ["WAIT", 1, 0],
  ]) {
    const said = await here.run(...command);
    expect(said.status).toBe(400);
    expect(said.body).toEqual({
      error: expect.stringMatching(/500 ms here, limits\.max_block_ms/),
    });
  }
  const many = JSON.stringify(Array(6).fill(["BLPOP", "q", 0.1]));
  const together = await here.ask("/pipeline", { method: "POST", body: many });
  expect(together.body).toEqual({ error: expect.stringMatching(/wait for 600 ms together/) });
  await well(here);
});

test("a reply that is too large is an error that says that it was executed", async () => {
  const here = await rest({ limits: limits({ maxReplyBytes: 10_000 }) });
  await here.run("SETRANGE", "k", 20_000, "x");
  const error = expect.stringMatching(/^ERR the reply has more than 10000 bytes.*it was executed$/);
  expect(await here.run("GETDEL", "k")).toMatchObject({ status: 400, body: { error } });
  await here.run("SET", "k", "y".repeat(4000));
  const three = JSON.stringify(Array(3).fill(["GET", "k"]));
  for (const path of ["/pipeline", "/multi-exec"]) {
    expect((await here.ask(path, { method: "POST", body: three })).body).toEqual({ error });
  }
  expect((await here.run("GETDEL", "k")).body).toEqual({ result: "y".repeat(4000) });
  await well(here);
});

test("more requests than there is room for: 503, surely not executed, and room again afterwards", async () => {
  const here = await rest({ limits: limits({ maxRequests: 3 }) });
  const waiting = Array.from({ length: 3 }, (_, at) => here.run("BLPOP", `q${at}`, 20));
  await until("three wait", async () => {
    const [info] = await ask(here.server, ["INFO", "clients"]);
    return String(info).includes("blocked_clients:3");
  });
  const busy = await here.run("SET", "k", "v");
  expect(busy).toMatchObject({
    status: 503,
    body: { error: expect.stringMatching(/^RELAY_BUSY 3 requests .*not executed$/) },
  });
  // Looks and verbs need no room.
  expect(await facts(here.relay, "a")).toMatchObject({ role: "primary" });
  await ask(here.server, ["RPUSH", "q0", "x"], ["RPUSH", "q1", "x"], ["RPUSH", "q2", "x"]);
  expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([200, 200, 200]);
  await until("there is room", async () => (await here.run("PING")).status === 200);
  await well(here);
});

test("a client that asks and never reads is held to so many answers, and the others are served", async () => {
  const here = await rest({ nodeTimeoutMs: 20_000 });
  await here.run("SETRANGE", "big", 1_000_000, "x");
  const deaf = socketTo(here);
  deaf.socket.pause();
  for (let times = 0; times < 500; times += 1) {
    deaf.socket.write(`GET /nodes/a/get/big?_token=${DATA} HTTP/1.1\r\nHost: x\r\n\r\n`);
  }
  const sent = async () => {
    const [info] = await ask(here.server, ["INFO", "commandstats"]);
    return Number(/cmdstat_get:calls=(\d+)/.exec(String(info))?.[1] ?? 0);
  };
  await until("it was heard", async () => (await sent()) > 0);
  for (let times = 0; times < 20; times += 1) {
    expect((await here.run("STRLEN", "big")).body).toEqual({ result: 1_000_001 });
  }
  // Of the 500 MB that it asked for, Redis gave what one connection may have at once; a few more went out
  // while the system's own buffers took them.
  expect(await sent()).toBeLessThan(100);
  await here.run("DEL", "big");
  await well(here);
});

test("a redis that is lost in mid-command: an answer, and not a dropped connection", async () => {
  const server = await redis();
  const relay = await relayOver(
    await settingsFor([nodeAt("a", server)], { nodeTimeoutMs: 20_000 }),
  );
  const post = (path: string, body: unknown) =>
    fetch(`${relay.url}/nodes/a${path}`, {
      method: "POST",
      headers: asApp,
      body: JSON.stringify(body),
    });
  await (await post("", ["PING"])).text();
  await server.kill("SIGSTOP");
  const writes = [
    post("", ["INCR", "n"]),
    post("/pipeline", [["INCR", "n"]]),
    post("/multi-exec", [["INCR", "n"]]),
    post("", ["BLPOP", "q", "10"]),
  ];
  await server.kill("SIGKILL");
  for (const response of await Promise.all(writes)) {
    expect([502, 504]).toContain(response.status);
    const { error } = (await response.json()) as { error: string };
    expect(error).toMatch(/^NODE_/);
    expect(error).toMatch(response.status === 504 ? /outcome unknown/ : /not executed/);
  }
});
