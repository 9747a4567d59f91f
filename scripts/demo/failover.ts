/**
 * The first half of a round: the primary is killed, and everything that follows is watched from outside.
 *
 * Promises: ends when every figure is there, or with an error that names what was not seen.
 * Must never: help: after the kill nobody is told anything.
 */
import type { Route } from "../../worker/core/route.ts";
import type { LoggedEvent } from "../../worker/env.ts";
import { type Figures, ownAddresses, type Row, type World } from "./round.ts";
import { hostname, type Stack } from "./stack.ts";
import {
  type Direct,
  direct,
  dnsNow,
  eventsAfter,
  followEvents,
  routeInKv,
  routeNow,
  type Seen,
  until,
} from "./watch.ts";

export type Failover = {
  readonly killed: string;
  readonly promoted: string;
  /** Offset of the killed primary just before; -1: unknown. */
  readonly lastOffset: number;
};

/** Events that the timeline shows; the event log has them all. */
const shown: Readonly<Record<string, Row["tone"]>> = {
  "+sdown": "bad",
  "+odown": "bad",
  "+sealed": "plain",
  "-sealed": "plain",
  "+selected-slave": "plain",
  "+slave-reconf-done": "plain",
  "+failover-end": "plain",
  "-publish-failed": "bad",
  "-failover-abort-no-good-slave": "bad",
  "-failover-abort-primary-up": "bad",
  "-failover-abort-slave-timeout": "bad",
};

/** Puts the figures into `figures` as they come. */
export async function failover(world: World, figures: Partial<Figures>): Promise<Failover> {
  const { stack } = world;
  const before = await routeNow(stack);
  const killed = before?.primary?.id ?? "";
  const old = stack.redis[killed];
  if (before === null || old === undefined) throw new Error("there is no primary to kill");
  const lastSeq = (await eventsAfter(stack, 0)).at(-1)?.seq ?? 0;
  const lastOffset = await offsetOf(old.port);
  const others = new Map<string, Direct>();
  for (const id of stack.ids) {
    const server = stack.redis[id];
    if (server !== undefined && id !== killed) others.set(id, await direct(server.port));
  }
  const over = new AbortController();
  const signal = AbortSignal.any([world.signal, over.signal]);

  const killedAtMs = Date.now();
  await old.kill("SIGKILL");
  figures.killed = killed;
  const row = (atMs: number, what: string, text: string, tone: Row["tone"] = "plain") =>
    world.row({ ms: atMs - killedAtMs, what, text, tone });
  row(killedAtMs, "killed", `redis-server ${killed}: kill -9`, "bad");

  let ended: true | null = null;
  const onEvent = ({ name, text, epoch }: LoggedEvent, atMs: number) => {
    if (name === "+odown") figures.detectMs ??= atMs - killedAtMs;
    const tone = shown[name];
    if (tone !== undefined) row(atMs, name, text, tone);
    if (name === "+failover-end" && epoch > before.epoch) ended = true;
  };
  const watches = watchAll({ ...world, signal }, { before, others });
  const events = followEvents(stack, lastSeq, onEvent, { everyMs: 25, signal });
  try {
    await Promise.all([
      watches.stumble.then(({ value, atMs }) => row(atMs, "write", `fails: ${value}`, "bad")),
      watches.role.then(({ value, atMs }) => {
        figures.promoteMs = atMs - killedAtMs;
        row(atMs, "promoted", `redis-server ${value} says that it is primary`, "good");
      }),
      watches.route.then(({ value, atMs }) => {
        figures.routeMs = atMs - killedAtMs;
        figures.epoch = value.epoch;
        figures.promoted = value.primary?.id ?? "";
        row(atMs, "route", `the API: ${value.primary?.id}, epoch ${value.epoch}`, "good");
      }),
      watches.kv.then(({ value, atMs }) => {
        figures.kvMs = atMs - killedAtMs;
        row(atMs, "kv", `the value in KV: ${value.primary?.id}, epoch ${value.epoch}`, "good");
      }),
      watches.dns.then(({ value, atMs }) => {
        figures.dnsMs = atMs - killedAtMs;
        row(atMs, "dns", `${hostname}: ${value}`, "good");
      }),
      watches.turn.then(({ value, atMs }) => row(atMs, "client", `the edge app turns to ${value}`)),
      watches.ack.then(({ value, atMs }) => {
        figures.unavailableMs = atMs - killedAtMs;
        row(atMs, "write", `acknowledged again, number ${value}`, "good");
      }),
      until("+failover-end", async () => ended, { everyMs: 25, signal }),
    ]);
  } finally {
    over.abort();
    await Promise.allSettled([...Object.values(watches), events]);
    for (const other of others.values()) other.close();
  }
  if (figures.detectMs === undefined) throw new Error("+odown is not in the event log");
  return { killed, promoted: figures.promoted ?? "", lastOffset };
}

type Scene = {
  readonly before: Route;
  readonly others: ReadonlyMap<string, Direct>;
};

function watchAll({ stack, kv, writer, signal }: World, scene: Scene) {
  const { before, others } = scene;
  const often = { everyMs: 10, signal };
  const calmly = { everyMs: 25, signal };
  let turned = false;
  let known = before;
  const newer = (route: Route | null) =>
    route !== null && route.epoch > before.epoch && route.state === "up" ? route : null;
  return {
    stumble: writer.next(
      "a failed write",
      (line) => (line.kind === "failed" ? line.why : null),
      signal,
    ),
    role: until("another primary", () => primaryAmong(others), often),
    route: until(
      "the new route",
      async () => {
        known = (await routeNow(stack, known)) ?? known;
        return newer(known);
      },
      calmly,
    ),
    kv: until("the new route in KV", async () => newer(await routeInKv(kv)), calmly),
    dns: until("the new DNS record", () => dnsMoved(stack, scene), often),
    turn: writer.next(
      "the client's turn",
      (line) => (line.kind === "switched" ? line.to : null),
      signal,
    ),
    // The old primary is gone for long: who answers once the app has turned is the new one.
    ack: writer.next(
      "a write acknowledged again",
      (line) => {
        if (line.kind === "switched") turned = true;
        return turned && line.kind === "acked" ? line.n : null;
      },
      signal,
    ),
  } satisfies Record<string, Promise<Seen<unknown>>>;
}

async function offsetOf(port: number): Promise<number> {
  const redis = await direct(port);
  const role = await redis.role();
  redis.close();
  return role.kind === "primary" ? role.offset : -1;
}

async function primaryAmong(nodes: ReadonlyMap<string, Direct>): Promise<string | null> {
  for (const [id, redis] of nodes) if ((await redis.role()).kind === "primary") return id;
  return null;
}

async function dnsMoved(stack: Stack, { before }: Scene): Promise<string | null> {
  const host = await dnsNow(stack);
  if (ownAddresses) return host === before.primary?.host ? null : host;
  // Everyone has the same address: the record's comment tells the epochs apart.
  const record = stack.cloudflare.records().find(({ name }) => name === hostname);
  const epoch = Number(/epoch=(\d+)/.exec(record?.comment ?? "")?.[1] ?? 0);
  return epoch > before.epoch ? `${host}, epoch ${epoch}` : null;
}
