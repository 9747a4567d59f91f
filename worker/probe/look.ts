/**
 * One look of one place: every relay and every node in the order, all in parallel, under one deadline.
 *
 * Promises: nothing rejects, and everything ends by the deadline, whatever a transport does; one answer for each
 * pair, so silence is an answer too; at most six requests wait for an answer at once, as the platform has it; who
 * got no turn was not asked, which says nothing of a node, and is nearer to one in the next look.
 * Must never: judge what was seen, or let a secret into a text.
 */
import type { Found, LookOrder, Repeat, Seen } from "../core/looking.ts";
import { vantageOf } from "../core/sight.ts";
import { within } from "../relay/request.ts";
import { failed } from "./probe.ts";
import { createRecent } from "./recent.ts";
import { lookThrough } from "./relayed.ts";
import { type Round, repeated, type Timed } from "./repeated.ts";
import { lookBy } from "./transports.ts";

export type Pair = { readonly vantage: string; readonly node: string };

/** One request or connection of one place: what it is about, and what will be seen. Never rejects. */
export type Call = {
  readonly pairs: readonly Pair[];
  /** `agoMs` counts from the moment at which this settles: who keeps it longer adds that. */
  readonly seen: Promise<readonly Seen[]>;
};

type LookOptions = {
  /** Whose vote the looks by a way of their own are; null: the Group itself, whose orders have no `nodes`. */
  readonly region: string | null;
  /** A secret by its name. */
  readonly secret: (name: string) => string;
};

/** As many as one invocation may have waiting for their answer. */
const MOST_AT_ONCE = 6;
/** A transport's own word says more than that it was late. */
const SHARE = 0.98;
/** Who waited so long for a turn that less is left of the time is not asked: silence would be no fault of the node. */
const LEAST = 0.5;
const NO_TURN = "not asked: no time was left for it";

/** Starts everything in the order at once. */
export function startLooks(order: LookOrder, { region, secret }: LookOptions): readonly Call[] {
  const inTurn = createTurns(MOST_AT_ONCE);
  const { group, repeat, timeoutMs } = order;
  const deadlineAtMs = performance.now() + timeoutMs;

  /** One question about these nodes, in its turn. `silence`: what it is that no answer came. */
  const round =
    (
      silence: Found["class"],
      look: (nodes: readonly string[], timeoutMs: number) => ReturnType<Round>,
    ): Round =>
    (nodes, forMs) => {
      const byMs = performance.now() + forMs;
      const none = (kind: Found["class"], detail: string) =>
        new Map(nodes.map((node) => [node, timed(failed(kind, detail))]));
      let asked = false;
      return within(
        Math.max(1, forMs),
        () =>
          inTurn(async () => {
            const leftMs = byMs - performance.now();
            if (leftMs < forMs * LEAST) return none("relay-unreachable", NO_TURN);
            asked = true;
            return look(nodes, Math.floor(leftMs * SHARE));
          }).catch((error: unknown) =>
            none("malformed", `a fault of the look: ${error instanceof Error ? error.name : "?"}`),
          ),
        () =>
          asked
            ? none(silence, `no answer within ${Math.round(forMs)} ms`)
            : none("relay-unreachable", NO_TURN),
      );
    };

  const throughRelay = (relay: LookOrder["relays"][number]) => {
    const ask = round("relay-unreachable", async (nodes, forMs) => {
      const target = { group, url: relay.url, token: secret(relay.tokenSecret) };
      const answers = await lookThrough(target, nodes, { timeoutMs: forMs });
      const nowMs = performance.now();
      return new Map(
        [...answers].map(([node, look]) => [node, { ...look, atMs: nowMs - look.agoMs }]),
      );
    });
    return callOf(vantageOf(relay.id), relay.nodes, ask, { repeat, deadlineAtMs });
  };
  const byItself = ({ id, probe }: LookOrder["nodes"][number]) => {
    const ask = round("timeout", async (_, forMs) => {
      const found = await lookBy(probe, { timeoutMs: forMs, secret });
      return new Map([[id, timed(found)]]);
    });
    return callOf(region ?? "", [id], ask, { repeat, deadlineAtMs });
  };
  return inTurns(`${region} ${group}`, [
    ...order.relays.map((relay) => () => throughRelay(relay)),
    ...order.nodes.map((node) => () => byItself(node)),
  ]);
}

/** Where the next look begins, for whoever had more to ask than may be asked at once. */
const begun = createRecent<number>();

/** Begins each look one further than the last, so that nobody is the one without a turn each time. */
function inTurns(asker: string, calls: readonly (() => Call)[]): readonly Call[] {
  if (calls.length <= MOST_AT_ONCE) return calls.map((call) => call());
  const from = (begun.get(asker) ?? 0) % calls.length;
  begun.note(asker, from + 1);
  return [...calls.slice(from), ...calls.slice(0, from)].map((call) => call());
}

const timed = (found: Found): Timed => ({ ...found, atMs: performance.now() });

function callOf(
  vantage: string,
  nodes: readonly string[],
  ask: Round,
  limits: { readonly repeat: Repeat; readonly deadlineAtMs: number },
): Call {
  const seen = repeated(nodes, ask, limits).then((found) => {
    const nowMs = performance.now();
    return nodes.map((node): Seen => {
      const { atMs, ...look } = found.get(node) ?? timed(failed("malformed", "no answer about it"));
      return { ...look, vantage, node, agoMs: Math.max(0, nowMs - atMs) };
    });
  });
  return { pairs: nodes.map((node) => ({ vantage, node })), seen };
}

/** So many at once, the others in the order in which they came. */
function createTurns(most: number) {
  let free = most;
  const waiting: (() => void)[] = [];
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}
