/**
 * Whom to tell, and when: the route is the truth's projection, each publisher is brought up to it.
 *
 * Rules: rev grows with whatever the route says, an address in the configuration included; KV is written when
 * (epoch, rev) changes, at most once a second, last wins; `failing-over` is written
 * there only when it lasts, for it would hold up the route that ends it. DNS changes with the epoch, and with
 * what its record is made of. A failed publish is tried again with backoff until it reads back right. Nothing
 * waits for a publisher; a group that is only observed publishes nothing.
 */
import { act, type Draft, isPending, save, tell, tellEdge, wakeBy } from "./draft.ts";
import { routeOf } from "./projection.ts";
import type { Route } from "./route.ts";
import type { Pending, Published, Saved } from "./state.ts";
import type { GroupConfig, Outcome } from "./types.ts";

const KV_GAP_MS = 1000;
const BACKOFF_MS = { first: 1000, most: 30_000 };
const PUBLISH_TIMEOUT_MS = 5000;

type PublisherRule = {
  readonly name: string;
  /** What a route means to this publisher; null: nothing to publish. */
  readonly keyOf: (route: Route) => string | null;
  readonly gapMs: number;
};

export function publishersOf(config: GroupConfig): readonly PublisherRule[] {
  const kv = {
    name: "kv",
    keyOf: (route: Route) => `${route.epoch}.${route.rev}`,
    gapMs: KV_GAP_MS,
  };
  const record = config.dns;
  if (record === null) return [kv];
  const dns = {
    name: "dns",
    keyOf: (route: Route) =>
      route.primary === null
        ? null
        : [route.epoch, route.hostname, route.primary.host, record.zoneId, record.ttlS].join(" "),
    gapMs: 0,
  };
  return [kv, dns];
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
    if (key === null || key === done.key || isPending(draft, "publish", rule.name)) continue;
    const brief = route.state === "failing-over" && rule.gapMs > 0;
    const dueAtMs = Math.max(done.nextAtMs, brief ? draft.saved.routeAtMs + rule.gapMs : 0);
    if (draft.nowMs < dueAtMs) {
      wakeBy(draft, dueAtMs);
      continue;
    }
    act(draft, rule.name, key, (id) => ({
      id,
      kind: "publish",
      to: rule.name,
      key,
      epoch: route.epoch,
      deadlineMs: draft.nowMs + PUBLISH_TIMEOUT_MS,
      route,
    }));
  }
}

/** Takes in what became of a publish. */
export function published(draft: Draft, pending: Pending, outcome: Outcome): void {
  const { nowMs } = draft;
  const before = draft.saved.published[pending.about] ?? nothingPublished;
  const gapMs = publishersOf(draft.config).find((each) => each.name === pending.about)?.gapMs ?? 0;
  const done = outcome.kind === "done";
  const failures = done ? 0 : before.failures + 1;
  const backoffMs = Math.min(BACKOFF_MS.first * 2 ** (failures - 1), BACKOFF_MS.most);
  const after: Published = done
    ? { key: pending.key, atMs: nowMs, failures, nextAtMs: nowMs + gapMs, problem: null }
    : {
        ...before,
        failures,
        nextAtMs: Math.max(nowMs + backoffMs, outcome.retryAtMs ?? 0),
        problem: outcome.detail,
      };
  save(draft, { published: { ...draft.saved.published, [pending.about]: after } });
  if (done)
    tell(draft, "+published", draft.saved.primary, `${pending.about}: ${outcome.detail}`, {
      publisher: pending.about,
      key: pending.key,
    });
  tellEdge(draft, `publish-failed:${pending.about}`, !done, () => ({
    names: ["-publish-failed", null],
    node: null,
    text: `${pending.about}: ${outcome.detail}; retried until it reads back right`,
  }));
}

const nothingPublished: Published = { key: null, atMs: 0, failures: 0, nextAtMs: 0, problem: null };
