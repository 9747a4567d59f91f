/**
 * The second half of a round: the old primary comes back, empty and sure that it is primary; and every
 * acknowledged number is read back from the new one.
 *
 * Promises: judges by what the redis-servers say themselves.
 * Must never: write to a redis-server.
 */

import type { Failover } from "./failover.ts";
import type { Figures, Row, World } from "./round.ts";
import { key } from "./sequence.ts";
import { direct, eventsAfter, followEvents, routeNow, until } from "./watch.ts";

const SEALED = 1_000_000;

/** Starts the old primary again; ends when it follows and takes reads. What it threw away is told. */
export async function comeback(world: World, { killed, promoted }: Failover): Promise<void> {
  const { stack, signal } = world;
  const old = stack.redis[killed];
  const now = stack.redis[promoted];
  if (old === undefined || now === undefined) throw new Error(`no node ${killed} or ${promoted}`);
  const lastSeq = (await eventsAfter(stack, 0)).at(-1)?.seq ?? 0;
  const startedAtMs = Date.now();
  await old.start();
  const row = (atMs: number, what: string, text: string, tone: Row["tone"] = "good") =>
    world.row({ ms: atMs - startedAtMs, what, text, tone });
  const redis = await direct(old.port);
  const options = { everyMs: 10, signal };
  const over = new AbortController();
  const losses = followEvents(
    stack,
    lastSeq,
    ({ name, text, data }, atMs) => {
      const tone = data.lostBytes === "unknown" ? "plain" : "bad";
      if (name === "+lost-writes") row(atMs, name, text, tone);
    },
    { everyMs: 25, signal: AbortSignal.any([signal, over.signal]) },
  );
  try {
    const { kind } = await redis.role();
    row(Date.now(), "started", `redis-server ${killed} is back and says: ${kind}`, "bad");
    const sealed = until(
      "the seal of the old primary",
      async () => {
        const [role, minReplicas] = await Promise.all([redis.role(), redis.minReplicas()]);
        // Demoted between two looks: it takes no writes either.
        if (role.kind === "replica") return "demoted at once";
        return minReplicas >= SEALED ? "it takes no writes" : null;
      },
      options,
    );
    const follows = until(
      "the demotion of the old primary",
      async () => {
        const role = await redis.role();
        return role.kind === "replica" && role.of === now.port ? role : null;
      },
      options,
    );
    const linked = until(
      "the replication link of the old primary",
      async () => {
        const role = await redis.role();
        return role.kind === "replica" && role.of === now.port && role.linkUp ? role : null;
      },
      options,
    );
    const readable = until(
      "the old primary in the route",
      async () => {
        const route = await routeNow(stack);
        return route?.replicas.some(({ id }) => id === killed) ? route : null;
      },
      { everyMs: 25, signal },
    );
    await Promise.all([
      sealed.then(({ value, atMs }) => row(atMs, "sealed", value)),
      follows.then(({ atMs }) => row(atMs, "demoted", `a replica of ${promoted}`)),
      linked.then(({ atMs }) => row(atMs, "follows", "its replication link is up")),
      readable.then(({ value, atMs }) =>
        row(atMs, "route", `takes reads again, route ${value.epoch}.${value.rev}`),
      ),
    ]);
  } finally {
    over.abort();
    await losses;
    redis.close();
  }
}

/** Counts what is lost; a sentence that explains it when something is, else null. */
export async function readBack(
  { stack, writer }: World,
  { promoted, killed, lastOffset }: Failover,
  figures: Partial<Figures>,
): Promise<string | null> {
  const redis = await direct(stack.redis[promoted]?.port ?? 0);
  try {
    // Copied first: what is acknowledged while it reads need not be in the answer.
    const acked = [...writer.acked];
    const kept = await redis.members(key);
    figures.acked = acked.length;
    figures.lost = acked.filter((n) => !kept.has(n)).length;
    if (figures.lost === 0) return null;
    const ended = await redis.secondOffset();
    if (lastOffset < 0 || ended < 0 || ended >= lastOffset) return null;
    return (
      `replication lag: just before the kill ${killed} was at offset ${lastOffset}, ` +
      `and ${promoted} had it up to ${ended}`
    );
  } finally {
    redis.close();
  }
}
