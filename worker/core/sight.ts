/**
 * From looks to beliefs: what each vantage believes of each node, and each place of each relay.
 *
 * Rules: one look is one step of a belief, however many places asked through the same relay; what comes from
 * the future, from somebody unknown, for an older epoch, or later than a newer look is dropped and counted.
 * Must never: judge. `health.ts` does.
 */
import type { Belief, PathBelief, RelayBelief, Sight } from "./believed.ts";
import type { GroupConfig, Observation, ObservationClass } from "./types.ts";

/** Redis answered, and as Sentinel accepts it: PONG, LOADING; a planned switch is no failure either. */
export const good: readonly ObservationClass[] = ["up", "loading", "switching"];
/** Counts towards down as it is. MISCONF as Sentinel does, and what a check of somebody's own calls unavailable: an answer, but not an acceptable one. */
export const bad: readonly ObservationClass[] = ["refused", "timeout", "misconf", "unavailable"];
/** The observer failed: it saw nothing of the node. */
export const blind: readonly ObservationClass[] = ["relay-unreachable", "malformed"];

/** A host may be so late (Sentinel's own trigger for TILT). */
const LATE_MS = 2000;

/** An epoch so far ahead of every other is no epoch. */
const MOST_AHEAD = 1_000_000;

/**
 * A look that is older says nothing of now. From one look's question to the next one's answer at a hung node
 * it takes two probe timeouts and an interval, and an interval and some seconds more are no reason yet: with
 * less, silence would never add up where timeouts exceed intervals, or the host is a little late.
 */
export const oldestMs = (config: GroupConfig): number =>
  2 * (config.checkIntervalMs + config.probeTimeoutMs) + LATE_MS;

export const vantageOf = (relay: string): string => `relay:${relay}`;

/** Counters of a sight that is too old say nothing of now: they restart from the fresh look. */
export function forget(
  { sight }: { readonly sight: Sight },
  config: GroupConfig,
  nowMs: number,
): Sight {
  const isOld = (atMs: number) => nowMs - atMs > oldestMs(config);
  if (sight.lookAskedAtMs === null || !isOld(sight.lookAskedAtMs)) return sight;
  const nodes = Object.entries(sight.nodes).map(([id, beliefs]) => {
    const young = Object.entries(beliefs).filter(([, { askedAtMs }]) => !isOld(askedAtMs));
    return [id, Object.fromEntries(young)];
  });
  const since = { since: {}, newsAtMs: null };
  return { ...sight, nodes: Object.fromEntries(nodes), relays: {}, ...since };
}

/** Where questions come from: the Group itself, and its regions. */
const isPlace = (from: string, config: GroupConfig) =>
  from === "group" || config.regions.includes(from);

const knownPaths = (paths: Readonly<Record<string, PathBelief>>, config: GroupConfig) =>
  Object.fromEntries(
    Object.entries(paths).filter(([path]) => isPlace(path.split(" ", 1)[0] ?? "", config)),
  );

type Epochs = { readonly inForce: number; readonly highest: number };

export function absorb(
  sight: Sight,
  observations: readonly Observation[],
  config: GroupConfig,
  epochs: Epochs,
  nowMs: number,
): Sight {
  const nodes: Record<string, Record<string, Belief>> = {};
  const relays = new Map(config.relays.map((relay) => [vantageOf(relay.id), relay.id]));
  const isKnown = (vantage: string) => relays.has(vantage) || config.vantages.includes(vantage);
  for (const { id } of config.nodes) {
    const before = Object.entries(sight.nodes[id] ?? {});
    // What a vantage saw that is one no more would stay the newest for ever.
    nodes[id] = Object.fromEntries(before.filter(([vantage]) => isKnown(vantage)));
  }
  const paths: Record<string, Record<string, PathBelief>> = {};
  for (const { id } of config.nodes) paths[id] = knownPaths(sight.paths[id] ?? {}, config);
  const ownLooks = observations.filter(
    (seen) => seen.from === "group" && !blind.includes(seen.class),
  );
  const firstHand = new Set(ownLooks.map(({ vantage }) => vantage));
  const votes = new Map<string, Observation>();
  const places = new Map<string, Map<string, Observation[]>>();
  let dropped = 0;
  let { newsAtMs, lastNewsAtMs } = sight;
  for (const told of observations) {
    // A relay that names an epoch beyond all reason is not obeyed, but it sees what it sees.
    const lies = (told.relay?.epoch ?? 0) > epochs.highest + MOST_AHEAD;
    const seen = bounded(lies ? { ...told, relay: null } : told, config);
    const beliefs = nodes[seen.node];
    const relay = relays.get(seen.vantage);
    if (
      beliefs === undefined ||
      !isKnown(seen.vantage) ||
      !isPlace(seen.from, config) ||
      !isOfNow(seen, config, epochs, nowMs)
    ) {
      dropped += 1;
      continue;
    }
    const key = `${seen.node} ${seen.vantage}`;
    const askedAtMs = askedAt(seen);
    const path = `${seen.from} ${seen.vantage}`;
    const { [seen.node]: ofNode = {} } = paths;
    if ((ofNode[path]?.atMs ?? 0) <= seen.atMs)
      ofNode[path] = {
        class: seen.class,
        detail: seen.detail,
        atMs: seen.atMs,
        tookMs: seen.tookMs,
      };
    // One place's look may be older than another's newest, and still be the newest of that place.
    const late = askedAtMs < (beliefs[seen.vantage]?.askedAtMs ?? 0);
    // That what a relay is asked and what it tells of its own accord cross is no fault.
    const crossed = seen.pushed !== undefined || beliefs[seen.vantage]?.pushed === true;
    if (lies || (late && !crossed)) dropped += 1;
    if (!late && seen.pushed?.news === true) {
      newsAtMs ??= askedAtMs;
      lastNewsAtMs = Math.max(lastNewsAtMs ?? 0, askedAtMs);
    }
    const other = votes.get(key);
    // Through a relay that the Group itself reaches a region says nothing that the Group does not hear first hand.
    const hearsay =
      relay !== undefined &&
      seen.from !== "group" &&
      (firstHand.has(seen.vantage) || sight.relays[relay]?.group?.failures === 0);
    if (!late && !hearsay && (other === undefined || saysMore(seen, other))) votes.set(key, seen);
    if (relay === undefined) continue;
    if (late && askedAtMs < (sight.relays[relay]?.[seen.from]?.atMs ?? 0)) continue;
    const froms = places.get(relay) ?? new Map<string, Observation[]>();
    places.set(relay, froms);
    froms.set(seen.from, [...(froms.get(seen.from) ?? []), seen]);
  }
  for (const seen of votes.values()) {
    const beliefs = nodes[seen.node] ?? {};
    beliefs[seen.vantage] = nextBelief(beliefs[seen.vantage], seen, config);
  }
  const known: Record<string, Record<string, RelayBelief>> = {};
  for (const { id } of config.relays) {
    const froms = { ...sight.relays[id] };
    for (const [from, looks] of places.get(id) ?? [])
      froms[from] = nextRelayBelief(froms[from], looks);
    // What a place knew of it long ago, or one that looks no more, says nothing of now.
    const isNow = ([from, belief]: [string, RelayBelief]) =>
      isPlace(from, config) && nowMs - belief.askedAtMs <= oldestMs(config);
    known[id] = Object.fromEntries(Object.entries(froms).filter(isNow));
  }
  const lookAskedAtMs = oldestLook({ ...sight, nodes }, config);
  return {
    ...sight,
    nodes,
    relays: known,
    paths,
    lookAskedAtMs,
    newsAtMs: newsAtMs !== null && (lookAskedAtMs ?? 0) > newsAtMs ? null : newsAtMs,
    lastNewsAtMs,
    dropped: sight.dropped + dropped,
  };
}

/** What one relay told by itself is no look at the group: the pair that was asked longest ago counts. */
function oldestLook(sight: Sight, config: GroupConfig): number | null {
  const isAwaited = awaitedBy(sight.away, config);
  let oldest: number | null = null;
  for (const { id: node } of config.nodes)
    for (const vantage of config.vantages) {
      if (!isAwaited({ vantage, node })) continue;
      const askedAtMs = sight.nodes[node]?.[vantage]?.askedAtMs;
      if (askedAtMs === undefined) return null;
      oldest = Math.min(oldest ?? askedAtMs, askedAtMs);
    }
  return oldest;
}

/** Which pairs a look has to wait for. Where everyone is away, for everyone: something has to be seen. */
export function awaitedBy(away: Sight["away"], { nodes, vantages }: GroupConfig) {
  const everyNode = nodes.every(({ id }) => away.nodes.includes(id));
  const everyVantage = vantages.every((vantage) => away.vantages.includes(vantage));
  return ({ vantage, node }: { readonly vantage: string; readonly node: string }): boolean =>
    (everyNode || !away.nodes.includes(node)) && (everyVantage || !away.vantages.includes(vantage));
}

const askedAt = ({ atMs, tookMs }: Observation) => atMs - tookMs;

/** A row of bad looks that is told at once is no longer than it takes to be told. */
function bounded(seen: Observation, config: GroupConfig): Observation {
  if (seen.pushed === undefined) return seen;
  const longestMs = config.downAfterMs + oldestMs(config);
  const sinceMs = Math.min(Math.max(seen.pushed.sinceMs, seen.atMs - longestMs), seen.atMs);
  return { ...seen, pushed: { ...seen.pushed, sinceMs } };
}

/** Not of the future, of before the clock went back, of long ago, or of an older epoch. */
function isOfNow(seen: Observation, config: GroupConfig, epochs: Epochs, nowMs: number): boolean {
  const { atMs, tookMs, epoch } = seen;
  if (atMs > nowMs || tookMs < 0 || epoch < epochs.inForce) return false;
  return nowMs - askedAt(seen) <= oldestMs(config);
}

/** Of two looks through the same relay: one that saw something, else the newer one. */
function saysMore(a: Observation, b: Observation): boolean {
  const [blindA, blindB] = [blind.includes(a.class), blind.includes(b.class)];
  return blindA === blindB ? a.atMs > b.atMs : blindB;
}

/** A clock and a timer are not exact. */
const NEARLY = 0.8;

/** Refusals in a row: those that follow each other faster than `retry_ms` are one. */
function refusalsAfter(before: Belief | undefined, seen: Observation, { retryMs }: GroupConfig) {
  const was = { refusals: before?.refusals ?? 0, refusedAtMs: before?.refusedAtMs ?? null };
  if (seen.class !== "refused") {
    const isBlind = blind.includes(seen.class) || seen.class === "closed";
    return isBlind ? was : { refusals: 0, refusedAtMs: null };
  }
  const askedAtMs = askedAt(seen);
  const { refusedAtMs } = was;
  const isNext = refusedAtMs === null || askedAtMs - refusedAtMs >= NEARLY * retryMs;
  // A relay that tells of a row has kept the time between them itself.
  const refusals = Math.max(was.refusals + Number(isNext), seen.pushed?.refusals ?? 0);
  return { refusals, refusedAtMs: refusals > was.refusals ? askedAtMs : refusedAtMs };
}

function nextBelief(before: Belief | undefined, seen: Observation, config: GroupConfig): Belief {
  const isGood = good.includes(seen.class);
  const isBad = bad.includes(seen.class);
  const failures = before?.failures ?? 0;
  const { looks, sinceMs } = seen.pushed ?? { looks: 1, sinceMs: seen.atMs };
  const firstBadAtMs = isBad
    ? Math.min(before?.firstBadAtMs ?? sinceMs, sinceMs)
    : (before?.firstBadAtMs ?? null);
  const cleanSinceMs = before?.cleanSinceMs ?? null;
  const recovered = isGood && before !== undefined && before.firstBadAtMs !== null;
  return {
    class: seen.class,
    detail: seen.detail,
    pushed: seen.pushed !== undefined,
    askedAtMs: askedAt(seen),
    atMs: seen.atMs,
    failures: isGood ? 0 : isBad ? Math.max(failures + 1, looks) : failures,
    ...refusalsAfter(before, seen, config),
    drops: seen.class === "closed" ? (before?.drops ?? 0) + 1 : 0,
    successes: seen.class === "up" ? (before?.successes ?? 0) + 1 : 0,
    firstBadAtMs: isGood ? null : firstBadAtMs,
    cleanSinceMs: recovered ? seen.atMs : cleanSinceMs,
    stuck: stuckAfter(before?.stuck ?? null, seen),
    lastOkAtMs: isGood ? seen.atMs : (before?.lastOkAtMs ?? null),
    ...factsAfter(before, seen),
  };
}

/** A relay that goes on watching while the Group sleeps knows more than the Group remembers. */
function factsAfter(before: Belief | undefined, seen: Observation) {
  if (seen.facts !== null) return { facts: seen.facts, factsAtMs: seen.atMs };
  const mine = { facts: before?.facts ?? null, factsAtMs: before?.factsAtMs ?? null };
  const told = seen.pushed?.before ?? null;
  if (told === null || told.atMs <= (mine.factsAtMs ?? 0)) return mine;
  return { facts: told.facts, factsAtMs: Math.min(told.atMs, askedAt(seen)) };
}

function stuckAfter(before: Belief["stuck"], seen: Observation): Belief["stuck"] {
  if (seen.class === "loading" || seen.class === "busy")
    return before?.class === seen.class ? before : { class: seen.class, sinceMs: seen.atMs };
  return seen.class === "up" ? null : before;
}

function nextRelayBelief(
  before: RelayBelief | undefined,
  looks: readonly Observation[],
): RelayBelief {
  const atMs = Math.max(...looks.map((seen) => seen.atMs));
  const asked = Math.max(before?.askedAtMs ?? 0, ...looks.map(askedAt));
  const reached = looks.some((seen) => !blind.includes(seen.class));
  const newest = looks
    .map((seen) => seen.relay)
    .filter((facts) => facts !== null)
    .sort((a, b) => b.stamp.ms - a.stamp.ms)[0];
  return {
    askedAtMs: asked,
    facts: newest ?? (reached ? null : (before?.facts ?? null)),
    atMs: reached ? atMs : (before?.atMs ?? 0),
    failures: reached ? 0 : (before?.failures ?? 0) + 1,
    firstBadAtMs: reached ? null : (before?.firstBadAtMs ?? atMs),
  };
}
