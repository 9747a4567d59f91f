/**
 * The only reader of raw bindings, and what the objects behind them say to each other.
 *
 * Promises: configuration is parsed once per isolate; secrets are handed out one by one, by name.
 * Must never: put a secret into an error, a log or an answer.
 */
import { type ParsedConfig, parseConfig } from "./core/config.ts";
import type { GroupEvent } from "./core/events.ts";
import type { Grant, Keeping } from "./core/lease.ts";
import type { Looked, LookOrder } from "./core/looking.ts";
import type { Quorum } from "./core/quorum.ts";
import type { Route } from "./core/route.ts";
import type { OperatorRequest, Reply } from "./core/state.ts";
import type { GroupConfig, NodeFacts } from "./core/types.ts";
import type { GroupView } from "./core/view.ts";

/** What a Group answers: what was asked for, or in words why not. */
export type Answer<T> =
  | { readonly kind: "told"; readonly value: T }
  /** The group is no longer configured, or has no such node. */
  | { readonly kind: "not-found"; readonly detail: string }
  /** Its stored state cannot be read, or it did not come to an answer. */
  | { readonly kind: "unavailable"; readonly detail: string };

export type LoggedEvent = GroupEvent & { readonly seq: number };

/** Only the newest events are kept: a reader whose last number is below `oldest - 1` missed some. */
export type EventPage = {
  readonly events: readonly LoggedEvent[];
  /** Numbers of the first and the last event kept; null while there is none. */
  readonly oldest: number | null;
  readonly newest: number | null;
};

/** What Redis last said of itself, whenever that was; null since the Group's memory began. */
export type LastInfo = {
  readonly node: string;
  readonly vantage: string | null;
  readonly agoMs: number | null;
  readonly facts: NodeFacts | null;
};

/** Who knows a route already, and waits for the next one. */
export type RouteWait = {
  readonly after: Pick<Route, "epoch" | "rev">;
  readonly forMs: number;
};

/** What the door asks of a Group. */
export type GroupRpc = {
  wake(name: string): Promise<void>;
  view(name: string): Promise<Answer<GroupView>>;
  /** With `wait`: a newer one than that; what there is, if none comes in time. */
  route(name: string, wait?: RouteWait): Promise<Answer<Route>>;
  ckquorum(name: string): Promise<Answer<Quorum>>;
  lastInfo(name: string, node: string): Promise<Answer<LastInfo>>;
  /** Events with a higher number than `after`, oldest first, at most `limit`. */
  events(after: number, limit: number): Promise<EventPage>;
  ask(name: string, request: OperatorRequest): Promise<Answer<Reply>>;
  /** A relay asks for the lease of its node. */
  lease(name: string, asked: AskedLease): Promise<Answer<Grant>>;
};

/** A relay that holds a seal says so: then the Group looks at once. */
export type AskedLease = Keeping & { readonly sealed: boolean };

/** At most so many failovers in so long, over all groups. */
export type Brake = Extract<ParsedConfig, { ok: true }>["brake"];

/** The last good configuration, as the Fleet has it. */
export type Kept =
  | { readonly kind: "none" }
  | {
      readonly kind: "kept";
      readonly groups: readonly GroupConfig[];
      readonly brake: Brake;
      readonly atMs: number;
    }
  /** A later version wrote it. */
  | { readonly kind: "unreadable"; readonly problem: string };

/** A group that is to be woken, and where it lives. */
export type Sleeper = { readonly name: string; readonly location: string | null };

export type Permit = { readonly granted: boolean; readonly detail: string };

/** What everyone asks of the Fleet. */
export type FleetRpc = {
  /** Keeps a configuration that was found right, and its group names. */
  keep(groups: readonly GroupConfig[], brake: Brake): Promise<void>;
  lastGood(): Promise<Kept>;
  /** Every group that ever was: those no longer configured are woken too, to stop. */
  names(): Promise<readonly string[]>;
  /** Wakes these groups: one invocation may call only so many. */
  wakeMany(sleepers: readonly Sleeper[]): Promise<void>;
  /** May one more failover begin? Asked twice for one action it counts once. */
  permit(group: string, action: string, brake: Brake): Promise<Permit>;
};

/** Who looks for whom, and when it means to be asked again; null: it leaves that to cron and to its relays. */
export type LookAsked = {
  readonly order: LookOrder;
  readonly location: string | null;
  readonly againMs: number | null;
};

/** What a Group asks of a vantage. */
export type VantageRpc = {
  /** Ends within the order's time. */
  look(region: string, asked: LookAsked): Promise<Looked>;
};

export type RawEnv = {
  readonly ROUTES: KVNamespace;
  readonly GROUP: DurableObjectNamespace<GroupRpc & Rpc.DurableObjectBranded>;
  readonly FLEET: DurableObjectNamespace<FleetRpc & Rpc.DurableObjectBranded>;
  readonly VANTAGE: DurableObjectNamespace<VantageRpc & Rpc.DurableObjectBranded>;
  /** Another name for every vantage, which puts them up anew: what was put in the wrong place stays there. */
  readonly VANTAGE_SERIES?: string;
  /** Where a vantage asks in which data centre it runs; empty: it does not. */
  readonly TRACE_URL?: string;
  readonly READ_TOKEN?: string;
  readonly OPERATE_TOKEN?: string;
};

export const routesOf = (env: RawEnv): KVNamespace => env.ROUTES;

/** Bearer tokens of the API; null while the secret is not set, and then nobody gets in. */
export const tokensOf = (env: RawEnv) => ({
  read: env.READ_TOKEN || null,
  operate: env.OPERATE_TOKEN || null,
});

/** A Worker secret by the name that a `_secret` setting gives; empty when it is not set. */
export function secretOf(env: RawEnv, name: string): string {
  const value: unknown = Object.hasOwn(env, name) ? Reflect.get(env, name) : undefined;
  return typeof value === "string" ? value : "";
}

/** The Group's stub. The location counts at its first use only, so it goes with every use. */
export function groupOf(env: RawEnv, name: string, location: string | null) {
  const hint = location === null ? {} : { locationHint: location as DurableObjectLocationHint };
  return env.GROUP.get(env.GROUP.idFromName(name), hint);
}

/** Groups that share one vantage of a region: one object answers some hundred looks a second. */
const GROUPS_PER_VANTAGE = 100;

/** The stub of a region's vantage for a group of so many. Where groups are many, several share the work. */
export function vantageOf(env: RawEnv, region: string, group: string, groups: number) {
  const shards = Math.ceil(Math.max(1, groups) / GROUPS_PER_VANTAGE);
  let hash = 0;
  for (const char of group) hash = (hash * 31 + (char.codePointAt(0) ?? 0)) % 1_000_003;
  const name = [region, env.VANTAGE_SERIES ?? "", hash % shards]
    .filter((part) => part !== "")
    .join("-");
  const locationHint = region as DurableObjectLocationHint;
  return env.VANTAGE.get(env.VANTAGE.idFromName(name), { locationHint });
}

export const traceUrlOf = (env: RawEnv): string =>
  env.TRACE_URL ?? "https://www.cloudflare.com/cdn-cgi/trace";

export const fleetOf = (env: RawEnv) => env.FLEET.get(env.FLEET.idFromName("fleet"));

/** One of those that wake groups where they are many. */
export const wakerOf = (env: RawEnv, n: number) =>
  env.FLEET.get(env.FLEET.idFromName(`waker-${n}`));

/** The platform lets one invocation wait for six answers at once. */
const WOKEN_AT_ONCE = 6;
/** Who has not answered by then is waited for no longer before the next one is woken. */
const TURN_MS = 1000;

/** Wakes groups, and ends when all have answered, or after so long. Never rejects: one that fails keeps none asleep. */
export async function wakeEach(
  env: RawEnv,
  sleepers: readonly Sleeper[],
  withinMs: number,
): Promise<void> {
  const untilMs = Date.now() + withinMs;
  const waiting = sleepers.values();
  const waking: Promise<void>[] = [];
  const takeTurns = async () => {
    for (const { name, location } of waiting) {
      const answer = inTime(groupOf(env, name, location).wake(name), untilMs - Date.now());
      const woken = answer.catch((error) =>
        console.error("a group did not wake", name, String(error)),
      );
      waking.push(woken);
      await inTime(woken, TURN_MS).catch(() => undefined);
    }
  };
  await Promise.all(Array.from({ length: WOKEN_AT_ONCE }, takeTurns));
  await Promise.all(waking);
}

const parsed = new WeakMap<RawEnv, ParsedConfig>();

/** The configuration as it was deployed: right, or with every complaint. */
export function deployedConfig(env: RawEnv): ParsedConfig {
  const known = parsed.get(env);
  if (known !== undefined) return known;
  const fresh = parseConfig({ ...env }, (name) => secretOf(env, name) !== "");
  parsed.set(env, fresh);
  return fresh;
}

export type InForce = {
  /** `none`: nothing runs; `unheard`: what should run is not known. Both say why. */
  readonly source: "deployed" | "last-good" | "none" | "unheard";
  readonly groups: readonly GroupConfig[];
  readonly brake: Brake | null;
  /** Since when the last good one is kept; null for the deployed one. */
  readonly keptAtMs: number | null;
  readonly problem: string | null;
};

const keptBy = new WeakSet<RawEnv>();

/**
 * The configuration that runs: the deployed one when it is right, else the last good one. Never rejects.
 * @param tells the Fleet is told of a right one. Groups leave that to the door, which cron opens every minute: after a
 * deploy hundreds of them would tell it the same, whole.
 */
export async function configInForce(env: RawEnv, tells = true): Promise<InForce> {
  const deployed = deployedConfig(env);
  if (!deployed.ok) return inForceOf(await lastGood(env));
  if (tells && !keptBy.has(env)) {
    keptBy.add(env);
    // It is right whether the Fleet hears of it or not; cron tells it again within a minute.
    void fleetOf(env)
      .keep(deployed.groups, deployed.brake)
      .catch(() => keptBy.delete(env));
  }
  const { groups, brake } = deployed;
  return { source: "deployed", groups, brake, keptAtMs: null, problem: null };
}

function inForceOf(kept: Kept | null): InForce {
  if (kept?.kind === "kept") {
    const { groups, brake, atMs } = kept;
    return { source: "last-good", groups, brake, keptAtMs: atMs, problem: null };
  }
  const nothing = { groups: [], brake: null, keptAtMs: null };
  if (kept === null) {
    const problem =
      "the deployed configuration is wrong, and the Fleet, which has the last good one, is silent";
    return { source: "unheard", ...nothing, problem };
  }
  const never = "no configuration was ever right: nothing runs";
  return { source: "none", ...nothing, problem: kept.kind === "none" ? never : kept.problem };
}

const MEMO_MS = 10_000;
const FLEET_MS = 2000;
const memos = new WeakMap<RawEnv, { readonly kept: Kept; readonly atMs: number }>();

/** Asked for in every round while the deployed one is wrong, so remembered; null: never heard of it. */
async function lastGood(env: RawEnv): Promise<Kept | null> {
  const memo = memos.get(env);
  if (memo !== undefined && Math.abs(Date.now() - memo.atMs) < MEMO_MS) return memo.kept;
  try {
    const kept = await inTime<Kept>(fleetOf(env).lastGood(), FLEET_MS);
    memos.set(env, { kept, atMs: Date.now() });
    return kept;
  } catch {
    // A Fleet that is silent is not waited for in every round.
    if (memo !== undefined) memos.set(env, { kept: memo.kept, atMs: Date.now() });
    return memo?.kept ?? null;
  }
}

/** What another object answers, or an error after so long: nobody is waited for without end. */
export async function inTime<T>(answer: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
