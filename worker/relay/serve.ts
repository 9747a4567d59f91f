/**
 * The relay as a running server on Node: from settings to a listening port, to other settings, and back.
 *
 * Promises: nothing listens before the journal was read and could be written; a reload drops no request;
 * `close` lets requests in flight finish for a bounded time, and answers those that do not.
 * Must never: read a file other than the state file, or print.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { openLinks } from "../redis/node.ts";
import { createApp, type Site } from "./app.ts";
import type { RelayNodeConfig, RelaySettings } from "./config.ts";
import { openDoor, sameSecret } from "./door.ts";
import { watchHealth } from "./health.ts";
import { openLeases } from "./lease/start.ts";
import { type Log, silent } from "./log.ts";
import { createMetrics } from "./metrics.ts";
import { createDoorkeeper } from "./tokens.ts";
import { createHands, type Hands, type RelayNode } from "./verbs/hands.ts";
import { openJournal } from "./verbs/journal.ts";
import { createTurns } from "./verbs/turns.ts";
import { createRouteBoard } from "./watch/routes.ts";
import { watchGroup } from "./watch/watch.ts";

export type Relay = {
  readonly url: string;
  /** Complaints: refused, and nothing has changed. None: in force. */
  readonly reload: (next: RelaySettings) => readonly string[];
  readonly close: () => Promise<void>;
};

/** What one configuration is made into. A request keeps to the one that it began with. */
type Generation = Site & {
  readonly settings: RelaySettings;
  /** What runs beside the requests. */
  readonly parts: readonly Part[];
};

type Part = { readonly close: () => void | Promise<void> };

/** Requests in flight at the end, beyond their own deadline; and for writing out the last answers. */
const CLOSE_MARGIN_MS = 1000;
/** Draining, and waiting for those who wait inside Redis: with what follows less than any supervisor's 90 s. */
const DRAIN_MS = 55_000;
/** What a changed configuration cannot change in a running process. */
const FIXED = ["id", "listen", "stateFile", "lease"] as const;

/** Rejects with an Error fit to be shown: a state file that is unusable, a port that is taken. */
export async function startRelay(first: RelaySettings, log: Log = silent): Promise<Relay> {
  const opened = await openJournal(first.stateFile);
  if (opened.kind === "unusable") throw new Error(opened.complaint);
  await opened.store.save(opened.journal);

  const boot = randomUUID();
  const startedAt = performance.now();
  const clock = () => ({
    ...{ boot, ms: performance.now() - startedAt },
    ttlMs: now.settings.commandTtlMs,
  });
  const metrics = createMetrics({
    sockets: () => door.usage().sockets,
    bytes: () => door.usage(),
    nodes: () => {
      const states = health.states();
      return [...now.nodes.values()].map((node) => {
        const up = states.get(node.id) === "up";
        return { node: node.id, up, ...node.usage() };
      });
    },
  });
  const leases = await openLeases({
    ...{ first, settings: () => now.settings, nodes: () => now.nodes, log },
    epochOf: (group) => hands.epochOf(group),
  });
  const hands = told(
    createHands(opened.journal, opened.store, clock, leases.door, (id) => now.nodes.get(id)),
  );

  function told(silently: Hands): Hands {
    return {
      ...silently,
      act: async (node, request, deadlineMs) => {
        const answer = await silently.act(node, request, deadlineMs);
        const { group, epoch, action } = request.body;
        metrics.verb(request.verb, answer.outcome);
        log("verb", { verb: request.verb, node: node.id, group, epoch, action, ...answer });
        return answer;
      },
    };
  }

  function generate(settings: RelaySettings, before: Generation | null): Generation {
    const nodes = new Map(
      settings.nodes.map((node) => [node.id, kept(node, settings, before) ?? open(node, settings)]),
    );
    const { limits, nodeTimeoutMs } = settings;
    // What dials out, one line each: begun anew with every configuration.
    const parts: Part[] = settings.groups.map((group) =>
      watchGroup({
        ...{ group, relay: settings.id, tokens: settings.controlTokens, nodes: settings.nodes },
        ...{ nodeOf: (id) => nodes.get(id), hands, clock, log, routed: board.put },
      }),
    );
    return { settings, nodes, callerOf: createDoorkeeper(settings), limits, nodeTimeoutMs, parts };
  }

  function open(node: RelayNodeConfig, { nodeTimeoutMs, pool }: RelaySettings): RelayNode {
    const links = openLinks(node, nodeTimeoutMs, pool, metrics.commandsTo(node.id));
    const inTurn = turns.get(node.id) ?? createTurns();
    turns.set(node.id, inTurn);
    return { ...links, id: node.id, inTurn };
  }

  const ending = new AbortController();
  const board = createRouteBoard(ending.signal);
  /** One at a time for each node, whatever becomes of its address. */
  const turns = new Map<string, RelayNode["inTurn"]>();
  let now = generate(first, null);
  // Before anybody can ask for anything: it begins by sealing.
  leases.start();
  const door = await openDoor({
    listen: first.listen,
    handler: createApp({
      ...{ site: () => now, hands, clock, ending: ending.signal },
      ...{ open: leases.routes, routes: board.addTo },
    }),
    states: () => health.states(),
    metrics: () => metrics,
    mayRead: (authorization) => mayReadMetrics(now, authorization),
    log,
  }).catch(async (error: unknown) => {
    await leases.close();
    await end(now);
    throw error;
  });
  // After the door: without leases the first line of the log is `start`.
  const health = watchHealth(
    () => now.nodes,
    () => now.settings.nodeTimeoutMs,
    log,
  );

  function reload(next: RelaySettings): readonly string[] {
    const fixed = FIXED.filter((key) => !isDeepStrictEqual(next[key], now.settings[key]));
    const complaints = [
      ...fixed.map((key) => `${NAMES[key]}: it takes a restart to change it`),
      ...guarded(now.settings, next).map(
        (node) => `nodes: ${node} has a lease, and it takes a restart to change or remove it`,
      ),
    ];
    if (complaints.length > 0) {
      metrics.reload("refused");
      return complaints;
    }
    const before = now;
    now = generate(next, before);
    metrics.reload("done");
    const kept = new Set(now.nodes.values());
    for (const part of before.parts) void part.close();
    for (const node of before.nodes.values()) {
      if (!kept.has(node)) leave(node.retire(longestMs(before.settings)));
    }
    return [];
  }

  /** Nodes that a reload took out, while somebody waits for them. */
  const leaving = new Set<Promise<void>>();
  function leave(left: Promise<void>): void {
    leaving.add(left);
    void left.then(() => leaving.delete(left));
  }

  /** All else is served meanwhile, looks and verbs above all. */
  async function drain(): Promise<void> {
    const { settings, nodes } = now;
    const withinMs = Math.max(0, Math.min(longestMs(settings), DRAIN_MS - settings.drainMs));
    const late = new AbortController();
    const drained = Promise.all([
      ...leaving,
      ...[...nodes.values()].map((node) => node.drain(withinMs)),
    ]);
    const limit = pause(withinMs, undefined, { signal: late.signal }).catch(() => {});
    await Promise.race([drained, limit]);
    late.abort();
  }

  async function close(): Promise<void> {
    door.startDrain();
    await pause(now.settings.drainMs);
    ending.abort();
    await drain();
    await door.finish(now.settings.nodeTimeoutMs + CLOSE_MARGIN_MS);
    health.close();
    await leases.close();
    // Whoever still waits for Redis is told so: an answer, and no dropped connection.
    await end(now);
    await door.finish(CLOSE_MARGIN_MS);
    door.close();
  }

  return { url: door.url, reload, close };
}

async function end({ parts, nodes }: Generation): Promise<void> {
  for (const part of parts) await part.close();
  for (const node of nodes.values()) node.close();
}

/** Leased nodes that would change: the process that guards one has a connection of its own to it. */
function guarded(now: RelaySettings, next: RelaySettings): readonly string[] {
  const nodeOf = ({ nodes }: RelaySettings, id: string) => nodes.find((node) => node.id === id);
  return now.lease
    .map(({ node }) => node)
    .filter((id) => !isDeepStrictEqual(nodeOf(now, id), nodeOf(next, id)));
}

const NAMES: Readonly<Record<(typeof FIXED)[number], string>> = {
  id: "id",
  listen: "listen",
  stateFile: "state_file",
  lease: "lease",
};

/** No request waits for longer than this. */
const longestMs = ({ nodeTimeoutMs, limits }: RelaySettings): number =>
  nodeTimeoutMs + limits.holdMs + limits.maxBlockMs + CLOSE_MARGIN_MS;

/** The node as it is, where nothing about it has changed. */
function kept(
  node: RelayNodeConfig,
  settings: RelaySettings,
  before: Generation | null,
): RelayNode | undefined {
  const same =
    before !== null &&
    before.settings.nodeTimeoutMs === settings.nodeTimeoutMs &&
    isDeepStrictEqual(before.settings.pool, settings.pool) &&
    before.settings.nodes.some((each) => isDeepStrictEqual(each, node));
  return same ? before.nodes.get(node.id) : undefined;
}

function mayReadMetrics({ settings, callerOf }: Generation, authorization?: string): boolean {
  if (callerOf(authorization).face === "control") return true;
  const given = /^Bearer (\S+)$/i.exec(authorization ?? "")?.[1] ?? "";
  return settings.metricsToken !== null && sameSecret(given, settings.metricsToken);
}
