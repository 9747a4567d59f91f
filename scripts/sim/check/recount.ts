/**
 * The votes, counted again from the raw looks by rules that are simple on purpose.
 *
 * Rules: generous where worker/core/health.ts may decide either way, so that only what surely had no ground is
 * called wrong. A place could call a node down when it saw it bad often and long enough; it surely saw it up when
 * its newest look says so.
 */
import type { GroupConfig, Observation } from "../../../worker/core/types.ts";
import type { Ledger, Life, Row, Sighted, Stream } from "./ledger.ts";

const GOOD = ["up", "loading", "switching"];
const BAD = ["refused", "timeout", "misconf"];
/** It loads, or runs a script: until it is up, however it answers in between. */
const STUCK = ["loading", "busy"];
const BLIND = ["relay-unreachable", "malformed"];

/** Takes in what a life was shown. */
export function note(
  ledger: Ledger,
  life: Life,
  observations: readonly Observation[],
  nowMs: number,
): void {
  // The worst that anybody saw through one relay: together they may see more than each.
  const worst = new Map<string, { ofNode: Map<string, Stream>; key: string; seen: Sighted }>();
  const [primaries, replicas] = [new Set<string>(), new Set<string>()];
  for (const seen of observations as readonly Sighted[]) {
    // The clock went back while it was under way: nobody can tell when it was asked for.
    if (seen.tookMs < 0 || seen.atMs > nowMs) continue;
    let ofNode = life.streams.get(seen.node);
    if (ofNode === undefined) {
      ofNode = new Map();
      life.streams.set(seen.node, ofNode);
    }
    // Nor does one count that comes late once more.
    if (!follow(ofNode, `${seen.vantage} ${seen.from}`, seen)) continue;
    const key = `${seen.vantage} *`;
    const other = worst.get(`${seen.node} ${key}`);
    if (other === undefined || badness(seen) > badness(other.seen))
      worst.set(`${seen.node} ${key}`, { ofNode, key, seen });
    const { facts } = seen;
    if (facts === null) continue;
    if (seen.virtualMs >= (ledger.lastFacts.get(seen.node)?.virtualMs ?? 0))
      ledger.lastFacts.set(seen.node, { facts, virtualMs: seen.virtualMs });
    if (facts.role === "primary") raise(ledger.seenPrimary, seen);
    const heardMs = seen.pushed === undefined ? seen.virtualMs : ledger.nowMs;
    if (facts.role === "primary")
      raise(ledger.heardPrimary, { node: seen.node, virtualMs: heardMs });
    if (facts.role === "primary" && seen.class === "up") raise(ledger.lastUp, seen);
    if (facts.role === "primary") primaries.add(seen.node);
    else replicas.add(seen.node);
  }
  for (const { ofNode, key, seen } of worst.values()) follow(ofNode, key, seen);
  // One relay may lie: a replica is what nobody calls a primary.
  for (const node of replicas) if (!primaries.has(node)) ledger.sealedSince.delete(node);
}

/** One vantage's look may be older than another's. */
function raise(
  seenMs: Map<string, number>,
  { node, virtualMs }: Pick<Sighted, "node" | "virtualMs">,
): void {
  seenMs.set(node, Math.max(virtualMs, seenMs.get(node) ?? 0));
}

const badness = ({ class: kind }: Sighted): number =>
  BAD.includes(kind) ? 2 : BLIND.includes(kind) ? 0 : 1;

/** False for what is older than what was seen before. */
function follow(ofNode: Map<string, Stream>, key: string, seen: Sighted): boolean {
  const before = ofNode.get(key);
  const late = before !== undefined && askedAt(seen) < askedAt(before.last);
  if (!late) ofNode.set(key, next(before, seen));
  return !late;
}

const askedAt = ({ atMs, tookMs }: Sighted): number => atMs - tookMs;

function next(before: Stream | undefined, seen: Sighted): Stream {
  const good = GOOD.includes(seen.class);
  const bad = BAD.includes(seen.class);
  const blind = BLIND.includes(seen.class);
  const replica = seen.facts?.role === "replica";
  // What a relay tells of its own accord stands for a row of looks: those that it had, whatever it says.
  const { looks, refused, sinceMs } = seen.row ?? { looks: 1, refused: 1, sinceMs: seen.atMs };
  return {
    vantage: seen.vantage,
    from: seen.from,
    last: seen,
    bad: good ? 0 : bad ? Math.max((before?.bad ?? 0) + 1, looks) : (before?.bad ?? 0),
    // An answer that is neither good nor bad breaks no row.
    refused:
      seen.class === "refused"
        ? Math.max((before?.refused ?? 0) + 1, refused)
        : good || bad
          ? 0
          : (before?.refused ?? 0),
    blind: blind ? (before?.blind ?? 0) + 1 : 0,
    firstBadMs: good
      ? null
      : bad
        ? Math.min(before?.firstBadMs ?? sinceMs, sinceMs)
        : (before?.firstBadMs ?? null),
    firstBlindMs: blind ? (before?.firstBlindMs ?? seen.atMs) : null,
    stuckSinceMs: STUCK.includes(seen.class)
      ? (before?.stuckSinceMs ?? seen.atMs)
      : seen.class === "up"
        ? null
        : (before?.stuckSinceMs ?? null),
    replicaSinceMs:
      seen.facts === null
        ? (before?.replicaSinceMs ?? null)
        : replica
          ? (before?.replicaSinceMs ?? seen.atMs)
          : null,
  };
}

/** What a relay's own looks come to, whatever it makes of them itself. */
export function rowAfter(
  row: Row | null,
  { class: kind, askedAtMs }: { readonly class: string; readonly askedAtMs: number },
): Row | null {
  if (GOOD.includes(kind)) return null;
  if (!BAD.includes(kind)) return row;
  return {
    looks: (row?.looks ?? 0) + 1,
    refused: kind === "refused" ? (row?.refused ?? 0) + 1 : 0,
    sinceMs: row?.sinceMs ?? askedAtMs,
  };
}

export type Count = { readonly down: number; readonly up: number; readonly heard: number };

/** At most so many vantages could call the node down, and at least so many saw it up. */
export function count(life: Life, config: GroupConfig, node: string, nowMs: number): Count {
  let [down, up, heard] = [0, 0, 0];
  for (const vantage of config.vantages) {
    const streams = streamsOf(life, node, vantage);
    const local = isLocal(config, vantage, node);
    // A relay is silent whatever it was asked about: a node may have got its name a moment ago.
    const silent = local && isSilentRelay(life, vantage, config, nowMs);
    if (silent || streams.some((each) => couldBeDown(each, config))) down += 1;
    if (streams.length > 0 && streams.every(saysUp)) up += 1;
    if (silent || streams.some(({ last }) => !BLIND.includes(last.class))) heard += 1;
  }
  return { down, up, heard };
}

export const streamsOf = (life: Life, node: string, vantage: string): Stream[] =>
  [...(life.streams.get(node)?.values() ?? [])].filter((each) => each.vantage === vantage);

const isLocal = (config: GroupConfig, vantage: string, node: string) =>
  config.relays.some(({ id, local }) => `relay:${id}` === vantage && local.includes(node));

const saysUp = ({ last }: Stream) => last.class === "up" && last.facts?.role === "primary";

const isSilent = (stream: Stream, config: GroupConfig, nowMs: number) =>
  stream.blind >= config.maxFailures &&
  nowMs - (stream.firstBlindMs ?? nowMs) >= config.downAfterMs;

export function isSilentRelay(
  life: Life,
  vantage: string,
  config: GroupConfig,
  nowMs: number,
): boolean {
  for (const node of life.streams.keys())
    if (streamsOf(life, node, vantage).some((each) => isSilent(each, config, nowMs))) return true;
  return false;
}

function couldBeDown(stream: Stream, config: GroupConfig): boolean {
  const { last, bad, refused, firstBadMs, stuckSinceMs, replicaSinceMs } = stream;
  if (stuckSinceMs !== null) {
    const limits = [config.loadingLimitMs, config.busyLimitMs].filter((ms) => ms > 0);
    if (limits.some((ms) => last.atMs - stuckSinceMs >= ms)) return true;
  }
  if (replicaSinceMs !== null && last.facts?.role === "replica")
    return last.atMs - replicaSinceMs >= config.downAfterMs - 1000;
  if (GOOD.includes(last.class) || bad < config.maxFailures) return false;
  return (
    refused >= config.maxFailures || last.atMs - (firstBadMs ?? last.atMs) >= config.downAfterMs
  );
}

/**
 * Replicas that surely heard from the primary after everybody had lost it, while no relay beside it says that
 * nobody is there.
 */
export function surelyHeardBy(
  life: Life,
  config: GroupConfig,
  primary: string,
  address: string,
  nowMs: number,
): readonly string[] {
  const streams = [...(life.streams.get(primary)?.values() ?? [])];
  const lost = streams
    .map((each) => each.firstBadMs ?? each.firstBlindMs)
    .filter((atMs) => atMs !== null);
  if (lost.length === 0) return [];
  for (const each of streams)
    if (
      isLocal(config, each.vantage, primary) &&
      (couldBeDown(each, config) || isSilent(each, config, nowMs))
    )
      return [];
  const lastLostMs = Math.max(...lost);
  return config.nodes
    .filter(({ id }) => id !== primary)
    .filter(({ id }) => {
      const views = [...(life.streams.get(id)?.values() ?? [])].filter(
        ({ last }) => last.class === "up" && last.facts !== null,
      );
      return (
        views.length > 0 &&
        views.every(({ last }) => {
          const facts = last.facts;
          if (facts?.role !== "replica" || facts.lastIoMs === null || !facts.linkUp) return false;
          if (`${facts.replicaOf?.host}:${facts.replicaOf?.port}` !== address) return false;
          return last.atMs - facts.lastIoMs > lastLostMs + 2500;
        })
      );
    })
    .map(({ id }) => id);
}
