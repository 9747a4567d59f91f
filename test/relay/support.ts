/**
 * A relay in this process over real Redis servers, and how a Group would speak to it.
 *
 * Promises: everything started here is gone after the test that asked for it.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "@upstash/redis";
import { expect, onTestFinished, vi } from "vitest";
import { type RedisOptions, type RedisProcess, startRedis } from "../../scripts/redis-server.ts";
import type { NodeFacts } from "../../worker/core/types.ts";
import type { Reply } from "../../worker/redis/connection.ts";
import { parseInfo, replicasOf } from "../../worker/redis/info.ts";
import { openSession } from "../../worker/redis/session.ts";
import type { RelayNodeConfig, RelaySettings } from "../../worker/relay/config.ts";
import { headers, type Verb } from "../../worker/relay/protocol.ts";
import type { DataToken } from "../../worker/relay/rest/policy.ts";
import { type Relay, startRelay } from "../../worker/relay/serve.ts";

export const CONTROL = "control-token-of-the-tests";
export const DATA = "data-token-of-the-tests";

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "picket-relay-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export async function redis(options: RedisOptions = {}): Promise<RedisProcess> {
  const server = await startRedis(options);
  onTestFinished(() => server.stop());
  return server;
}

type At = { readonly host: string; readonly port: number };

export const nodeAt = (id: string, { host, port }: At, more: Partial<RelayNodeConfig> = {}) => ({
  id,
  host,
  port,
  username: null,
  password: null,
  ...more,
});

export const dataToken = (token: string, more: Partial<DataToken> = {}): DataToken => ({
  token,
  readOnly: false,
  keyPrefix: null,
  expiresAtMs: null,
  ...more,
});

/** What a configuration file that says nothing more comes to. */
export const relayDefaults = {
  metricsToken: null,
  limits: {
    maxBodyBytes: 1024 * 1024,
    maxPipeline: 1000,
    maxReplyBytes: 16 * 1024 * 1024,
    maxRequests: 1000,
    maxBlockMs: 30_000,
    holdMs: 2000,
  },
  pool: { connections: 64, waiting: 256 },
  drainMs: 0,
  commandTtlMs: 2000,
  nodeTimeoutMs: 1000,
  groups: [],
  lease: [],
} satisfies Partial<RelaySettings>;

export async function settingsFor(
  nodes: readonly RelayNodeConfig[],
  more: Partial<RelaySettings> = {},
): Promise<RelaySettings> {
  return {
    id: "r",
    listen: { host: "127.0.0.1", port: 0 },
    stateFile: join(await temporaryFolder(), "state.json"),
    ...relayDefaults,
    controlTokens: [CONTROL],
    dataTokens: [dataToken(DATA)],
    nodes,
    ...more,
  };
}

export async function relayOver(settings: RelaySettings): Promise<Relay> {
  const relay = await startRelay(settings);
  onTestFinished(() => relay.close());
  return relay;
}

export const settled = { timeout: 20_000, interval: 20 };

export type Pair = { readonly a: RedisProcess; readonly b: RedisProcess; readonly relay: Relay };

/** Two Redis servers, b following a as both of them say, and a relay that holds epoch 0 of group g. */
export async function pair(more: Partial<RelaySettings> = {}): Promise<Pair> {
  const a = await redis();
  const b = await redis({ args: ["--replicaof", a.host, String(a.port)] });
  const relay = await relayOver(await settingsFor([nodeAt("a", a), nodeAt("b", b)], more));
  await online(a, b);
  await tell(relay);
  return { a, b, relay };
}

/** A replica knows that its link is up before its primary does. */
export const online = (primary: At, replica: At) =>
  vi.waitFor(async () => {
    const [info] = await ask(primary, ["INFO", "replication"]);
    const known = replicasOf(String(info)).find(({ port }) => port === replica.port);
    expect(known).toMatchObject({ state: "online" });
    expect(String(await ask(replica, ["INFO"]))).toContain("master_link_status:up");
  }, settled);

/** Commands past every relay: what a person with redis-cli does. */
export async function ask(at: At, ...commands: readonly (readonly string[])[]) {
  const session = openSession({ ...at, username: null, password: null }, 1000);
  try {
    const answer = await session.run(commands, { deadlineMs: 20_000 });
    if (answer.kind === "failure") throw new Error(`${at.port}: ${answer.detail}`);
    return answer.replies.map(plain);
  } finally {
    session.close();
  }
}

const plain = (reply: Reply): unknown => {
  if (Array.isArray(reply)) return reply.map(plain);
  return reply === null ? null : String(reply);
};

/** As an app would: the real client, one attempt, one request per command. */
export const app = (relay: { url: string }, node = "a") =>
  new Redis({
    url: `${relay.url}/nodes/${node}`,
    token: DATA,
    retry: { retries: 0 },
    enableAutoPipelining: false,
    enableTelemetry: false,
  });

export type Said = { readonly status: number; readonly headers: Headers; readonly body: unknown };

export async function post(
  relay: { url: string },
  path: string,
  body: unknown,
  more: Readonly<Record<string, string>> = {},
): Promise<Said> {
  const response = await fetch(relay.url + path, {
    method: "POST",
    headers: { authorization: `Bearer ${CONTROL}`, [headers.group]: "g", ...more },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

export async function stampOf(relay: { url: string }) {
  const { headers: said } = await post(relay, "/nodes/a", ["PING"]);
  return { boot: said.get(headers.boot) ?? "", ms: Number(said.get(headers.ms)) };
}

/** The relay holds epoch 0 of group g afterwards, and nobody is named. */
export async function tell(relay: { url: string }, epoch = 0, primary: string | null = null) {
  return post(relay, "/groups/g/epoch", { epoch, primary, stamp: await stampOf(relay) });
}

let actions = 0;

/** A verb with a fresh stamp and an action id of its own, unless given. */
export async function verb(
  relay: { url: string },
  path: `${string}/${Verb}`,
  body: Readonly<Record<string, unknown>>,
  more: Readonly<Record<string, string>> = {},
): Promise<Said> {
  actions += 1;
  const stamp = body.stamp ?? (await stampOf(relay));
  const head = { group: "g", action: `action-${actions}`, stamp };
  return post(relay, `/nodes/${path}`, { ...head, ...body }, more);
}

/** What a probe learns of a node. */
export async function facts(relay: { url: string }, node: string): Promise<NodeFacts | null> {
  const { body } = await post(relay, `/nodes/${node}/pipeline`, [
    ["INFO"],
    ["CONFIG", "GET", "min-replicas-to-write"],
  ]);
  if (!Array.isArray(body) || typeof body[0]?.result !== "string") return null;
  return parseInfo(body[0].result, body[1]?.result?.[1] ?? null);
}
