/**
 * The relay as a running server on Node: from settings to a listening port and back.
 *
 * Promises: nothing listens before the journal was read and could be written; `close` lets requests in
 * flight finish for 2 s, then ends everything.
 * Must never: read a file other than the state file, or print.
 */
import { randomUUID } from "node:crypto";
import { createServer, type Server } from "node:http";
import { openLinks } from "../redis/node.ts";
import { createApp } from "./app.ts";
import type { RelayNodeConfig, RelaySettings } from "./config.ts";
import { createDoorkeeper } from "./tokens.ts";
import { createHands } from "./verbs/hands.ts";
import { openJournal } from "./verbs/journal.ts";
import { createTurns } from "./verbs/turns.ts";

export type Relay = { readonly url: string; readonly close: () => Promise<void> };

const CLOSE_WITHIN_MS = 2000;

/** Rejects with an Error fit to be shown: a state file that is unusable, a port that is taken. */
export async function startRelay(settings: RelaySettings): Promise<Relay> {
  const opened = await openJournal(settings.stateFile);
  if (opened.kind === "unusable") throw new Error(opened.complaint);
  await opened.store.save(opened.journal);

  const boot = randomUUID();
  const startedAt = performance.now();
  const clock = () => ({
    boot,
    ms: performance.now() - startedAt,
    ttlMs: settings.commandTtlMs,
  });
  const nodes = new Map(settings.nodes.map((node) => [node.id, open(node, settings)]));
  const site = {
    nodes,
    callerOf: createDoorkeeper(settings),
    limits: settings.limits,
    nodeTimeoutMs: settings.nodeTimeoutMs,
  };
  const ending = new AbortController();
  const app = createApp({
    site: () => site,
    hands: createHands(opened.journal, opened.store, clock),
    clock,
    open: (routes) => routes.get("/healthz", (c) => c.json({ ok: true })),
    ending: ending.signal,
  });
  // A caller that trickles its request holds a socket for so long, no more.
  const server = createServer({ requestTimeout: 30_000, headersTimeout: 10_000 }, app);
  const port = await listen(server, settings.listen);
  const { host } = settings.listen;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${port}`,
    close: async () => {
      await stop(server);
      for (const node of nodes.values()) node.close();
    },
  };
}

function open(node: RelayNodeConfig, { nodeTimeoutMs, pool }: RelaySettings) {
  return { id: node.id, ...openLinks(node, nodeTimeoutMs, pool), inTurn: createTurns() };
}

function listen(server: Server, at: RelaySettings["listen"]): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(at.port, at.host, () => {
      server.off("error", reject);
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : at.port);
    });
  });
}

async function stop(server: Server): Promise<void> {
  // A kept-alive connection becomes idle when its request ends, and would then hold the server open.
  server.on("request", (_, response) =>
    response.once("close", () => server.closeIdleConnections()),
  );
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, CLOSE_WITHIN_MS);
  });
  // A kept-alive connection becomes idle when its request ends, and would then hold the server open.
  const idle = setInterval(() => server.closeIdleConnections(), 20);
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  try {
    await Promise.race([closed, patience]);
  } finally {
    clearTimeout(timer);
    clearInterval(idle);
    server.closeAllConnections();
  }
}
