/**
 * What a relay keeps of leases across restarts: how long they are, who has to promise, and what it promised.
 *
 * Promises: a promise is on disk before it is given; after a restart it binds for its whole length anew, whatever
 * the clocks say; without the file this relay may have promised anything, and behaves so; a file that is none is
 * refused by name.
 * Must never: shorten a promise.
 */
import { readFile } from "node:fs/promises";
import * as v from "valibot";
import { promiseBindsMs } from "../../core/lease.ts";
import { createWriter } from "../verbs/journal.ts";
import type { Now } from "./rules.ts";

const ms = v.pipe(v.number(), v.minValue(0));
const kept = v.strictObject({
  v: v.literal(1),
  leases: v.array(
    v.strictObject({
      group: v.string(),
      node: v.string(),
      leaseMs: ms,
      promisers: v.nullable(v.array(v.string())),
    }),
  ),
  promises: v.array(v.strictObject({ group: v.string(), leaseMs: ms, wallMs: ms })),
});
type Kept = v.InferOutput<typeof kept>;

export type Terms = { readonly leaseMs: number; readonly promisers: readonly string[] | null };

export type LeaseMemory = {
  /** What was said last of the lease of a node; null: nothing yet. */
  readonly termsOf: (group: string, node: string) => Terms | null;
  readonly learn: (group: string, node: string, terms: Terms) => void;
  /** For how long nobody of the group may be opened here with a lease of this length. */
  readonly promisedMs: (group: string, leaseMs: number | null, now: Now) => number;
  /** Binds at once; true once it is on disk, and may be told. */
  readonly promise: (group: string, leaseMs: number, now: Now) => Promise<boolean>;
};

/** By so much a wall clock may have been wrong when a promise was written down. */
const WALL_ERROR_MS = 60_000;

/** Rejects with an Error fit to be shown. */
export async function openLeaseMemory(path: string, now: Now): Promise<LeaseMemory> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw new Error(`lease file ${path} cannot be read (${error.code ?? "unknown error"})`);
  });
  const lostMs = text === null ? now.monoMs : null;
  const found = text === null ? { v: 1 as const, leases: [], promises: [] } : parse(text);
  if (found === null)
    throw new Error(
      `lease file ${path} is none of a relay, or a damaged one; restore or remove it`,
    );

  const terms = new Map(found.leases.map((each) => [keyOf(each.group, each.node), each]));
  const promises = new Map(
    found.promises
      .filter(
        ({ leaseMs, wallMs }) => now.wallMs < promiseBindsMs(wallMs, { leaseMs }) + WALL_ERROR_MS,
      )
      .map((each) => [each.group, { ...each, untilMs: promiseBindsMs(now.monoMs, each) }]),
  );
  const write = createWriter<null>(path, () => {
    const given = [...promises.values()].map(({ untilMs: _, ...each }) => each);
    return `${JSON.stringify({ v: 1, leases: [...terms.values()], promises: given })}\n`;
  });
  await write(null);
  const written = () =>
    write(null).then(
      () => true,
      () => false,
    );

  return {
    termsOf: (group, node) => terms.get(keyOf(group, node)) ?? null,
    learn(group, node, { leaseMs, promisers }) {
      const key = keyOf(group, node);
      const before = terms.get(key);
      const same = before?.leaseMs === leaseMs && before.promisers?.join() === promisers?.join();
      if (same) return;
      terms.set(key, {
        group,
        node,
        leaseMs,
        promisers: promisers === null ? null : [...promisers],
      });
      void written();
    },
    promisedMs(group, leaseMs, { monoMs }) {
      const given = promises.get(group)?.untilMs ?? monoMs;
      const unknown =
        lostMs === null || leaseMs === null ? monoMs : promiseBindsMs(lostMs, { leaseMs });
      return Math.max(0, given - monoMs, unknown - monoMs);
    },
    promise(group, leaseMs, { monoMs, wallMs }) {
      const untilMs = promiseBindsMs(monoMs, { leaseMs });
      const before = promises.get(group);
      if (before === undefined || before.untilMs < untilMs)
        promises.set(group, { group, leaseMs, wallMs, untilMs });
      return written();
    },
  };
}

const keyOf = (group: string, node: string): string => JSON.stringify([group, node]);

function parse(text: string): Kept | null {
  try {
    const parsed = v.safeParse(kept, JSON.parse(text));
    return parsed.success ? parsed.output : null;
  } catch {
    return null;
  }
}
