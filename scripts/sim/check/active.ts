/**
 * Rules about an active-active group: nothing is done to Redis; who is used was seen up by most, is left when it is
 * surely down, is gone back to only when that is due, and is held by a pin.
 *
 * Rules: counted again from the raw looks, strictly where something has to follow, and generously where it may. What a
 * life saw and did not live to write does not count.
 */
import type { GroupConfig } from "../../../worker/core/types.ts";
import type { Judged } from "./attempts.ts";
import { type Chosen, followChosen, isPinned, newChosen, nodesIn } from "./chosen.ts";
import { type Ledger, type Life, type Moment, type Stream, violate } from "./ledger.ts";
import { isSilentRelay, streamsOf } from "./recount.ts";
import { latest, type Saving } from "./saving.ts";

const BAD = ["refused", "timeout", "misconf", "unavailable"];

export type Active = {
  readonly chosen: Chosen;
  /** When most vantages may have seen a node up, and when it was surely objectively down, last. */
  readonly upMs: Map<string, number>;
  readonly downMs: Map<string, number>;
  /** When anybody at all may have seen it up: enough for a person, where nobody else is left. */
  readonly seenMs: Map<string, number>;
  /** When a look at it surely failed for as many as the quorum. */
  readonly failed: Map<string, Moment>;
  /** What the decision under way noted, until it is on disk. */
  noted: (() => void)[];
  switched: Moment | null;
  unavailable: Moment | null;
};

export const newActive = (): Active => ({
  chosen: newChosen(),
  upMs: new Map(),
  downMs: new Map(),
  seenMs: new Map(),
  failed: new Map(),
  noted: [],
  switched: null,
  unavailable: null,
});

type Votes = { readonly all: number; readonly streams: readonly (readonly Stream[])[] };

const votesOn = (life: Life, config: GroupConfig, id: string): Votes => ({
  all: config.vantages.length,
  streams: config.vantages.map((vantage) => streamsOf(life, id, vantage)),
});

const most = ({ all, streams }: Votes, holds: (some: readonly Stream[]) => boolean): boolean =>
  streams.filter((some) => some.length > 0 && holds(some)).length * 2 > all;

const askedAt = ({ last }: Stream) => last.atMs - last.tookMs;

/** A decision on what was seen; written only if it changed something. */
export function checkActive(ledger: Ledger, judged: Judged, deployed: GroupConfig): void {
  const { decision, before, config, life, nowMs } = judged;
  const { active } = ledger;
  active.noted = [];
  if (deployed.mode !== "active-active") return;
  const { saved } = decision.state;
  for (const action of decision.actions)
    if (action.kind !== "publish" && action.kind !== "notify")
      violate(ledger, "verb", `${action.kind} is sent in a group of which nobody is promoted`);
  if (saved.phase.kind !== "watching")
    violate(ledger, "verb", `the phase is ${saved.phase.kind}, and nobody is promoted`);
  const freshMs = 2 * config.checkIntervalMs + 2 * config.probeTimeoutMs;
  const isFresh = (stream: Stream) =>
    stream.last.epoch >= before.epoch && nowMs - askedAt(stream) <= freshMs;
  const longMs = config.downAfterMs + 3 * freshMs + 2000;
  const isDown = (stream: Stream) =>
    isFresh(stream) &&
    BAD.includes(stream.last.class) &&
    stream.bad >= 2 * config.maxFailures + 2 &&
    stream.last.atMs - (stream.firstBadMs ?? stream.last.atMs) >= longMs;
  const virtualMs = latest(ledger);
  const soundMs = (config.upAfter + 3) * freshMs + 2000;
  // Whose machine is silent sees nothing of anybody.
  const silent = config.vantages.filter((each) => isSilentRelay(life, each, config, nowMs)).length;
  const sound: string[] = [];
  const lost: string[] = [];
  for (const { id } of config.nodes) {
    const votes = votesOn(life, config, id);
    const whole = votes.streams.every((some) => some.length > 0);
    const down = most(votes, (some) => some.every(isDown)) && votes.all >= config.quorum;
    const downs = votes.streams.filter((some) => some.length > 0 && some.every(isDown)).length;
    if (whole && down && downs >= config.quorum) lost.push(id);
    const seen = votes.streams.filter((some) => some.some(({ last }) => last.class === "up"));
    if (seen.length * 2 > votes.all - silent) note(active, () => active.upMs.set(id, ledger.nowMs));
    if (seen.length > 0) note(active, () => active.seenMs.set(id, ledger.nowMs));
    if (lost.includes(id)) note(active, () => active.downMs.set(id, ledger.nowMs));
    noteFailed(ledger, judged, id, votes, isFresh);
    const up = most(votes, (some) =>
      some.every((each) => isFresh(each) && each.last.class === "up"),
    );
    const replica = votes.streams.flat().some(({ last }) => last.facts?.role === "replica");
    if (!whole || !up || replica) life.soundSince.delete(id);
    else if (!life.soundSince.has(id)) life.soundSince.set(id, virtualMs);
    if (virtualMs - (life.soundSince.get(id) ?? virtualMs) >= soundMs) sound.push(id);
  }
  checkStays(ledger, judged, lost, sound);
  if (saved === judged.state.saved && decision.events.length === 0) commit(active);
}

const note = (active: Active, what: () => void) => void active.noted.push(what);

function commit(active: Active): void {
  for (const run of active.noted.splice(0)) run();
}

function noteFailed(
  ledger: Ledger,
  { config, before, nowMs }: Judged,
  id: string,
  { streams }: Votes,
  isFresh: (stream: Stream) => boolean,
): void {
  const { active } = ledger;
  const isBad = (each: Stream) => isFresh(each) && BAD.includes(each.last.class);
  const failed = streams.filter((some) => some.length > 0 && some.every(isBad));
  const known = before.steering?.members.find((member) => member.id === id);
  const up = streams.filter((some) => some.some(({ last }) => last.class === "up"));
  // Where more may have seen it up nothing failed.
  if (failed.length < config.quorum || failed.length <= up.length) return;
  if (known === undefined || known.healthy === null) return;
  const atMs = Math.max(...failed.flat().map(({ last }) => last.atMs));
  const virtualMs = latest(ledger) - (nowMs - atMs);
  note(active, () => active.failed.set(id, { atMs, virtualMs }));
}

/** One that is down, or drained, is not used while another one is sound. */
function checkStays(
  ledger: Ledger,
  { decision, config, tilt, paused, nowMs, input }: Judged,
  lost: readonly string[],
  sound: readonly string[],
): void {
  const { primary, downtimes, steering, paused: held } = decision.state.saved;
  if (primary === null || tilt || paused || held !== null || config.observeOnly) return;
  if ((decision.state.sight.tiltUntilMs ?? 0) > nowMs || input.requests.length > 0) return;
  const pinned = (steering?.pinnedUntilMs ?? 0) > nowMs;
  const unusable = lost.includes(primary) || downtimes[primary] !== undefined;
  const members = nodesIn(ledger.active.chosen, config).map(({ id }) => id);
  const other = sound.find(
    (id) => id !== primary && downtimes[id] === undefined && members.includes(id),
  );
  if (unusable && !pinned && other !== undefined)
    violate(ledger, "stays", `${primary} is used and cannot be; ${other} is sound for long`);
}

/** It is written. */
export function checkActiveSaved(ledger: Ledger, saving: Saving): void {
  const { active } = ledger;
  const { before, after, config, decision, nowMs } = saving;
  const pinned = isPinned(ledger, nowMs) ? active.chosen.pin : null;
  followChosen(ledger, saving);
  const renamed = decision.events.find(({ name }) => name === "+node-renamed");
  if (renamed !== undefined) rename(active, String(renamed.data.from), after.primary ?? "");
  commit(active);
  if (config.mode !== "active-active") {
    active.unavailable = null;
    return;
  }
  checkPermanent(ledger, saving);
  checkPin(ledger, saving, pinned);
  for (const { name, data } of decision.events)
    if (name === "+switch-master") checkPassed(ledger, String(data.to));
  if (after.primary === before.primary || after.primary === null || renamed !== undefined) return;
  checkChosen(ledger, saving);
  const cause = after.lastSwitch?.cause;
  if (cause === "failback") checkFailback(ledger, saving, after.primary);
  active.switched = { atMs: nowMs, virtualMs: latest(ledger) };
}

function rename(active: Active, from: string, to: string): void {
  for (const known of [active.upMs, active.downMs, active.seenMs]) {
    const ms = known.get(from);
    if (ms !== undefined) known.set(to, ms);
  }
}

/** Not even for the length of a decision is one used that nobody saw up since it was down. */
function checkPassed(ledger: Ledger, to: string): void {
  const { seenMs, downMs } = ledger.active;
  if ((seenMs.get(to) ?? -1) < (downMs.get(to) ?? -1))
    violate(ledger, "unhealthy", `${to} is used, and nobody saw it up since it was down`);
}

/** Most saw it up since it was down, whoever chose it. */
function checkChosen(ledger: Ledger, { before, after, config }: Saving): void {
  const { active } = ledger;
  const to = after.primary ?? "";
  const cause = after.lastSwitch?.cause;
  if (before.primary === null && cause === "automatic") checkFirst(ledger, after, config);
  if (after.epoch <= before.epoch || after.epoch <= before.highestEpoch)
    violate(ledger, "epochs-rise", `${to} is used at epoch ${after.epoch}, which is not new`);
  // A person may choose one that few see up: better than one that nobody does.
  const known = cause === "manual" ? active.seenMs : active.upMs;
  const [up, down] = [known.get(to), active.downMs.get(to)];
  if (up === undefined || (down !== undefined && up < down))
    violate(
      ledger,
      "unhealthy",
      `${to} is used (${cause}), and most never saw it up since it was down`,
    );
  if (after.downtimes[to] !== undefined)
    violate(ledger, "unhealthy", `${to} is used (${cause}), and is in downtime`);
}

/** As many may have been seen up as the policy asks for. */
function checkFirst(ledger: Ledger, after: Saving["after"], config: GroupConfig): void {
  const { active } = ledger;
  const nodes = nodesIn(active.chosen, config);
  const up = nodes.filter(({ id }) => active.upMs.has(id) && after.downtimes[id] === undefined);
  const all = nodes.length;
  const needed = { all, majority: Math.floor(all / 2) + 1, one: 1 }[config.initialHealthPolicy];
  if (up.length < needed)
    violate(
      ledger,
      "first",
      `${after.primary} is the first, and ${up.length} of ${all} were seen up: "${config.initialHealthPolicy}" needs ${needed}`,
    );
}

/** Too soon only if both clocks say so: the Group's may have jumped. */
const isSooner = (ledger: Ledger, nowMs: number, since: Moment | null | undefined, ms: number) =>
  since != null &&
  nowMs - since.atMs < ms &&
  nowMs >= since.atMs &&
  latest(ledger) - since.virtualMs < 0.97 * ms;

function checkFailback(ledger: Ledger, { before, config, nowMs }: Saving, to: string): void {
  const { active } = ledger;
  const wrong = (text: string) => violate(ledger, "failback", `${to} is gone back to ${text}`);
  const weightOf = (id: string | null) =>
    nodesIn(active.chosen, config).find((node) => node.id === id)?.weight;
  const [mine, its] = [weightOf(before.primary), weightOf(to)];
  if (mine !== undefined && its !== undefined && its <= mine)
    wrong(`from ${before.primary}, which weighs ${mine}, and it weighs ${its}`);
  const { failbackIntervalMs, failbackGraceMs } = config;
  if (failbackIntervalMs === 0) wrong("though nobody is to be");
  if (isSooner(ledger, nowMs, active.switched, failbackIntervalMs))
    wrong(`${nowMs - (active.switched?.atMs ?? 0)} ms after the last switch`);
  const failed = active.failed.get(to);
  if (isSooner(ledger, nowMs, failed, failbackGraceMs))
    wrong(`${nowMs - (failed?.atMs ?? 0)} ms after a look at it failed`);
}

const BY_HAND = ["select", "failover", "switchover", "bootstrap", "unpin", "remove-node", "reset"];

function checkPin(ledger: Ledger, saving: Saving, pin: Chosen["pin"]): void {
  const { input, after, config } = saving;
  const asked = input.requests.some(({ kind }) => BY_HAND.includes(kind));
  if (pin === null || asked || config.observeOnly) return;
  const stays = nodesIn(ledger.active.chosen, config).some(({ id }) => id === pin.node);
  if (!stays) {
    ledger.active.chosen.pin = null;
    return;
  }
  if (after.primary !== pin.node)
    violate(ledger, "pin", `${after.primary} is used, and ${pin.node} is pinned`);
  else if (after.steering === null || after.steering.pinnedUntilMs === null)
    violate(ledger, "pin", `the pin of ${pin.node} is lost`);
}

/** Temporary first, and permanent only after all attempts. */
function checkPermanent(ledger: Ledger, { before, after, config, nowMs }: Saving): void {
  const { active } = ledger;
  const now = after.steering?.unavailable ?? null;
  if (now === null) {
    active.unavailable = null;
    return;
  }
  active.unavailable ??= { atMs: nowMs, virtualMs: latest(ledger) };
  const was = before.steering?.unavailable ?? null;
  if (!now.permanent || was?.permanent === true) return;
  const leastMs = config.failoverAttempts * config.failoverDelayMs;
  if (was === null || isSooner(ledger, nowMs, active.unavailable, leastMs))
    violate(
      ledger,
      "permanent",
      `nobody is healthy for ${nowMs - active.unavailable.atMs} ms, and that is called permanent after ${config.failoverAttempts} attempts`,
    );
}

/** Of a group that nobody is promoted in relays seal nobody at sight. */
export function checkWatched(ledger: Ledger, strangers: readonly string[], mode: string): void {
  if (mode === "active-active" && strangers.length > 0)
    violate(ledger, "verb", `relays are told to seal ${strangers.join(", ")}`);
}
