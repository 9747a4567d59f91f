/**
 * The databases, and what is known of them: looked at, counted, switched between.
 *
 * Promises: every change of the state goes through `keep`, which tells of a switch once; one look at a database
 * at a time, each with an end; a result that comes late changes nothing.
 * Must never: send a command of the app.
 */

import * as core from "../../core/steering.ts";
import { type Breaker, breaker } from "../breaker.ts";
import { askNode, type NodeRequester, nodeRequester } from "../sdk.ts";
import { within } from "../wait.ts";
import { isHealthy, pings } from "./checking.ts";
import type { Database, GeoOptions, Settings } from "./options.ts";

export type Node = {
  readonly database: Database;
  readonly requester: NodeRequester;
  readonly breaker: Breaker;
  flight: { readonly beganAtMs: number; readonly done: Promise<boolean> } | null;
  commands: number;
  failures: number;
  checks: number;
  failedChecks: number;
};

export type Fleet = ReturnType<typeof fleetOf>;

/** What a look that was begun may take longer than its time: the machine was busy. */
const SLACK_MS = 250;

/** What follows from the clock alone, such as going back, may be so late; what was seen is decided on at once. */
const GLANCE_MS = 10;

export const nowMs = () => performance.now();

/** @param moved told after each switch. */
export function fleetOf(
  databases: readonly Database[],
  options: GeoOptions,
  settings: Settings,
  moved: () => void,
) {
  const { healthChecks = [pings], onSwitch, logger } = options;
  const nodes = new Map(databases.map((each) => [each.id, nodeOf(each)]));
  const switches: Record<core.Reason, number> = { automatic: 0, manual: 0, failback: 0, route: 0 };
  let state = core.newState(
    databases.map(({ id, weight = 1 }) => core.newMember(id, weight)),
    nowMs(),
  );

  function nodeOf(database: Database): Node {
    const { url, token } = database;
    return {
      database,
      requester: nodeRequester({ url, token, timeoutMs: settings.timeoutMs }),
      breaker: breaker(settings),
      flight: null,
      ...{ commands: 0, failures: 0, checks: 0, failedChecks: 0 },
    };
  }

  function keep({ state: next, change }: core.Step): void {
    state = next;
    if (change === null) return;
    const { from, to, reason } = change;
    switches[reason] += 1;
    logger?.info?.("another database is active", { from, to, reason });
    moved();
    try {
      onSwitch?.(from, to, reason);
    } catch (error) {
      logger?.warn?.("onSwitch threw", { error: error instanceof Error ? error.name : "unknown" });
    }
  }

  /** Before everyone was looked at, the first to answer would be taken for the heaviest. */
  let isBegun = false;
  const settle = () => {
    if (isBegun) keep(core.settle(state, settings, nowMs()));
  };

  /** What was last decided: a command costs no more than a glance at it. */
  let latest: { state: core.GeoState | null; atMs: number; node: Node | null } = {
    ...{ state: null, atMs: 0, node: null },
  };

  async function check(node: Node): Promise<boolean> {
    const { database, requester } = node;
    const ask = async (...command: readonly string[]) => {
      const timeoutMs = settings.healthCheckTimeoutMs;
      return (await askNode(requester, { body: command, timeoutMs })).result;
    };
    const healthy = await isHealthy(healthChecks, { database, ask }, settings);
    node.checks += 1;
    if (!healthy) node.failedChecks += 1;
    return healthy;
  }

  function fly(node: Node): Promise<boolean> {
    const beganAtMs = nowMs();
    const done = check(node).then((healthy) => {
      const { id } = node.database;
      if (node.flight?.beganAtMs === beganAtMs) node.flight = null;
      const known = core.memberOf(state, id);
      if (nodes.get(id) !== node || known === undefined) return healthy;
      if (known.healthy !== healthy)
        logger?.[healthy ? "info" : "warn"]?.("a database is seen otherwise", { id, healthy });
      state = core.saw(state, id, healthy, beganAtMs, nowMs());
      settle();
      return healthy;
    });
    node.flight = { beganAtMs, done };
    return done;
  }

  /**
   * Looks at a database, or waits for the look that is under way. Never rejects.
   * On Workers a look dies unsettled with the request that began it: then another one is begun.
   */
  async function look(node: Node): Promise<boolean> {
    const boundMs = settings.healthCheckTimeoutMs + SLACK_MS;
    const { flight } = node;
    const leftMs = flight === null ? 0 : flight.beganAtMs + boundMs - nowMs();
    if (flight !== null && leftMs > 0) {
      const result = await within(leftMs, () => flight.done).catch(() => null);
      if (result !== null) return result;
    }
    return fly(node);
  }

  return {
    nodes,
    switches,
    look,
    get isBegun() {
      return isBegun;
    },
    begin(): void {
      isBegun = true;
      settle();
    },
    get state() {
      return state;
    },
    lookAll: () => Promise.all([...nodes.values()].map(look)),
    /** Until one look says that somebody is well, or all are over. */
    async firstHealthy(): Promise<void> {
      const looks = [...nodes.values()].map(async (node) => {
        if (!(await look(node))) throw new Error("not this one");
      });
      await Promise.any(looks).catch(() => undefined);
    },
    /** The one that commands go to, by now. */
    active(): Node | null {
      const atMs = nowMs();
      if (latest.state === state && atMs - latest.atMs < GLANCE_MS) return latest.node;
      settle();
      latest = { state, atMs, node: nodes.get(core.usable(state) ?? "") ?? null };
      return latest.node;
    },
    /** What became of a command, as far as it concerns the database. */
    record(node: Node, failed: boolean): void {
      const atMs = nowMs();
      node.commands += 1;
      if (failed) node.failures += 1;
      if (!node.breaker.record(!failed, atMs)) return;
      // Health is one thing, whoever saw it; the next look may find it well again.
      node.breaker.reset();
      logger?.warn?.("too many commands failed at a database", { id: node.database.id });
      state = core.saw(state, node.database.id, false, atMs, atMs);
      settle();
    },
    attempt(): "temporary" | "permanent" {
      const next = core.attempt(state, settings, nowMs());
      state = next.state;
      return next.kind;
    },
    /** Answers, and keeps it if it was done. */
    ask(question: (state: core.GeoState, nowMs: number) => core.Answer): core.Answer["kind"] {
      const answer = question(state, nowMs());
      if (answer.kind === "done") keep(answer);
      return answer.kind;
    },
    /** Known at once, used once it was seen healthy; `mustBeHealthy`: else it is not kept. */
    async add(database: Database, mustBeHealthy: boolean): Promise<core.Answer["kind"]> {
      const { id, weight = 1 } = database;
      const kind = this.ask((now, atMs) => core.add(now, core.newMember(id, weight), atMs));
      if (kind !== "done") return kind;
      const node = nodeOf(database);
      nodes.set(id, node);
      const healthy = await look(node);
      if (nodes.get(id) !== node) return "unknown";
      if (!healthy && mustBeHealthy) {
        this.remove(id);
        return "unhealthy";
      }
      return this.ask((now, atMs) =>
        core.weigh(now, id, core.memberOf(now, id)?.weight ?? weight, atMs),
      );
    },
    /** One that the route names: new, at another address, or as it was. It is looked at if nobody did. */
    async put(database: Database): Promise<void> {
      const { id, url, token, weight = 1 } = database;
      const old = nodes.get(id);
      if (old === undefined)
        this.ask((now, atMs) => core.add(now, core.newMember(id, weight), atMs));
      const isSame = old?.database.url === url && old.database.token === token;
      const node = isSame ? old : nodeOf(database);
      nodes.set(id, node);
      if (!isSame) latest.state = null;
      if (old !== undefined && !isSame && state.active === id) moved();
      if (!isSame || core.memberOf(state, id)?.healthy === null) await look(node);
    },
    remove(id: string): core.Answer["kind"] {
      const kind = this.ask((now, atMs) => core.remove(now, id, settings, atMs));
      if (kind === "done") nodes.delete(id);
      return kind;
    },
    prefer(id: string): void {
      keep(core.prefer(state, id, settings, nowMs()));
    },
  };
}
