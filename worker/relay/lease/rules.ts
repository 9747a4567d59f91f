/**
 * The judgement of a relay that keeps the lease of a node: how long the node may be open, and when it is sealed.
 *
 * Promises: pure, and the simulator runs the same code. A lease ends when either clock says so; it is sealed
 * so early that Redis has confirmed by then; a Group that said no is not replaced by the promises of others.
 * Must never: read a clock, or open anything.
 */

import { mayPromise } from "../../core/lease.ts";

/** The machine's two clocks at one moment: one stands still while the machine sleeps, the other can be set. */
export type Now = { readonly monoMs: number; readonly wallMs: number };

/** Open from a moment on, for so long. */
export type Cover = { readonly from: Now; readonly ms: number };

export type Lease = {
  /** What the node is open by; null: nothing, it is to be sealed. */
  readonly cover: Cover | null;
  /** At which it was given. What the relay holds may be newer, and another primary's. */
  readonly epoch: number | null;
  /** When a verb opened it last, by the monotonic clock: a no to an older question says nothing of that. */
  readonly openedMs: number;
  /** When it was given back last: a yes to an older question brings nothing back. */
  readonly closedMs: number;
  /** The newest question that the Group answered, when it was sent; null: none since this process began. */
  readonly heardMs: number | null;
  /** The Group said no, and not yes since. */
  readonly refused: boolean;
};

export type Said = {
  readonly granted: boolean;
  readonly enforced: boolean;
  readonly epoch: number;
  readonly leaseMs: number;
};

/** A timer is late, and a message from one process to another takes a moment. */
const LATE_MS = 100;
/** How often a relay asks for a node that takes no writes: one that should be the primary, and any other. */
const ASK_MS = { primary: 1000, replica: 5000 };

export const uncovered: Lease = {
  cover: null,
  epoch: null,
  openedMs: Number.NEGATIVE_INFINITY,
  closedMs: Number.NEGATIVE_INFINITY,
  heardMs: null,
  refused: false,
};

/** How long before its end a lease is given back. */
export const earlyMs = (sealMs: number): number => sealMs + LATE_MS;

/** By the clock that says less. */
export function leftMs(cover: Cover | null, now: Now): number {
  if (cover === null) return 0;
  const { from, ms } = cover;
  return ms - Math.max(now.monoMs - from.monoMs, now.wallMs - from.wallMs);
}

/** In how many milliseconds the node has to be sealed; 0: now. */
export const sealInMs = (cover: Cover | null, now: Now, sealMs: number): number =>
  Math.max(0, leftMs(cover, now) - earlyMs(sealMs));

/** The Group's answer to a question sent at `asked`. What was asked for later counts, also when it is less. */
export function answered(lease: Lease, asked: Now, said: Said): Lease {
  const heardMs = Math.max(lease.heardMs ?? asked.monoMs, asked.monoMs);
  const heard = { ...lease, heardMs };
  if (asked.monoMs < lease.closedMs) return heard;
  // What is not enforced lasts as long as a grant: who was told so, and then cut off, must not stay open.
  if (said.granted || !said.enforced)
    return extended(
      { ...heard, refused: false, epoch: Math.max(lease.epoch ?? 0, said.epoch) },
      asked,
      said.leaseMs,
    );
  if (asked.monoMs < lease.openedMs) return heard;
  return { ...heard, cover: null, refused: true };
}

/** A verb opens the node: its lease began with the stamp, so long ago. */
export function opened(
  lease: Lease,
  now: Now,
  stampAgeMs: number,
  ms: number,
  epoch: number | null,
): Lease {
  const from = { monoMs: now.monoMs - stampAgeMs, wallMs: now.wallMs - stampAgeMs };
  return { ...extended(lease, from, ms), openedMs: now.monoMs, refused: false, epoch };
}

/** A verb closes it. */
export const closed = (lease: Lease, now: Now): Lease => ({
  ...lease,
  cover: null,
  closedMs: now.monoMs,
});

/** Everyone who could be promoted has promised to open nobody, asked at `asked`. What is over stays so. */
export const promised = (lease: Lease, asked: Now, ms: number, now: Now): Lease =>
  lease.refused || leftMs(lease.cover, now) <= 0 ? lease : extended(lease, asked, ms);

function extended(lease: Lease, from: Now, ms: number): Lease {
  const { cover } = lease;
  return cover !== null && cover.from.monoMs > from.monoMs
    ? lease
    : { ...lease, cover: { from, ms } };
}

/**
 * The Group is away, and did not say no before: then the others are asked. Whoever is over asks nobody: it would
 * hold them up for nothing.
 */
export const asksOthers = (lease: Lease, now: Now, leaseMs: number): boolean =>
  leftMs(lease.cover, now) > 0 &&
  !lease.refused &&
  now.monoMs - Math.max(lease.heardMs ?? lease.openedMs, lease.openedMs) > leaseMs / 2;

/** True when nobody is missing; without anybody to ask nobody can be sure. */
export const allPromised = (
  promisers: readonly string[] | null,
  given: ReadonlySet<string>,
): boolean => promisers?.every((id) => given.has(id)) === true;

/** How long until the Group is asked again. */
export const askEveryMs = (lease: Lease, role: "primary" | "replica", leaseMs: number): number =>
  lease.cover === null ? ASK_MS[role] : leaseMs / 3;

/** How often the guard hears that this process lives; without a word for twice as long as that, it seals. */
export const beatEveryMs = (leaseMs: number): number => leaseMs / 8;

/** When the guard seals: no beat for a quarter of a lease, or the lease itself is over. */
export const guardSealInMs = (
  beat: { readonly cover: Cover | null; readonly atMonoMs: number; readonly leaseMs: number },
  now: Now,
  sealMs: number,
): number =>
  Math.min(
    sealInMs(beat.cover, now, sealMs),
    Math.max(0, beat.atMonoMs + beat.leaseMs / 4 - now.monoMs),
  );

/** What a verb that opens a node meets beside the rules of epochs and stamps. */
export type Opening = {
  /** Its lease; null: the group has none. */
  readonly leaseMs: number | null;
  /** How old its stamp is. */
  readonly ageMs: number;
  /** This relay keeps the lease of this node: how long Redis may take to confirm a seal; null: it does not. */
  readonly sealMs: number | null;
  /** For how long this relay has promised to open nobody. */
  readonly promisedMs: number;
};

/** Why a node may not be opened now; null: it may. */
export function whyNotOpened({
  leaseMs,
  ageMs,
  sealMs,
  promisedMs,
}: Opening): { readonly code: "promised" | "lease" | "stamp"; readonly text: string } | null {
  if (promisedMs > 0)
    return { code: "promised", text: `to open nobody for ${Math.ceil(promisedMs)} ms more` };
  if (leaseMs === null) return null;
  if (sealMs === null)
    return {
      code: "lease",
      text: "this relay keeps no lease of this node: see lease in its settings",
    };
  const openMs = leaseMs - earlyMs(sealMs) - ageMs;
  return openMs > 0
    ? null
    : {
        code: "stamp",
        text: `it is ${Math.floor(ageMs)} ms old, and of its lease of ${leaseMs} ms nothing is left`,
      };
}

/** The giver's side of a promise: why none is given; null: it is. */
export function whyNotPromised(heldEpoch: number | null, askedEpoch: number): string | null {
  if (mayPromise(heldEpoch, askedEpoch)) return null;
  return heldEpoch === null
    ? "this relay holds no epoch for the group: its file was lost"
    : `epoch ${askedEpoch} is behind ${heldEpoch}: another primary may be on its way`;
}
