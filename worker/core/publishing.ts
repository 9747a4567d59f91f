/**
 * Whom to tell of the route, and when: it is the truth's projection, each publisher is brought up to it.
 *
 * Rules: rev grows with whatever the route says, an address in the configuration included; KV is written when
 * (epoch, rev) changes, at most once a second, last wins; `failing-over` is written there only when it lasts, for
 * it would hold up the route that ends it. DNS changes with the epoch, and with what its records are made of.
 * A failed publish is tried again with backoff until it reads back right; what is taken but not everywhere yet
 * is asked for again. On a slow beat, in quiet times only, each publisher looks at what it holds. Nothing waits
 * for a publisher; a group that is only observed publishes nothing.
 */
import { act, type Draft, isPending, save, tell, tellEdge, wakeBy } from "./draft.ts";
import { routeOf } from "./projection.ts";
import type { Route } from "./route.ts";
import type { Pending, Published, Saved } from "./state.ts";
import type { GroupConfig, Outcome } from "./types.ts";

const KV_GAP_MS = 1000;
const READERS_GAP_MS = 5000;
/** A reader may see the one before for as long: to look sooner finds what is not there. */
const KV_SETTLES_MS = 120_000;
const BACKOFF_MS = { first: 1000, most: 30_000 };
const PUBLISH_TIMEOUT_MS = 5000;
/** The next route waits for it. */
const LOOK_TIMEOUT_MS = 2000;

type PublisherRule = {
  readonly name: string;
  /** What a route means to this publisher; null: nothing to publish. */
  readonly keyOf: (route: Route) => string | null;
  readonly gapMs: number;
  /** No slow look sooner than this after the last write. */
  readonly settlesMs: number;
};

export function publishersOf({
  dns,
  hostname,
  replicaHostname,
}: GroupConfig): readonly PublisherRule[] {
  const kv: PublisherRule = {
    name: "kv",
    keyOf: (route) => `${route.epoch}.${route.rev}`,
    gapMs: KV_GAP_MS,
    settlesMs: KV_SETTLES_MS,
  };
  if (dns === null) return [kv];
  const zone = dns.provider === "powerdns" ? `${dns.serverId} ${dns.zone}` : dns.zoneId;
  const where = `${dns.provider} ${dns.apiUrl} ${zone}`;
  const records = (
    name: string,
    at: string | null,
    hostsOf: (route: Route) => readonly string[],
  ): PublisherRule => ({
    name,
    keyOf: (route) =>
      route.primary === null || at === null
        ? null
        : [route.epoch, at, ...hostsOf(route), where, dns.ttlS].join(" "),
    gapMs: 0,
    settlesMs: 0,
  });
  const dnsRule = records("dns", hostname, ({ primary }) =>
    primary === null ? [] : [primary.host],
  );
  if (replicaHostname === null) return [kv, dnsRule];
  // A link that comes and goes must not use up what the provider allows: the primary's name needs it.
  return [
    kv,
    dnsRule,
    { ...records("dns-replicas", replicaHostname, readersOf), gapMs: READERS_GAP_MS },
  ];
}

/** Who takes reads by the name of the replicas: those with a share of them, the primary where there is none. */
export function readersOf({ primary, replicas }: Pick<Route, "primary" | "replicas">) {
  const sharing = replicas.filter(({ readWeight }) => readWeight > 0);
  const readers = sharing.length > 0 || primary === null ? sharing : [primary];
  return readers.map(({ host }) => host).sort();
}

const digestOf = (saved: Saved, config: GroupConfig): string => {
  const { state, hostname, primary, replicas } = routeOf(saved, config);
  return JSON.stringify([state, hostname, primary, replicas]);
};

/** False after a deploy that changes what the route says, until the next decision counts that as a new rev. */
export const routeStands = (saved: Saved, config: GroupConfig): boolean =>
  saved.rev === 0 || digestOf(saved, config) === saved.routeDigest;

/** Changes the route, and counts the change: rev grows with every change within an epoch, from 1. */
export function setRoute(draft: Draft, state: Route["state"], readable: readonly string[]): void {
  const { saved, config, nowMs } = draft;
  const next = { ...saved, routeState: state, readable };
  const routeDigest = digestOf(next, config);
  if (routeDigest === saved.routeDigest && saved.rev > 0) return;
  save(draft, { ...next, routeDigest, rev: saved.rev + 1, routeAtMs: nowMs });
  const { epoch, rev } = draft.saved;
  const text = `route ${epoch}.${rev}: ${state}, primary ${saved.primary ?? "none"}`;
  tell(draft, "+route", saved.primary, text, { rev, state, readable });
}

/** Starts whatever publishing is due. */
export function publishDue(draft: Draft): void {
  // What an attempt of ours brought about is told, also when a deploy meanwhile ended the acting.
  if (draft.config.observeOnly && draft.saved.phase.kind !== "publishing") return;
  const route = routeOf(draft.saved, draft.config);
  for (const rule of publishersOf(draft.config)) {
    const done = draft.saved.published[rule.name] ?? nothingPublished;
    const key = rule.keyOf(route);
    if (key === null || isPending(draft, "publish", rule.name)) continue;
    if (key === done.key) {
      if (isLookDue(draft, rule, done)) publish(draft, rule, route, key, draft.config.drift);
      continue;
    }
    const brief = route.state === "failing-over" && rule.gapMs > 0;
    const dueAtMs = Math.max(
      done.pausedUntilMs,
      // What an older route waits for holds up nobody.
      done.tried === key ? done.nextAtMs : 0,
      brief ? draft.saved.routeAtMs + rule.gapMs : 0,
    );
    if (draft.nowMs < dueAtMs) wakeBy(draft, dueAtMs);
    else publish(draft, rule, route, key, null);
  }
}

/** Only while all is well: it must never be in the way of a failover. No alarm is set for it: any decision will do. */
function isLookDue({ saved, config, nowMs }: Draft, rule: PublisherRule, done: Published): boolean {
  const dueAtMs = Math.max(
    done.lookAtMs,
    done.atMs + rule.settlesMs,
    Math.max(done.atMs, done.checkedAtMs) + config.driftIntervalMs,
  );
  return saved.phase.kind === "watching" && saved.routeState === "up" && nowMs >= dueAtMs;
}

function publish(
  draft: Draft,
  rule: PublisherRule,
  route: Route,
  key: string,
  beat: GroupConfig["drift"] | null,
): void {
  const { receipt } = draft.saved.published[rule.name] ?? nothingPublished;
  const action = {
    kind: "publish",
    to: rule.name,
    key,
    epoch: route.epoch,
    deadlineMs: draft.nowMs + (beat === null ? PUBLISH_TIMEOUT_MS : LOOK_TIMEOUT_MS),
    route,
    beat,
    receipt: receipt?.key === key ? receipt.text : null,
  } as const;
  act(draft, rule.name, key, (id) => ({ ...action, id }), beat === null ? {} : { beat: true });
}

/** Takes in what became of a publish, or of a slow look. */
export function published(draft: Draft, pending: Pending, outcome: Outcome): void {
  const { saved, config } = draft;
  const { about, key, beat = false } = pending;
  const rule = publishersOf(config).find((each) => each.name === about);
  if (rule === undefined) return forgetPublisher(draft, about);
  const before = saved.published[about] ?? nothingPublished;
  const done = outcome.kind === "done";
  const after = beat ? looked(draft, before, outcome, rule) : written(draft, key, outcome, rule);
  save(draft, { published: { ...saved.published, [about]: after } });
  if (done && !beat)
    tell(draft, "+published", saved.primary, `${about}: ${outcome.detail}`, {
      publisher: about,
      key,
    });
  if (done || beat) tellDrift(draft, about, outcome, beat, after);
  if (after.receipt !== null && after.failures === 0) return;
  tellEdge(draft, `publish-failed:${about}`, !done, () => ({
    names: ["-publish-failed", null],
    node: null,
    text: `${about}: ${outcome.detail}; retried until it reads back right`,
  }));
}

/** After a write. */
function written(
  draft: Draft,
  key: string | null,
  outcome: Outcome,
  rule: PublisherRule,
): Published {
  const { nowMs, saved } = draft;
  const before = saved.published[rule.name] ?? nothingPublished;
  const { detail: problem, receipt: text, retryAtMs = 0 } = outcome;
  if (outcome.kind === "done")
    return { ...nothingPublished, key, atMs: nowMs, pausedUntilMs: nowMs + rule.gapMs };
  // Taken, and not done yet: that is no failure. One that could not be asked about is.
  const taken = outcome.kind === "unknown" && text !== undefined;
  const failures = taken ? 0 : (before.tried === key ? before.failures : 0) + 1;
  return {
    ...before,
    // What was not confirmed may stand there all the same: the route before it is not there any more.
    key: null,
    tried: key,
    failures,
    nextAtMs: Math.max(nowMs + backoffMs(failures), retryAtMs),
    pausedUntilMs: taken ? before.pausedUntilMs : Math.max(before.pausedUntilMs, retryAtMs),
    problem,
    // A receipt that leads nowhere is not asked for again.
    receipt: text === undefined || key === null ? null : { key, text },
  };
}

/** After a slow look, whose failure holds up no write. */
function looked(
  { nowMs, config }: Draft,
  before: Published,
  outcome: Outcome,
  { gapMs }: PublisherRule,
): Published {
  const { kind, detail: problem, drift = null, retryAtMs = 0 } = outcome;
  if (kind !== "done")
    return { ...before, lookAtMs: Math.max(nowMs + BACKOFF_MS.most, retryAtMs), problem };
  const right = { ...before, checkedAtMs: nowMs, drift: null, problem: null };
  if (drift === null) return right;
  if (config.drift === "report") return { ...right, drift };
  // What was set right was written now.
  return { ...right, atMs: nowMs, pausedUntilMs: Math.max(before.pausedUntilMs, nowMs + gapMs) };
}

const backoffMs = (failures: number) =>
  Math.min(BACKOFF_MS.first * 2 ** Math.max(0, failures - 1), BACKOFF_MS.most);

/** What was under way when the Group died may have been done: it is begun again, and has not failed. */
export function publishLost(draft: Draft, { about, beat }: Pending): void {
  const before = draft.saved.published[about];
  const rule = publishersOf(draft.config).find((each) => each.name === about);
  if (beat || before === undefined || rule === undefined) return;
  const after = { ...before, key: null, pausedUntilMs: draft.nowMs + rule.gapMs };
  save(draft, { published: { ...draft.saved.published, [about]: after } });
}

/** It is configured no more. */
function forgetPublisher(draft: Draft, name: string): void {
  const { [name]: _, ...published } = draft.saved.published;
  save(draft, { published });
}

function tellDrift(
  draft: Draft,
  about: string,
  { kind, drift }: Outcome,
  beat: boolean,
  after: Published,
): void {
  const data = { publisher: about };
  if (beat && drift !== undefined && draft.config.drift === "repair") {
    const became = kind === "done" ? "set right" : "not set right yet";
    tell(draft, "+drift", null, `${about} held ${drift}: ${became}`, data);
  }
  if (kind !== "done") return;
  tellEdge(draft, `drift:${about}`, after.drift !== null, () => ({
    names: ["+drift", "-drift"],
    node: null,
    text:
      after.drift === null
        ? `${about} holds what was published again`
        : `${about} holds ${after.drift}: left alone, as drift = "report" says`,
    data,
  }));
}

export const nothingPublished: Published = {
  key: null,
  atMs: 0,
  tried: null,
  failures: 0,
  nextAtMs: 0,
  pausedUntilMs: 0,
  problem: null,
  checkedAtMs: 0,
  lookAtMs: 0,
  drift: null,
  receipt: null,
};
