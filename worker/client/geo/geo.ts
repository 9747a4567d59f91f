/**
 * Geographic failover: one @upstash/redis over several databases that all take writes. The heaviest healthy one
 * is used; when it fails, the next; later back again.
 *
 * Promises: a command, pipeline or transaction goes to one database, and again to this or another one only when
 * it surely was not executed or twice is as good as once; every wait has an end; without commands nothing runs,
 * unless an interval was asked for.
 * Must never: keep data in step between the databases: they do that themselves.
 */

import * as core from "../../core/steering.ts";
import { OptionError, OutcomeUnknownError } from "../failure.ts";
import { backoffMs } from "../follow-stream.ts";
import { askNode, type Requester, RoutedRedis, type UpstashRequest } from "../sdk.ts";
import { pause, within } from "../wait.ts";
import { isEnough } from "./checking.ts";
import {
  InitialHealthCheckFailedError,
  NoValidDatabaseError,
  TemporaryUnavailableError,
  UnhealthyDatabaseError,
} from "./errors.ts";
import { fleetOf, type Node, nowMs } from "./fleet.ts";
import {
  checkDatabases,
  checkWeight,
  type Database,
  type GeoOptions,
  settingsOf,
} from "./options.ts";
import {
  commandsOf,
  maySendTwice,
  type Outcome,
  outcomeIn,
  outcomeOf,
  waitMsIn,
} from "./outcome.ts";
import { statusOf } from "./status.ts";
import { subscriptions } from "./subscriptions.ts";

export type Membership = {
  readonly databases: readonly Database[];
  /** First among those of equal weight; null: the order says it. */
  readonly preferred: string | null;
};

/** Who belongs to it, asked again now and then. */
export type Members = () => Promise<Membership>;

export type GeoControls = ReturnType<typeof geoOver>["controls"];

// biome-ignore lint/suspicious/noExplicitAny: the SDK's own type is of whatever the caller expects.
type Answer = any;
type Try = { readonly outcome: Outcome; readonly answer?: Answer; readonly thrown?: unknown };

/** On Workers nothing may run between requests. */
const isWorkers = () => {
  const { navigator } = globalThis as { readonly navigator?: { readonly userAgent?: string } };
  return navigator?.userAgent === "Cloudflare-Workers";
};

/** Without it a look dies with the request that began it, which is over long before three probes are. */
async function theirWaitUntil(): Promise<GeoOptions["waitUntil"]> {
  // No bundler for elsewhere needs to know this module.
  const name = "cloudflare:workers";
  const own = (await import(name).catch(() => null)) as Pick<GeoOptions, "waitUntil"> | null;
  return own?.waitUntil;
}

export function geoOver(first: readonly Database[], members: Members | null, options: GeoOptions) {
  const settings = settingsOf(options);
  const { timeoutMs, deadlineMs, maxRetries, healthCheckIntervalMs: intervalMs } = settings;
  const { backgroundHealthChecks: ticks = !isWorkers(), isFailure } = options;
  let { waitUntil } = options;
  const fleet = fleetOf(first, options, settings, () => streams.move());
  const streams = subscriptions(() => fleet.active()?.database ?? null, { timeoutMs, deadlineMs });
  let lookedAtMs = Number.NEGATIVE_INFINITY;
  let preferred: string | null = null;
  let stopTicking: (() => void) | null = null;
  let isClosed = false;

  function behind(work: Promise<unknown>): void {
    const quiet = work.catch(() => undefined);
    waitUntil?.(quiet);
  }

  /** Everyone is looked at, and the list of them is read anew. */
  async function round(): Promise<void> {
    lookedAtMs = nowMs();
    const isFirst = !fleet.isBegun;
    const news = members?.()
      .then(join)
      .catch((error: unknown) => {
        if (isFirst) throw error;
        const name = error instanceof Error ? error.name : "unknown";
        options.logger?.warn?.("the list of databases stays as it is", { error: name });
      });
    await Promise.all([fleet.lookAll(), news]);
  }

  async function join({ databases, preferred: named }: Membership): Promise<void> {
    for (const id of [...fleet.nodes.keys()])
      if (!databases.some((each) => each.id === id)) fleet.remove(id);
    await Promise.all(databases.map((each) => fleet.put(each)));
    if (named !== null && named !== preferred) fleet.prefer(named);
    preferred = named;
  }

  /** Before the first command: everyone was looked at, and enough of them are healthy. */
  async function begun(): Promise<void> {
    if (isClosed) throw new Error("Picket: this client is closed");
    if (fleet.isBegun) return;
    if (isWorkers()) waitUntil ??= await theirWaitUntil();
    const first = round();
    behind(first);
    await first;
    const all = fleet.state.members;
    const unhealthy = all.filter(({ healthy }) => healthy !== true).map(({ id }) => id);
    const policy = settings.initialHealthCheckPolicy;
    const healthy = all.length - unhealthy.length;
    if (!isEnough(policy, healthy, all.length))
      throw new InitialHealthCheckFailedError(policy, unhealthy, all.length);
    fleet.begin();
    if (ticks && stopTicking === null && !isClosed) stopTicking = every(intervalMs, round);
  }

  /** The database for a command; without an interval whoever comes first after it looks at all of them. */
  async function chosen(): Promise<Node> {
    const isDue = stopTicking === null && nowMs() - lookedAtMs >= intervalMs;
    const looking = isDue ? round() : null;
    if (looking !== null) behind(looking);
    let node = fleet.active();
    if (node === null && looking !== null) {
      // Nobody else would ever look.
      await within(settings.healthCheckTimeoutMs, fleet.firstHealthy).catch(() => undefined);
      node = fleet.active();
    }
    if (node !== null) return node;
    if (fleet.attempt() === "permanent") throw new NoValidDatabaseError();
    throw new TemporaryUnavailableError(Math.max(0, fleet.state.nextAttemptAtMs - nowMs()));
  }

  async function send(node: Node, asked: UpstashRequest, limitMs: number): Promise<Try> {
    let result: Try;
    try {
      const answer = await askNode(node.requester, { ...asked, timeoutMs: limitMs });
      result = { outcome: outcomeIn(answer), answer };
    } catch (thrown) {
      result = { outcome: outcomeOf(thrown), thrown };
    }
    const failed =
      isFailure === undefined || result.thrown === undefined
        ? result.outcome.blames
        : isFailure(result.thrown);
    fleet.record(node, failed);
    return result;
  }

  async function request(asked: UpstashRequest, idempotent?: boolean): Promise<Answer> {
    await begun();
    if (asked.isStreaming === true) {
      await chosen();
      return streams.open(asked);
    }
    const commands = commandsOf(asked);
    const waitMs = waitMsIn(asked, commands);
    const endsAtMs = nowMs() + deadlineMs + waitMs;
    /** Why an earlier try may have been executed. */
    let doubt: string | undefined;
    for (let tries = 0; ; tries += 1) {
      const node = await chosen();
      const limitMs = Math.max(1, Math.min(timeoutMs + waitMs, endsAtMs - nowMs()));
      const { outcome, answer, thrown } = await send(node, asked, limitMs);
      if (outcome.kind === "answer") {
        if (thrown !== undefined) throw thrown;
        return answer;
      }
      // It is not waited for an interval to learn whether that was chance.
      const looking = outcome.blames ? fleet.look(node) : null;
      if (looking !== null) behind(looking);
      const delayMs = backoffMs(tries, settings.retryDelayMs, settings.maxRetryDelayMs);
      const again = tries < maxRetries && nowMs() + delayMs < endsAtMs;
      const repeat = outcome.kind === "refused" || maySendTwice(commands, idempotent);
      if (outcome.kind === "unknown") doubt = outcome.reason;
      if (doubt !== undefined && !(again && repeat))
        throw new OutcomeUnknownError(node.database.id, doubt);
      if (!again) {
        if (thrown !== undefined) throw thrown;
        return answer;
      }
      await untilElsewhere(node, looking, delayMs);
    }
  }

  /** No longer than the look needs to say that this one is to be left. */
  async function untilElsewhere(node: Node, looking: Promise<unknown> | null, delayMs: number) {
    if (fleet.active() !== node) return;
    if (looking === null) return pause(delayMs);
    const passed = nowMs() + delayMs;
    await within(Math.max(1, delayMs), () => looking).catch(() => undefined);
    // Looked at and found well: only the pause keeps this from being a storm.
    if (fleet.active() === node) await pause(Math.max(0, passed - nowMs()));
  }

  const controls = {
    /** Resolves when the first health checks are done: else the first command waits for them. */
    ready: (): Promise<void> => begun(),
    /** The id of the database that commands go to; null: before the first command. */
    get active(): string | null {
      return fleet.state.active;
    },
    /** What a person or a metric wants to know; no token in it. */
    status: () => statusOf(fleet, settings),
    /**
     * Makes another one the active one, after a look at it. `pinMs`: nothing else moves it for so long, not even
     * its failure. @throws UnhealthyDatabaseError, OptionError when there is none of that id.
     */
    async setActive(id: string, { pinMs = 0 }: { readonly pinMs?: number } = {}): Promise<void> {
      await begun();
      const node = fleet.nodes.get(id);
      if (node !== undefined) await fleet.look(node);
      refuse(
        id,
        fleet.ask((state, atMs) => core.select(state, id, pinMs, atMs)),
      );
    },
    /** @throws UnhealthyDatabaseError when it is not healthy and `skipInitialHealthCheck` (true) is false. */
    async add(
      database: Database,
      { skipInitialHealthCheck = true }: { readonly skipInitialHealthCheck?: boolean } = {},
    ): Promise<void> {
      checkDatabases([database]);
      await begun();
      refuse(database.id, await fleet.add(database, !skipInitialHealthCheck));
    },
    /** The active one: switches first. @throws OptionError: it is the last one, or there is none of that id. */
    async remove(id: string): Promise<void> {
      await begun();
      refuse(id, fleet.remove(id));
    },
    /** At once to the one that is heaviest by now, if it is healthy. @throws OptionError */
    setWeight(id: string, weight: number): void {
      checkWeight("weight", weight);
      refuse(
        id,
        fleet.ask((state, atMs) => core.weigh(state, id, weight, atMs)),
      );
    },
    /** Ends the interval and every subscription; further commands are refused. */
    close(): void {
      isClosed = true;
      stopTicking?.();
      streams.close();
    },
  };

  const refuse = (id: string, kind: core.Answer["kind"]) => {
    if (kind === "done") return;
    if (kind === "unhealthy") throw new UnhealthyDatabaseError(id);
    const ids = [...fleet.nodes.keys()].join(", ");
    const allowed = { unknown: `one of ${ids}`, known: "a new one", last: "not the last one" };
    throw new OptionError("id", JSON.stringify(id), allowed[kind]);
  };

  /** The whole surface of the SDK; `idempotent`: whether all of it may be sent twice. */
  function surface(idempotent: boolean | undefined): RoutedRedis {
    const requester: Requester = { request: (asked) => request(asked, idempotent) };
    return new RoutedRedis(requester, options);
  }
  return { surface, controls };
}

/** Runs `work` again and again; the returned function ends it. Does not keep a process alive. */
function every(ms: number, work: () => Promise<unknown>): () => void {
  const timer: unknown = setInterval(() => void work().catch(() => undefined), ms);
  (timer as { unref?: () => void }).unref?.();
  return () => clearInterval(timer as number);
}
