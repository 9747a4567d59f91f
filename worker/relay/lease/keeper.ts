/**
 * The keeper of one node's lease: asks the Group for it, the other relays when the Group is away, and seals the node
 * before it ends.
 *
 * Promises: while this process runs, the node is covered by a lease or sealed, whatever its role; it begins sealed;
 * what a lease is, and when it ends, is judged in rules.ts.
 * Must never: open the node; only a verb does.
 */
import * as v from "valibot";
import type { Reply } from "../../redis/connection.ts";
import { parseInfo } from "../../redis/info.ts";
import type { Log } from "../log.ts";
import { SEALED } from "../protocol.ts";
import { brief, request } from "../request.ts";
import type { RelayNode } from "../verbs/hands.ts";
import { machineNow } from "./beats.ts";
import { type Guard, startGuard } from "./guard.ts";
import type { LeaseMemory, Terms } from "./memory.ts";
import { type LeaseAnswer, type LeaseBody, leaseAnswer } from "./messages.ts";
import { askPeer } from "./promise.ts";
import {
  allPromised,
  answered,
  askEveryMs,
  asksOthers,
  beatEveryMs,
  closed,
  type Lease,
  leftMs,
  opened,
  promised,
  sealInMs,
  uncovered,
} from "./rules.ts";
import { createSealer } from "./sealing.ts";
import type { LeaseSettings } from "./settings.ts";

export type KeeperParts = {
  readonly settings: LeaseSettings;
  readonly relay: string;
  readonly node: () => RelayNode | undefined;
  readonly endpoint: Parameters<typeof startGuard>[0]["endpoint"];
  /** The Worker's address; null: the settings have none. */
  readonly worker: () => string | null;
  /** Valid control tokens; the first is tried first. */
  readonly tokens: () => readonly string[];
  readonly epoch: () => number | null;
  readonly memory: LeaseMemory;
  readonly log: Log;
};

export type Keeper = {
  readonly settings: LeaseSettings;
  readonly isOpen: () => boolean;
  /** A verb is about to open the node. */
  readonly opens: (stampAgeMs: number, terms: Terms | null) => void;
  /** A verb is about to close it. `hard`: nobody expects its Redis alive. */
  readonly closes: (hard: boolean) => void;
  /** A verb was executed, or not: what became of the node? */
  readonly looks: (isSealed: boolean) => void;
  readonly guard: Guard;
  /** Seals it, and leaves the guard to see to it if that fails. */
  readonly end: () => Promise<void>;
};

/** Before the Group has said how long a lease is. */
const UNKNOWN_LEASE_MS = 3000;
/** A relay that has no guard for so long keeps nothing open: with its own end nobody would seal. */
const GUARDLESS_MS = 10_000;
const SEAL_AGAIN_MS = 250;
const LOOK: readonly (readonly string[])[] = [["INFO"], ["CONFIG", "GET", "min-replicas-to-write"]];

export function startKeeper(parts: KeeperParts): Keeper {
  const { settings, memory, log } = parts;
  const { group, node: id, sealMs, killCommand } = settings;
  let lease: Lease = uncovered;
  let seen: { readonly runId: string; readonly role: "primary" | "replica" } | null = null;
  /** It was opened, and is not known to be closed: only such a one is ended for not confirming a seal. */
  let open = false;
  /** And no earlier than by the end of the lease that it was told last, or where nobody expects it alive. */
  let last: Lease["cover"] = null;
  let hard = false;
  /** Redis confirmed it, and nothing opened it since. */
  let sealed = false;
  let askedMs = Number.NEGATIVE_INFINITY;
  let beatMs = Number.NEGATIVE_INFINITY;
  let sealedMs = Number.NEGATIVE_INFINITY;
  let opening = 0;
  let lookedAt = 0;
  const told = { group: "", others: "" };
  let timer: NodeJS.Timeout | undefined;
  let ended = false;

  const guard = startGuard({ node: id, endpoint: parts.endpoint, sealMs, killCommand }, log);
  const sealer = createSealer({
    ...{ node: id, sealMs, killCommand, log },
    run: () => parts.node()?.control.run ?? gone,
  });
  const terms = (): Terms =>
    memory.termsOf(group, id) ?? { leaseMs: UNKNOWN_LEASE_MS, promisers: null };

  /** Whatever is due now, and the time of the next that will be. */
  function tick(): void {
    clearTimeout(timer);
    if (ended) return;
    const now = machineNow();
    const { leaseMs } = terms();
    if (now.monoMs - guard.aliveMs() > GUARDLESS_MS) lease = closed(lease, now);
    const askMs = askEveryMs(lease, seen?.role ?? "primary", leaseMs);
    if (now.monoMs - askedMs >= askMs) {
      askedMs = now.monoMs;
      void ask();
      if (!sealed && asksOthers(lease, now, leaseMs)) void askOthers();
    }
    const inMs = sealInMs(lease.cover, now, sealMs);
    if (lease.cover !== null) last = lease.cover;
    if (inMs <= 0 && !sealed && now.monoMs - sealedMs >= SEAL_AGAIN_MS) void seal("its lease ends");
    if (now.monoMs - beatMs >= beatEveryMs(leaseMs)) beat();
    const dueMs = Math.min(
      askedMs + askMs - now.monoMs,
      beatMs + beatEveryMs(leaseMs) - now.monoMs,
      sealed ? askMs : inMs > 0 ? inMs : SEAL_AGAIN_MS,
    );
    timer = setTimeout(tick, Math.max(1, Math.ceil(dueMs)));
  }

  function beat(): void {
    beatMs = machineNow().monoMs;
    guard.beat({ cover: lease.cover, last, open, leaseMs: terms().leaseMs });
  }

  async function seal(why: string): Promise<void> {
    sealedMs = machineNow().monoMs;
    const turn = opening;
    const became = await sealer.seal(why, isSpared());
    // What was opened meanwhile is not sealed.
    if (turn === opening && became !== "open") confirmed();
    tick();
  }

  const isSpared = () => !open || (!hard && sealInMs(last, machineNow(), sealMs) > 0);

  function confirmed(): void {
    [sealed, open, hard] = [true, false, false];
    beat();
  }

  /** Who the node is, and whether somebody else opened it. */
  async function look(): Promise<void> {
    const turn = opening;
    const answer = await parts.node()?.control.run(LOOK, { deadlineMs: 1000, repeatable: true });
    if (answer?.kind !== "replies") return;
    const facts = factsIn(answer.replies);
    if (facts === null) return;
    // A verb that came since the last look may have opened the node as it runs now.
    if (seen !== null && seen.runId !== facts.runId && lookedAt === turn)
      lease = closed(lease, machineNow());
    [seen, lookedAt] = [facts, turn];
    if (turn !== opening) return;
    sealed = (facts.minReplicasToWrite ?? 0) >= SEALED;
    open = !sealed && facts.role === "primary";
  }

  async function ask(): Promise<void> {
    const looking = look();
    if (seen === null) await looking;
    const url = parts.worker();
    if (url === null || ended) return;
    const asked = machineNow();
    const body: LeaseBody = {
      ...{ relay: parts.relay, node: id, runId: seen?.runId ?? "", sealed },
      leftMs: Math.max(0, leftMs(lease.cover, asked)),
      promisers: copied(memory.termsOf(group, id)?.promisers ?? null),
    };
    const said = await askGroup(`${url}/v1/groups/${encodeURIComponent(group)}/lease`, body);
    if (ended) return;
    if (said.kind === "silent") return tell("away", said.detail);
    memory.learn(group, id, said.answer);
    told.others = "";
    lease = answered(lease, asked, said.answer);
    const { granted, enforced, why } = said.answer;
    tell(granted ? "granted" : enforced ? "refused" : "not enforced", why);
    tick();
  }

  type Answered =
    | { readonly kind: "said"; readonly answer: LeaseAnswer }
    | { readonly kind: "silent"; readonly detail: string };

  /** While two tokens are valid the Group may know either. */
  async function askGroup(url: string, body: LeaseBody): Promise<Answered> {
    let detail = "no token";
    for (const token of parts.tokens()) {
      const headers = { authorization: `Bearer ${token}` };
      const limits = { timeoutMs: terms().leaseMs, maxBytes: 16_384 };
      const answer = await request({ method: "POST", url, headers, body }, limits);
      detail = answer.kind === "json" ? `HTTP ${answer.status}` : brief(answer.detail, token);
      if (answer.kind === "json" && answer.status === 401) continue;
      if (answer.kind !== "json" || answer.status !== 200) break;
      const said = v.safeParse(leaseAnswer, answer.body);
      if (said.success) return { kind: "said", answer: said.output };
      detail = "its answer is none";
      break;
    }
    return { kind: "silent", detail };
  }

  async function askOthers(): Promise<void> {
    const { leaseMs, promisers } = terms();
    const { epoch } = lease;
    const peers = settings.peers.filter((peer) => promisers?.includes(peer.id));
    if (promisers === null || epoch === null) return;
    const asked = machineNow();
    const body = { group, node: id, epoch, leaseMs };
    const given = new Set<string>();
    const take = () => {
      if (ended || !allPromised(promisers, given)) return;
      lease = promised(lease, asked, leaseMs, machineNow());
      tell("promised", `by ${promisers.join(", ") || "nobody: there is nobody else"}`, "others");
      tick();
    };
    take();
    await Promise.all(
      peers.map(async (peer) => {
        const why = await askPeer(peer, body, leaseMs);
        if (ended) return;
        if (why !== null) return tell("no promise", `${peer.id}: ${why}`, "others");
        given.add(peer.id);
        take();
      }),
    );
  }

  function tell(state: string, why: string, of: keyof typeof told = "group"): void {
    if (state === told[of]) return;
    told[of] = state;
    log("lease", { group, node: id, state, why });
  }

  void seal("this relay has just started");
  return {
    settings,
    guard,
    isOpen: () => lease.cover !== null && !sealed,
    opens(stampAgeMs, given) {
      if (given !== null) memory.learn(group, id, given);
      lease = opened(lease, machineNow(), stampAgeMs, terms().leaseMs, parts.epoch());
      opening += 1;
      [sealed, open, hard] = [false, true, false];
      askedMs = Number.NEGATIVE_INFINITY;
      beat();
      tick();
    },
    closes: (isHard) => {
      lease = closed(lease, machineNow());
      if (isHard) hard = true;
      beat();
      tick();
    },
    looks: (isSealed) => {
      if (isSealed) confirmed();
      else tick();
      void look().then(tick);
    },
    end: async () => {
      ended = true;
      clearTimeout(timer);
      lease = closed(lease, machineNow());
      await sealer.seal("this relay ends", isSpared());
      guard.release();
    },
  };
}

const gone = async () => ({
  ...{ kind: "failure" as const, class: "closed" as const, dispatched: false },
  detail: "this relay has no such node",
});

const copied = (ids: readonly string[] | null) => (ids === null ? null : [...ids]);

function factsIn([info, config]: readonly Reply[]) {
  const minReplicas = Array.isArray(config) ? String(config[1]) : null;
  return info instanceof Error ? null : parseInfo(String(info), minReplicas);
}
