/**
 * What KV and the names in DNS hold, and what becomes of an order to write there.
 *
 * Rules: as worker/publish does it: KV is written without a look, a record only when it differs; a slow look
 * writes nothing, or sets right; a provider may take a change first, and be everywhere with it later. Beside the
 * Group somebody may change it by hand.
 */
import { readersOf } from "../../../worker/core/publishing.ts";
import { isNewer, type Route } from "../../../worker/core/route.ts";
import type {
  GroupConfig,
  Outcome,
  OutcomeKind,
  PublishAction,
} from "../../../worker/core/types.ts";
import { after } from "../queue.ts";
import { groupNow } from "./clock.ts";
import { tell, type World } from "./types.ts";

export type Publisher = {
  readonly name: string;
  /** What stands there; null: nothing. */
  route: Route | null;
  /** What the Group wrote there last. */
  own: Route | null;
  /** By hand, and not set right yet; or until when it was. */
  byHand: boolean;
  rightAgainMs: number | null;
  fails: boolean;
  silent: boolean;
  delayMs: number;
  /** Whoever it says no to is asked not to come back for so long. */
  asksMs: number;
  /** It takes a change first, and is everywhere with it so much later; 0: at once. */
  slowMs: number;
  /** When each change is everywhere, by its receipt. */
  readonly changes: Map<string, number>;
};

export const sound = { fails: false, silent: false, delayMs: 10, asksMs: 0, slowMs: 0 } as const;

export const newPublishers = (): Map<string, Publisher> =>
  new Map(
    ["kv", "dns", "dns-replicas"].map((name) => [
      name,
      {
        ...sound,
        name,
        route: null,
        own: null,
        byHand: false,
        rightAgainMs: null,
        changes: new Map(),
      },
    ]),
  );

/** Those that the configuration has, whatever the core makes of it. */
export function publishersIn({ publishers }: World, config: GroupConfig): readonly Publisher[] {
  const names = ["kv"];
  if (config.dns !== null && config.hostname !== null) names.push("dns");
  if (config.dns !== null && config.replicaHostname !== null) names.push("dns-replicas");
  return names.flatMap((name) => publishers.get(name) ?? []);
}

/** What stands there instead of the route, in a few words; null: the route. */
export function differs({ name }: Publisher, held: Route | null, route: Route): string | null {
  if (held === null) return "nothing";
  if (name === "kv") {
    const said = ({ epoch, rev, state, primary, replicas }: Route) =>
      JSON.stringify([epoch, rev, state, primary, replicas]);
    return said(held) === said(route) ? null : `epoch ${held.epoch}, rev ${held.rev}`;
  }
  const hosts = (each: Route) =>
    (name === "dns" ? [each.primary?.host ?? "nobody"] : readersOf(each)).join(", ");
  return hosts(held) === hosts(route) ? null : hosts(held);
}

/** Somebody writes there, or (`own`) puts back what the Group had written. */
export function changeByHand(world: World, publisher: Publisher, route: Route | null): void {
  publisher.route = route;
  const wrong = publisher.own !== null && differs(publisher, route, publisher.own) !== null;
  if (publisher.byHand && !wrong) publisher.rightAgainMs = world.queue.nowMs;
  publisher.byHand = wrong;
  tell(world, () => `by hand: ${publisher.name} holds ${textOf(route)}`);
}

const textOf = (route: Route | null) =>
  route === null
    ? "nothing"
    : `${route.epoch}.${route.rev} ${route.state} ${route.primary?.id ?? "nobody"} ${route.primary?.host ?? ""}`;

/** What an outcome says beside its kind. */
export type More = Pick<Outcome, "drift" | "receipt" | "retryAtMs">;
export type Say = (kind: OutcomeKind, detail: string, more?: More) => void;

export function publish(world: World, action: PublishAction, say: Say): void {
  const publisher = world.publishers.get(action.to);
  if (publisher === undefined) throw new Error(`nobody is called ${action.to}`);
  if (publisher.silent) return;
  if (publisher.fails)
    return void after(world.queue, 40, () => {
      const { asksMs } = publisher;
      // That it could not be asked about ends no change.
      const receipt = action.receipt === null ? {} : { receipt: action.receipt };
      const wait = asksMs === 0 ? {} : { retryAtMs: groupNow(world) + asksMs };
      say("failed", "500", { ...receipt, ...wait });
    });
  after(world.queue, 10, () => {
    const [kind, detail, more] = done(world, publisher, action);
    after(world.queue, publisher.delayMs, () => say(kind, detail, more));
  });
}

function done(
  world: World,
  publisher: Publisher,
  action: PublishAction,
): [OutcomeKind, string, More] {
  const { route, beat, receipt } = action;
  const stood = differs(publisher, publisher.route, route);
  if (beat !== null && stood === null) return ["done", "as published", {}];
  if (beat === "report") return ["done", "left as it is", { drift: stood ?? "" }];
  const isRecord = publisher.name !== "kv";
  if (isRecord && stood === null) {
    const everywhereMs = receipt === null ? 0 : (publisher.changes.get(receipt) ?? 0);
    return everywhereMs > world.queue.nowMs ? taken(world, receipt ?? "") : ["done", "right", {}];
  }
  write(world, publisher, route);
  if (beat !== null) return ["done", "set right", { drift: stood ?? "" }];
  if (!isRecord || publisher.slowMs === 0) return ["done", "written", {}];
  const change = `change-${publisher.changes.size + 1}`;
  publisher.changes.set(change, world.queue.nowMs + publisher.slowMs);
  return taken(world, change);
}

/** Not everywhere yet: to be asked for again. */
const taken = (world: World, receipt: string): [OutcomeKind, string, More] => [
  "unknown",
  "taken, and not everywhere yet",
  { receipt, retryAtMs: groupNow(world) + 2000 },
];

function write(world: World, publisher: Publisher, route: Route): void {
  const before = publisher.route;
  if (before !== null && isNewer(before, route))
    world.checks.fellBack(publisher.name, before, route);
  if (publisher.byHand) publisher.rightAgainMs = world.queue.nowMs;
  Object.assign(publisher, { route, own: route, byHand: false });
  tell(world, () => `${publisher.name} holds ${textOf(route)}`);
  if (publisher.name === "kv") spread(world, route);
}

/** Readers of KV see a change after a while, each for itself. */
function spread(world: World, route: Route): void {
  for (const client of world.clients)
    if (client.stays === null)
      after(world.queue, world.random.int(10, 4000), () => {
        if (isNewer(route, client.route)) client.route = route;
      });
}
