/**
 * One Redis, one relay and its addresses, for the tests of the REST face.
 *
 * Promises: everything started here is gone after the test that asked for it.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, onTestFinished } from "vitest";
import { type RedisProcess, startRedis } from "../../../scripts/redis-server.ts";
import { openLinks } from "../../../worker/redis/node.ts";
import { createApp, type Site } from "../../../worker/relay/app.ts";
import type { RelaySettings } from "../../../worker/relay/config.ts";
import type { Limits } from "../../../worker/relay/rest/policy.ts";
import { type Relay, startRelay } from "../../../worker/relay/serve.ts";
import { createDoorkeeper } from "../../../worker/relay/tokens.ts";
import { createTurns } from "../../../worker/relay/verbs/turns.ts";
import {
  CONTROL,
  DATA,
  dataToken,
  nodeAt,
  redis,
  relayDefaults,
  relayOver,
  settingsFor,
} from "../support.ts";

export type Rest = {
  readonly server: RedisProcess;
  readonly relay: Relay;
  readonly base: string;
  /** Status and parsed body; the data token unless the headers say otherwise. */
  readonly ask: (path: string, init?: Init) => Promise<Heard>;
  readonly run: (...command: readonly unknown[]) => Promise<Heard>;
};

type Init = {
  readonly method?: string;
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
};

export type Heard = {
  readonly status: number;
  readonly body: unknown;
  readonly headers: Headers;
};

export const asApp = { authorization: `Bearer ${DATA}` };

export const limits = (more: Partial<Limits> = {}): Limits => ({
  ...relayDefaults.limits,
  ...more,
});

export async function rest(
  more: Partial<RelaySettings> = {},
  args: readonly string[] = [],
): Promise<Rest> {
  const server = await redis({ args });
  return over(server, await relayOver(await settingsFor([nodeAt("a", server)], more)));
}

/** One for all tests of a file, where starting anew for each would take longer than they do. */
export function shared(): () => Rest {
  let here: Rest | null = null;
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "picket-relay-"));
    const server = await startRedis();
    const relay = await startRelay({
      id: "r",
      listen: { host: "127.0.0.1", port: 0 },
      stateFile: join(folder, "state.json"),
      ...relayDefaults,
      controlTokens: [CONTROL],
      dataTokens: [dataToken(DATA)],
      nodes: [nodeAt("a", server)],
    });
    here = over(server, relay);
  });
  afterAll(async () => {
    await here?.relay.close();
    await here?.server.stop();
    await rm(folder, { recursive: true, force: true });
  });
  return () => {
    if (here === null) throw new Error("only within a test");
    return here;
  };
}

function over(server: RedisProcess, relay: Relay): Rest {
  const base = `${relay.url}/nodes/a`;
  const ask = async (path: string, { method = "GET", body, headers }: Init = {}) => {
    const response = await fetch(base + path, {
      method,
      headers: { ...asApp, ...headers },
      ...(body === undefined ? {} : { body }),
    });
    const text = await response.text();
    const json = response.headers.get("content-type") === "application/json" && text !== "";
    return {
      status: response.status,
      body: json ? JSON.parse(text) : text,
      headers: response.headers,
    };
  };
  const run = (...command: readonly unknown[]) =>
    ask("", { method: "POST", body: JSON.stringify(command) });
  return { server, relay, base, ask, run };
}

/** The door alone, over what the test has in its own hands; `site` may change. */
export async function doorOver(
  more: Partial<Site>,
  deps: Partial<Parameters<typeof createApp>[0]> = {},
) {
  const site: { -readonly [K in keyof Site]: Site[K] } = {
    nodes: new Map(),
    callerOf: createDoorkeeper({ controlTokens: [CONTROL], dataTokens: [dataToken(DATA)] }),
    limits: limits(),
    nodeTimeoutMs: 20_000,
    ...more,
  };
  const hands = { act: unasked, tellEpoch: unasked, epochOf: () => null, heldOf: () => null };
  const clock = () => ({ boot: "b", ms: 1, ttlMs: 2000 });
  const server = createServer(createApp({ site: () => site, hands, clock, ...deps }));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return { url: `http://127.0.0.1:${port}`, site };
}

const unasked = () => Promise.reject(new Error("no verb is sent here"));

/** The door over one Redis, where holds are in the test's own hands. */
export async function inHand(more: Partial<Limits>) {
  const server = await redis();
  const at = { host: server.host, port: server.port, username: null, password: null };
  const counted: string[] = [];
  const links = openLinks(at, 20_000, { connections: 4, waiting: 4 }, (_, answer) =>
    counted.push(answer.kind === "replies" ? "answered" : answer.class),
  );
  onTestFinished(() => links.close());
  const node = { ...links, id: "a", inTurn: createTurns() };
  const door = await doorOver({ nodes: new Map([["a", node]]), limits: limits(more) });
  let end: () => void = () => {};
  const begin = () =>
    links.data.holdDuring(new Promise<void>((resolve) => (end = resolve)), "a switch");
  return { ...door, server, links, counted, begin, end: () => end() };
}
