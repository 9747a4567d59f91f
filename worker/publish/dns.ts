/**
 * The DNS names of a group: `hostname` leads to the primary, `replica_hostname` to whom may be read.
 *
 * Promises: `done` means that the records were read back right, everywhere where the provider says so;
 * writes only what differs, and never without having looked; a name is never taken from anybody.
 * Must never: retry, but look once more when the zone changed meanwhile.
 *
 * No record id is kept between runs: finding the records by their name costs the same one request as
 * reading them by id, and it also shows what else is there.
 */
import { readersOf } from "../core/publishing.ts";
import type { Route } from "../core/route.ts";
import { judge, markOf, textOf } from "./dns/judge.ts";
import { canonical, type DnsProvider, type Target, targetOf, type Wanted } from "./dns/provider.ts";
import type { Publisher, PublishOptions, PublishResult } from "./publisher.ts";

export type DnsNames = {
  readonly ttlS: number;
  readonly replicaHostname: string | null;
};

/** How soon a provider is asked again whether a change is everywhere. */
const SETTLES_MS = 5000;

/** @param provider made anew for each publish, and only then: it reads secrets. */
export function dnsPublishers(
  provider: () => DnsProvider,
  { ttlS, replicaHostname }: DnsNames,
): readonly Publisher[] {
  const publisher = (
    name: string,
    nameOf: (route: Route) => string | null,
    hostsOf: (route: Route) => readonly string[],
  ): Publisher => ({
    name,
    publish: async (route, options) => {
      const host = nameOf(route);
      const targets = fitting(hostsOf(route).map(targetOf));
      if (host === null || targets.length === 0)
        return { kind: "done", detail: "nothing to point at, or no name" };
      const wanted = { name: canonical(host), records: targets, ttlS, mark: markOf(route) };
      const deadlineMs = Date.now() + options.timeoutMs;
      return bring({ provider: provider(), wanted, route, options, deadlineMs });
    },
  });
  const primary = publisher(
    "dns",
    (route) => route.hostname,
    (route) => (route.primary === null ? [] : [route.primary.host]),
  );
  if (replicaHostname === null) return [primary];
  return [primary, publisher("dns-replicas", () => replicaHostname, readersOf)];
}

/** A CNAME stands alone: addresses go before names, and of several names the first is taken. */
function fitting(targets: readonly Target[]): readonly Target[] {
  const once = [...new Map(targets.map((each) => [textOf(each), each])).values()];
  const addresses = once.filter((each) => each.type !== "CNAME");
  return addresses.length > 0 ? addresses : once.slice(0, 1);
}

type Task = {
  readonly provider: DnsProvider;
  readonly wanted: Wanted;
  readonly route: Route;
  readonly options: PublishOptions;
  readonly deadlineMs: number;
};

/** Look, write what differs, look again. Once more from the start when the zone changed meanwhile. */
async function bring(task: Task, again = true): Promise<PublishResult> {
  const { provider, wanted, route, options, deadlineMs } = task;
  const looked = await provider.look(wanted.name, deadlineMs);
  if (!looked.ok) return looked.result;
  const verdict = judge(looked.records, wanted, route);
  if (verdict.kind === "right") return settle(task);
  const drift = options.beat === undefined ? {} : { drift: verdict.stood };
  if (options.beat === "report") {
    const detail = verdict.kind === "refused" ? verdict.detail : `not ${textOfAll(wanted)}`;
    return { kind: "done", detail, ...drift };
  }
  if (verdict.kind === "refused") return { kind: "refused", detail: verdict.detail, ...drift };
  const wrote = await looked.write(wanted, verdict.spare);
  if (!wrote.ok && wrote.stale && again) return bring(task, false);
  // Who asks us to wait is obeyed; whatever else a failed write said, the records decide.
  if (!wrote.ok && wrote.result.retryAfterMs !== undefined) return { ...wrote.result, ...drift };
  // Set right by the way: nobody waits until it is everywhere.
  if (wrote.ok && wrote.receipt !== undefined && options.beat === undefined) {
    return pending(provider, wrote.receipt);
  }
  const after = await provider.look(wanted.name, deadlineMs);
  const read = after.ok ? judge(after.records, wanted, route) : null;
  if (read?.kind === "right") return { kind: "done", detail: textOfAll(wanted), ...drift };
  if (!wrote.ok) return { ...wrote.result, ...drift };
  // Ours is right, and somebody else's stands beside it.
  if (read?.kind === "refused") return { kind: "refused", detail: read.detail, ...drift };
  const why = after.ok ? `reads back as ${read?.stood}` : after.result.detail;
  return { kind: "unknown", detail: `written, but not read back: ${why}`, ...drift };
}

/** It is right where it was asked; whether everywhere, the receipt knows, where there is one. */
async function settle({ provider, wanted, options, deadlineMs }: Task): Promise<PublishResult> {
  const { receipt, beat } = options;
  const done = { kind: "done", detail: textOfAll(wanted) } as const;
  if (receipt === undefined || beat !== undefined || provider.settled === undefined) return done;
  const settled = await provider.settled(receipt, deadlineMs);
  if (!settled.ok) return { ...settled.result, receipt };
  return settled.everywhere ? done : pending(provider, receipt);
}

const pending = ({ name }: DnsProvider, receipt: string): PublishResult => ({
  kind: "unknown",
  detail: `${name} has taken it, but does not answer with it everywhere yet`,
  retryAfterMs: SETTLES_MS,
  receipt,
});

const textOfAll = ({ name, records, ttlS }: Wanted) =>
  `${name} ${records.map(textOf).join(", ")}, ttl ${ttlS}`;
