/** Looks and actions through a real relay at a real Redis that hangs, dies and returns. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { type RedisProcess, startRedis } from "../../scripts/redis-server.ts";
import { perform } from "../../worker/act/relay.ts";
import type { Found } from "../../worker/core/looking.ts";
import type { RelayAction, Stamp } from "../../worker/core/types.ts";
import { lookOverRest } from "../../worker/probe/upstash.ts";
import { SEALED } from "../../worker/relay/protocol.ts";
import { type Relay, startRelay } from "../../worker/relay/serve.ts";
import { dataToken, relayDefaults } from "../relay/support.ts";

const controlToken = "control-token-of-relay-a";
/** For one that hangs; and for what answers, on a machine however slow. */
const shortMs = 400;
const patientMs = 20_000;
let dir: string;
let redis: RedisProcess;
let replica: RedisProcess;
let relay: Relay;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "picket-probe-"));
  redis = await startRedis();
  replica = await startRedis({ args: ["--replicaof", "127.0.0.1", String(redis.port)] });
  const node = (id: string, { host, port }: RedisProcess) => ({
    ...{ id, host, port },
    ...{ username: null, password: null },
  });
  relay = await startRelay({
    id: "a",
    listen: { host: "127.0.0.1", port: 0 },
    stateFile: join(dir, "state.json"),
    ...relayDefaults,
    nodeTimeoutMs: patientMs,
    controlTokens: [controlToken],
    dataTokens: [dataToken("data-token-of-relay-a")],
    nodes: [node("a", redis), node("b", replica)],
  });
});
afterAll(async () => {
  await relay?.close();
  await Promise.all([redis?.stop(), replica?.stop()]);
  await rm(dir, { recursive: true, force: true });
});

const look = (node: string, timeoutMs = patientMs, token = controlToken): Promise<Found> =>
  lookOverRest({ group: "cache", url: `${relay.url}/nodes/${node}`, token }, { timeoutMs });
const seen = (node: string, expected: object) =>
  vi.waitFor(async () => expect(await look(node)).toMatchObject(expected), { timeout: 10_000 });

it("sees a primary and its replica", async () => {
  await seen("b", {
    class: "up",
    facts: { role: "replica", linkUp: true, replicaOf: { host: "127.0.0.1", port: redis.port } },
  });
  await seen("a", {
    class: "up",
    detail: "PONG",
    facts: { role: "primary", connectedReplicas: 1, minReplicasToWrite: 0 },
    relay: { epoch: null },
  });
});

it("a stopped Redis is never up: silence, and up again once it runs", async () => {
  await redis.kill("SIGSTOP");
  for (let n = 0; n < 3; n += 1) {
    const { class: kind, facts, relay: said } = await look("a", shortMs);
    expect(kind).toBe("timeout");
    expect(facts).toBeNull();
    expect(said).not.toBeNull();
  }
  await redis.kill("SIGCONT");
  await seen("a", { class: "up" });
});

it("a dead Redis is refused, and up again once it is back", async () => {
  await redis.kill("SIGKILL");
  await seen("a", { class: "refused", facts: null });
  await redis.start();
  await seen("a", { class: "up" });
});

it("names a wrong token and a node that is not there", async () => {
  expect(await look("a", patientMs, "another-token-altogether")).toMatchObject({
    class: "auth",
    relay: null,
  });
  expect(await look("z")).toMatchObject({ class: "policy" });
});

it("tells the epoch, seals and unseals; a stamp of another boot is refused", async () => {
  const stamp = async (): Promise<Stamp> => {
    const { relay: said } = await look("a");
    expect(said).not.toBeNull();
    return said?.stamp ?? { boot: "none", ms: 0 };
  };
  let actions = 0;
  type Verb =
    | { kind: "tell-epoch" }
    | { kind: "seal"; node: string }
    | { kind: "unseal"; node: string; minReplicas: number; bootSealed: boolean };
  const act = async (verb: Verb, over: { stamp?: Stamp } = {}) => {
    actions += 1;
    const action: RelayAction = {
      ...{ id: `cache-1-${actions}`, epoch: 1, deadlineMs: Date.now() + 2000 },
      ...{ relay: "a", stamp: await stamp(), primary: null },
      ...verb,
      ...over,
    };
    return perform(action, {
      group: "cache",
      now: Date.now,
      relay: () => ({ url: relay.url, token: controlToken }),
    });
  };
  expect(await act({ kind: "seal", node: "a" })).toMatchObject({
    kind: "refused",
    detail: expect.stringMatching(/^UNTOLD/),
  });
  expect(await act({ kind: "tell-epoch" })).toMatchObject({ kind: "done" });
  expect(await act({ kind: "seal", node: "a" })).toMatchObject({ kind: "done" });
  expect(await look("a")).toMatchObject({
    facts: { minReplicasToWrite: SEALED },
    relay: { epoch: 1 },
  });
  const other = { boot: "another-boot", ms: 0 };
  expect(await act({ kind: "seal", node: "a" }, { stamp: other })).toMatchObject({
    kind: "refused",
    detail: expect.stringMatching(/^STAMP/),
  });
  const unseal = { kind: "unseal", node: "a", minReplicas: 0, bootSealed: false } as const;
  expect(await act(unseal)).toMatchObject({ kind: "done" });
  expect(await look("a")).toMatchObject({ facts: { minReplicasToWrite: 0 } });
});
