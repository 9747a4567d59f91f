/**
 * The library for apps: an @upstash/redis that is always the primary's.
 *
 * Promises: a command is sent again only when it surely was not executed, or when the app says that
 * twice is as good as once; everything has a deadline; one client may serve all requests.
 * Must never: log, guess a primary, or import anything of the Worker but its route.
 */
import { Redis } from "@upstash/redis/cloudflare";
import type { Route } from "../core/route.ts";
import { failureOf, NoRouteError, OutcomeUnknownError, type Watch } from "./failure.ts";
import { type Authority, pause, type RouteStore, readRoutes } from "./reader.ts";

export type { Authority, Redis, Route, RouteStore };
export { NoRouteError, OutcomeUnknownError };

export type ClientOptions = {
  /** Data token of the relays: one for all, or by node id. */
  readonly token: string | ((nodeId: string) => string);
  /** Who is asked when a command fails. Without it only KV is, which may be a minute late. */
  readonly authority?: Authority;
  /** How long a route from KV is believed; 1000. */
  readonly memoMs?: number;
  /** Longest wait for the answer to one request; 3000. */
  readonly timeoutMs?: number;
  /** After it, `run` begins no further try; no request outlives it. 10000. */
  readonly deadlineMs?: number;
  /** Further tries of one `run`; 3. */
  readonly maxRetries?: number;
  /** Pause before a further try at the same primary, doubled each time; 200. */
  readonly retryDelayMs?: number;
  /** Called when the primary became another node. Must not throw. */
  readonly onSwitch?: (from: Route, to: Route) => void;
};

export type Primary = {
  /** Never retries by itself; automatic pipelining is off. */
  readonly redis: Redis;
  readonly node: string;
  readonly epoch: number;
};

export type RunOptions = {
  /** Executed twice is as good as once (GET, SET without NX, …): repeated also when the outcome is unknown. */
  readonly idempotent?: boolean;
};

export type Client = {
  /**
   * The primary as far as known. Ask for it for every use: do not keep it.
   * @throws NoRouteError when no route was ever had, or it has no primary with a REST address.
   */
  primary(): Promise<Primary>;
  /**
   * Runs `fn` on the primary; learns the route anew and repeats it when the primary was not one.
   * A `fn` of several requests is repeated as a whole, and only when idempotent.
   * @throws OutcomeUnknownError when it may or may not have been executed, whole or in part.
   * @throws NoRouteError as `primary` does.
   * @throws what `fn` throws: its own errors, Redis's (WRONGTYPE, …), and a refusal (READONLY, …) that
   * lasted over all tries. Messages of UpstashError end with the command and its arguments.
   */
  run<T>(fn: (redis: Redis) => Promise<T>, options?: RunOptions): Promise<T>;
};

/** Follows the primary of `group`. `kv`: the namespace with Picket's routing table. */
export function connect(kv: RouteStore, group: string, options: ClientOptions): Client {
  const { token, memoMs = 1000, timeoutMs = 3000, deadlineMs = 10_000 } = options;
  const { maxRetries = 3, retryDelayMs = 200 } = options;
  const route = readRoutes(kv, group, { ...options, memoMs });
  /** Kept for its sync token: so that a client reads its own writes. */
  let last: { readonly at: string; readonly redis: Redis } | null = null;

  function open(url: string, node: string, watch: Watch, endsAtMs = Number.POSITIVE_INFINITY) {
    const limitMs = () => Math.max(1, Math.min(timeoutMs, endsAtMs - Date.now()));
    return new WatchedRedis(url, typeof token === "string" ? token : token(node), watch, limitMs);
  }

  async function primary(): Promise<Primary & { readonly url: string }> {
    let known = await route.current();
    if (!known?.primary?.rest) known = await route.ask();
    if (!known?.primary?.rest) throw new NoRouteError(group);
    const { id: node, rest: url } = known.primary;
    const at = `${node} ${url}`;
    if (last?.at !== at) last = { at, redis: open(url, node, unwatched()) };
    return { redis: last.redis, node, epoch: known.epoch, url };
  }

  async function run<T>(fn: (redis: Redis) => Promise<T>, { idempotent = false }: RunOptions = {}) {
    const endsAtMs = Date.now() + deadlineMs;
    for (let tries = 0; ; tries += 1) {
      const { redis: shared, node, url } = await primary();
      const watch = unwatched();
      const redis = open(url, node, watch, endsAtMs);
      redis.readYourWritesSyncToken = shared.readYourWritesSyncToken;
      try {
        return await fn(redis);
      } catch (error) {
        const failure = failureOf(error, watch);
        if (failure.kind === "answer") throw error;
        // Another call may have learned of the new primary while this one failed.
        const learned = route.known()?.primary?.id !== node;
        const moved = learned || (await route.ask())?.primary?.id !== node;
        const delayMs = moved ? 0 : retryDelayMs * 2 ** tries;
        const again = tries < maxRetries && Date.now() + delayMs < endsAtMs;
        if (failure.kind === "unknown" && !(idempotent && again)) {
          throw new OutcomeUnknownError(node, failure.reason);
        }
        // A transaction that the same primary would refuse again is the app's own mistake.
        if (!again || (failure.reason === "EXECABORT" && !moved)) throw error;
        await untilMoved(node, delayMs);
      } finally {
        shared.readYourWritesSyncToken = redis.readYourWritesSyncToken;
      }
    }
  }

  /** Waits for a primary that takes the command, and no longer than until there is another one. */
  async function untilMoved(node: string, delayMs: number): Promise<void> {
    const endsAtMs = Date.now() + delayMs;
    while (Date.now() < endsAtMs) {
      await pause(Math.min(ASK_AGAIN_MS, endsAtMs - Date.now()));
      if ((await route.ask())?.primary?.id !== node) return;
    }
  }

  return { primary, run };
}

/** While a call waits: the authority is asked this often, once for all calls of the isolate. */
const ASK_AGAIN_MS = 150;

const unwatched = (): Watch => ({ requests: 0, lost: null });

/** The SDK's client, which tells what went over the wire. */
class WatchedRedis extends Redis {
  constructor(url: string, token: string, watch: Watch, limitMs: () => number) {
    super({
      url,
      token,
      // The SDK would repeat any command whose connection broke, INCR too.
      retry: { retries: 0 },
      enableAutoPipelining: false,
      enableTelemetry: false,
      // A function: with a plain signal an aborted command resolves, as if it had an answer.
      signal: () => AbortSignal.timeout(limitMs()),
    });
    const { client } = this;
    const request = client.request.bind(client);
    client.request = async (asked) => {
      watch.requests += 1;
      try {
        return await request(asked);
      } catch (error) {
        watch.lost = error;
        throw error;
      }
    };
  }
}
