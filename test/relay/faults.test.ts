/** Faults of a real Redis, as a relay tells them: to apps in Redis's own words, to looks as what they are. */
import { mkdir } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { RedisOptions } from "../../scripts/redis-server.ts";
import type { Found } from "../../worker/core/looking.ts";
import { lookOverRest } from "../../worker/probe/upstash.ts";
import type { Relay } from "../../worker/relay/serve.ts";
import { tcpServer } from "../support/tcp.ts";
import { until } from "../support/wait.ts";
import {
  ask,
  CONTROL,
  DATA,
  facts,
  nodeAt,
  post,
  redis,
  relayOver,
  settingsFor,
  tell,
  verb,
} from "./support.ts";

/** Far longer than anything here takes: silence is no answer to expect. */
const patient = { nodeTimeoutMs: 20_000 };

/** A Redis and a relay beside it. */
async function beside(options?: RedisOptions) {
  const a = await redis(options);
  return { a, relay: await relayOver(await settingsFor([nodeAt("a", a)], patient)) };
}

const command = (relay: Relay, ...words: readonly string[]) =>
  post(relay, "/nodes/a", words, { authorization: `Bearer ${DATA}` });

const look = (relay: Relay): Promise<Found> =>
  lookOverRest({ group: "g", url: `${relay.url}/nodes/a`, token: CONTROL }, { timeoutMs: 20_000 });

test("X26 out of memory: writes are refused by Redis, reads and looks are not", async () => {
  const { a, relay } = await beside();
  await ask(a, ["SET", "k", "v"], ["CONFIG", "SET", "maxmemory", "1"]);
  expect(await command(relay, "SET", "k", "w")).toMatchObject({
    status: 400,
    body: { error: expect.stringMatching(/^OOM /) },
  });
  expect(await command(relay, "GET", "k")).toMatchObject({ body: { result: "v" } });
  expect(await look(relay)).toMatchObject({ class: "up" });
});

test("X27 a snapshot that cannot be written: MISCONF, told as such", async () => {
  const { a, relay } = await beside({ args: ["--save", "3600 1"] });
  await mkdir(join(a.dir, "dump.rdb"));
  await ask(a, ["SET", "k", "v"], ["BGSAVE"]);
  await until("the look says misconf", async () => (await look(relay)).class === "misconf");
  expect(await command(relay, "SET", "k", "w")).toMatchObject({
    status: 400,
    body: { error: expect.stringMatching(/^MISCONF /) },
  });
  expect(await command(relay, "GET", "k")).toMatchObject({ body: { result: "v" } });
});

test("X28 no replica to write to: NOREPLICAS, and the node is up", async () => {
  const { relay } = await beside({ args: ["--min-replicas-to-write", "1"] });
  expect(await command(relay, "SET", "k", "w")).toMatchObject({
    status: 400,
    body: { error: expect.stringMatching(/^NOREPLICAS /) },
  });
  expect(await look(relay)).toMatchObject({ class: "up" });
});

test("X30 writes are paused by somebody: looks do not queue behind them", async () => {
  const { a, relay } = await beside();
  await ask(a, ["CLIENT", "PAUSE", "600000", "WRITE"]);
  const write = command(relay, "SET", "k", "v");
  expect(await look(relay)).toMatchObject({ class: "up" });
  await ask(a, ["CLIENT", "UNPAUSE"]);
  expect(await write).toMatchObject({ status: 200, body: { result: "OK" } });
});

test("X31 a person makes the primary a replica: the next look sees it, writes hear READONLY", async () => {
  const { a, relay } = await beside();
  expect(await facts(relay, "a")).toMatchObject({ role: "primary" });
  await ask(a, ["REPLICAOF", "127.0.0.1", "1"]);
  expect(await facts(relay, "a")).toMatchObject({ role: "replica", replicaOf: { port: 1 } });
  expect(await command(relay, "SET", "k", "v")).toMatchObject({
    status: 400,
    body: { error: expect.stringMatching(/^READONLY /) },
  });
});

/** Passes everything on to `port`; cuts both ways as soon as Redis answers a transaction. */
function replyEater(port: number): Promise<number> {
  return tcpServer((client) => {
    const redisSide = connect(port, "127.0.0.1").on("error", () => {});
    client.on("data", (bytes) => redisSide.write(bytes));
    redisSide.on("data", (bytes) => {
      if (!bytes.includes("QUEUED")) return client.write(bytes);
      client.destroy();
      redisSide.destroy();
    });
    client.on("close", () => redisSide.destroy());
    redisSide.on("close", () => client.destroy());
  });
}

test("X22 the answer to a promotion is lost: unknown, never asked again, and a look tells", async () => {
  const a = await redis({ args: ["--replicaof", "127.0.0.1", "1"] });
  const port = await replyEater(a.port);
  const relay = await relayOver(await settingsFor([nodeAt("a", { ...a, port })], patient));
  await tell(relay);
  const body = { epoch: 1, primary: "a", minReplicas: 0, bootSealed: false, action: "promote-1" };
  expect(await verb(relay, "a/promote", body)).toMatchObject({
    status: 504,
    body: { outcome: "unknown" },
  });
  expect(await facts(relay, "a")).toMatchObject({ role: "primary" });
  // Somebody has made it a replica since: the same action again changes nothing.
  await ask(a, ["REPLICAOF", "127.0.0.1", "1"]);
  expect(await verb(relay, "a/promote", body)).toMatchObject({ body: { outcome: "unknown" } });
  expect(await facts(relay, "a")).toMatchObject({ role: "replica" });
});
