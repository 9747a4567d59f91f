/**
 * The library for apps: the whole of @upstash/redis, over the primary of the moment and its replicas.
 *
 * Promises: a command is sent again only when it surely was not executed, or when twice is as good as once;
 * everything has a deadline; one client may serve all requests of an isolate.
 * Must never: guess a primary, tell a key, a value or a token to the logger, or import anything of the Worker but
 * its route.
 */
import type { Redis } from "@upstash/redis/cloudflare";
import type { Route } from "../core/route.ts";
import { NoRouteError } from "./failure.ts";
import { namespaceOf } from "./namespace.ts";
import { type Node, type Nodes, nodesOf } from "./nodes.ts";
import { type ClientOptions, checkIdempotent, settled, type Token, tokenOf } from "./options.ts";
import { type RouteStore, readRoutes } from "./reader.ts";
import { routed } from "./routed.ts";
import { RoutedRedis } from "./sdk.ts";
import { streams } from "./stream.ts";

export {
  NoRouteError,
  OptionError,
  OutcomeUnknownError,
  UnsupportedCommandError,
} from "./failure.ts";
export {
  type Followed,
  type Follower,
  type FollowOptions,
  type FollowProblem,
  type FollowSource,
  follow,
} from "./follow.ts";
export * from "./geo/index.ts";
export type { ClientOptions, Logger, Token } from "./options.ts";
export type { Authority, RouteProblem, RouteStore, SwitchReason } from "./reader.ts";
export type { Redis, Route };

export type CallOptions = {
  /** True: sent again also when the outcome is unknown; false: never then; undefined: when that is safe. */
  readonly idempotent?: boolean | undefined;
  /** In place of the client's own. */
  readonly token?: Token;
};

export type Client = Redis & {
  /** The same client with other options for what is called on it: `redis.with({ idempotent: true }).incr("k")`. */
  with(options: CallOptions): Client;
  /**
   * The route as far as known: who is primary, and since which epoch.
   * @throws NoRouteError when none was ever had.
   */
  route(): Promise<Route>;
};

/**
 * Follows the primary of `group`. `kv`: the namespace with Picket's routing table. Returns at once: the first
 * command reads the route.
 *
 * Every command may throw NoRouteError, OutcomeUnknownError (it may or may not have been executed), under a
 * namespace UnsupportedCommandError, and what the SDK throws: Redis's own errors (WRONGTYPE, …), and a refusal
 * (READONLY, …) that lasted over all tries.
 * @throws OptionError
 */
export function connect(kv: RouteStore, group: string, options: ClientOptions): Client {
  const settings = settled(kv, group, options);
  const reader = readRoutes(kv, group, settings);
  const namespace = settings.namespace === undefined ? null : namespaceOf(settings.namespace);

  function knownTo(nodes: Nodes): Node | null {
    const route = reader.known();
    return route === null ? null : nodes.at(route).primary;
  }

  async function primaryOf(nodes: Nodes): Promise<Node> {
    await reader.current();
    const node = knownTo(nodes);
    if (node === null) throw new NoRouteError(group, reader.problems());
    return node;
  }

  function view(nodes: Nodes, idempotent: boolean | undefined): Client {
    const stream = streams({
      ...settings,
      primary: () => primaryOf(nodes),
      known: () => knownTo(nodes),
      learn: reader.ask,
    });
    const redis = new RoutedRedis(
      routed({ group, reader, nodes, settings, namespace, idempotent, stream }),
      options,
    );
    /** A view is the whole surface of the SDK, so those that differ in a word only are kept. */
    const views = new Map<boolean | undefined, Client>();
    return Object.assign(redis, {
      with(call: CallOptions): Client {
        const { token } = call;
        const wanted = "idempotent" in call ? call.idempotent : idempotent;
        checkIdempotent(wanted);
        if (token !== undefined) {
          tokenOf(token, "token");
          return view(nodesOf(settings, token), wanted);
        }
        const known = views.get(wanted) ?? view(nodes, wanted);
        views.set(wanted, known);
        return known;
      },
      async route(): Promise<Route> {
        const route = (await reader.current()) ?? (await reader.ask());
        if (route === null) throw new NoRouteError(group, reader.problems());
        return route;
      },
    });
  }
  return view(nodesOf(settings, settings.token), settings.idempotent);
}
