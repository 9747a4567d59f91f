/**
 * The nodes of a route, as this client speaks to them: one requester each, and a breaker that outlives the route.
 *
 * Promises: a node that a new route still has keeps its breaker and its turn; the sync token of what was written
 * goes to whichever node is asked next, and ends with the epoch.
 * Must never: ask for a route.
 */
import type { Route } from "../core/route.ts";
import { type Breaker, breaker } from "./breaker.ts";
import { type Settings, type Token, tokenOf } from "./options.ts";
import { type NodeRequester, nodeRequester } from "./sdk.ts";

export type Node = {
  readonly id: string;
  readonly url: string;
  readonly token: string;
  readonly requester: NodeRequester;
  readonly breaker: Breaker;
  readonly weight: number;
  /** Its part of the turns that it has not had yet. */
  share: number;
};

export type Targets = {
  readonly route: Route;
  readonly primary: Node | null;
  /** Who takes reads; empty: the primary. */
  readonly readers: readonly Node[];
};

export type Nodes = {
  at(route: Route): Targets;
  /** Of the last answer of a primary of this epoch. */
  syncToken: string;
};

export function nodesOf(settings: Settings, token: Token): Nodes {
  const { readFrom, balance } = settings;
  const secretOf = tokenOf(token, "token");
  let targets: Targets | null = null;
  let all: readonly Node[] = [];

  function node(id: string, url: string, weight: number): Node {
    const old = all.find((each) => each.id === id && each.url === url);
    if (old !== undefined) return old.weight === weight ? old : { ...old, weight, share: 0 };
    const secret = secretOf(id);
    return {
      id,
      url,
      token: secret,
      weight,
      requester: nodeRequester({ ...settings, url, token: secret }),
      breaker: breaker(settings.breaker),
      // Many isolates that read little must not all begin with the same node.
      share: Math.random() * weight,
    };
  }

  function build(route: Route): Targets {
    const { primary: named } = route;
    const primary = isUsable(named?.rest) ? node(named.id, named.rest, 1) : null;
    const readers: Node[] = [];
    for (const { id, rest, readWeight } of readFrom === "primary" ? [] : route.replicas) {
      const weight = balance === "weight" ? readWeight : 1;
      if (!isUsable(rest) || readWeight <= 0) continue;
      try {
        readers.push(node(id, rest, weight));
      } catch (error) {
        // No token for a replica that is new: the others, and writes, go on.
        settings.logger?.warn?.("replica spared", { node: id, error });
      }
    }
    if (readFrom === "any" && readers.length > 0 && primary !== null) readers.push(primary);
    all = primary === null ? readers : [primary, ...readers];
    return { route, primary, readers };
  }

  const self: Nodes = {
    at(route) {
      if (targets?.route === route) return targets;
      if (targets?.route.epoch !== route.epoch) self.syncToken = "";
      targets = build(route);
      return targets;
    },
    syncToken: "",
  };
  return self;
}

/** What the SDK takes for an address; with another one a node cannot be asked. */
const isUsable = (rest: string | null | undefined): rest is string =>
  /^https?:\/\/[^\s#$./?].\S*$/.test(rest ?? "");

/**
 * Whose turn it is among those that take reads, evenly by weight at any moment (smooth weighted round robin);
 * null: nobody's. A node whose breaker is open is passed over, but never the primary.
 */
export function turn(targets: Targets, nowMs: number, tried: readonly Node[]): Node | null {
  let best: Node | null = null;
  let total = 0;
  for (const node of targets.readers) {
    if (tried.includes(node)) continue;
    if (node !== targets.primary && node.breaker.isOpen(nowMs)) continue;
    total += node.weight;
    node.share += node.weight;
    if (best === null || node.share > best.share) best = node;
  }
  if (best !== null) best.share -= total;
  return best;
}
