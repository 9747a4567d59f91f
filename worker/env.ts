/**
 * The only reader of raw bindings: everyone else gets what is here.
 *
 * Promises: configuration is parsed once per isolate; secrets are handed out one by one, by name.
 * Must never: put a secret into an error, a log or an answer.
 */
import { type ParsedConfig, parseConfig } from "./core/config.ts";
import type { GroupEvent } from "./core/events.ts";
import type { Route } from "./core/route.ts";
import type { OperatorRequest, Reply } from "./core/state.ts";
import type { GroupConfig } from "./core/types.ts";
import type { GroupView } from "./core/view.ts";

export type LoggedEvent = GroupEvent & { readonly seq: number };

/** What the door asks of a Group. `null`: the group is not configured. */
export type GroupRpc = {
  wake(name: string): Promise<void>;
  view(name: string): Promise<GroupView | null>;
  route(name: string): Promise<Route | null>;
  /** Events with a higher number than `after`, oldest first, at most `limit`. */
  events(after: number, limit: number): Promise<readonly LoggedEvent[]>;
  ask(name: string, request: OperatorRequest): Promise<Reply | null>;
};

export type Kept = { readonly groups: readonly GroupConfig[]; readonly atMs: number };

/** What everyone asks of the Fleet. */
export type FleetRpc = {
  /** Keeps a configuration that was found right, and its group names. */
  keep(groups: readonly GroupConfig[]): Promise<void>;
  lastGood(): Promise<Kept | null>;
  /** Every group that ever was: those no longer configured are woken too, to stop. */
  names(): Promise<readonly string[]>;
};

export type RawEnv = {
  readonly ROUTES: KVNamespace;
  readonly GROUP: DurableObjectNamespace<GroupRpc & Rpc.DurableObjectBranded>;
  readonly FLEET: DurableObjectNamespace<FleetRpc & Rpc.DurableObjectBranded>;
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

export const fleetOf = (env: RawEnv) => env.FLEET.get(env.FLEET.idFromName("fleet"));

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
  readonly source: "deployed" | "last-good" | "none";
  readonly groups: readonly GroupConfig[];
  /** Since when the last good one is kept; null for the deployed one. */
  readonly keptAtMs: number | null;
};

const keptBy = new WeakSet<RawEnv>();

/** The configuration that runs: the deployed one when it is right, else the last good one. */
export async function configInForce(env: RawEnv): Promise<InForce> {
  const deployed = deployedConfig(env);
  if (deployed.ok) {
    if (!keptBy.has(env)) {
      keptBy.add(env);
      // It is right whether the Fleet hears of it or not; cron tells it again within a minute.
      void fleetOf(env)
        .keep(deployed.groups)
        .catch(() => keptBy.delete(env));
    }
    return { source: "deployed", groups: deployed.groups, keptAtMs: null };
  }
  const kept = await fleetOf(env).lastGood();
  return kept === null
    ? { source: "none", groups: [], keptAtMs: null }
    : { source: "last-good", groups: kept.groups, keptAtMs: kept.atMs };
}
