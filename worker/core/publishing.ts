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
  const where = dns.provider === "powerdns" ? dns.zone : dns.zoneId;
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
  return [
    kv,
    records("dns", hostname, ({ primary }) => (primary === null ? [] : [primary.host])),
    ...(replicaHostname === null ? [] : [records("dns-replicas", replicaHostname, readersOf)]),
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
    // The pace of what was taken before holds up nobody.
    const paced = done.receipt === null || done.receipt.key === key ? done.nextAtMs : 0;
    const dueAtMs = Math.max(paced, brief ? draft.saved.routeAtMs + rule.gapMs : 0);
    if (draft.nowMs < dueAtMs) wakeBy(draft, dueAtMs);
    else publish(draft, rule, route, key, null);
  }
}

/** Only while all is well: it must never be in the way of a failover. No alarm is set for it: any decision will do. */
function isLookDue({ saved, config, nowMs }: Draft, rule: PublisherRule, done: Published): boolean {
  const dueAtMs = Math.max(
    done.nextAtMs,
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
  const { nowMs, saved, config } = draft;
  const { about, key, beat = false } = pending;
  const before = saved.published[about] ?? nothingPublished;
  const gapMs = publishersOf(config).find((each) => each.name === about)?.gapMs ?? 0;
  const done = outcome.kind === "done";
  const taken = !done && outcome.receipt !== undefined && key !== null;
  const failures = done || taken ? 0 : before.failures + 1;
  const backoffMs = Math.min(BACKOFF_MS.first * 2 ** Math.max(0, failures - 1), BACKOFF_MS.most);
  const laterMs = Math.max(nowMs + backoffMs, outcome.retryAtMs ?? 0);
  const { detail: problem } = outcome;
  const drift = outcome.drift ?? null;
  // What was not confirmed may stand there all the same: the route before it is not there any more.
  const stands = beat ? before.key : null;
  let after: Published;
  if (done && beat) {
    const looked = { ...before, checkedAtMs: nowMs, drift: null, failures, problem: null };
    if (drift === null) after = looked;
    else if (config.drift === "report") after = { ...looked, drift };
    // What was set right was written now.
    else after = { ...looked, atMs: nowMs, nextAtMs: nowMs + gapMs };
  } else if (done) {
    after = { ...nothingPublished, key, atMs: nowMs, nextAtMs: nowMs + gapMs };
  } else if (taken) {
    const receipt = { key, text: outcome.receipt };
    after = { ...before, key: stands, failures, nextAtMs: laterMs, problem, receipt };
  } else {
    // A receipt that leads nowhere is not asked for again.
    after = { ...before, key: stands, failures, nextAtMs: laterMs, problem, receipt: null };
  }
  save(draft, { published: { ...saved.published, [about]: after } });
  if (done && !beat)
    tell(draft, "+published", saved.primary, `${about}: ${outcome.detail}`, {
      publisher: about,
      key,
    });
  if (done) tellDrift(draft, about, beat ? drift : null, after);
  if (taken) return;
  tellEdge(draft, `publish-failed:${about}`, !done, () => ({
    names: ["-publish-failed", null],
    node: null,
    text: `${about}: ${outcome.detail}; retried until it reads back right`,
  }));
}

function tellDrift(draft: Draft, about: string, drift: string | null, after: Published): void {
  const data = { publisher: about };
  if (drift !== null && draft.config.drift === "repair")
    tell(draft, "+drift", null, `${about} held ${drift}: set right`, data);
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

const nothingPublished: Published = {
  key: null,
  atMs: 0,
  failures: 0,
  nextAtMs: 0,
  problem: null,
  checkedAtMs: 0,
  drift: null,
  receipt: null,
};
