/**
 * Where a request of the SDK goes, and what becomes of it: to the primary, or where reads may go; again when it
 * surely was not executed, or when twice is as good as once.
 *
 * Promises: a pipeline or transaction goes to one node as a whole; one write or unknown command in it, and that
 * is the primary; everything has an end.
 * Must never: send anything twice that is not safe to, or look into a value.
 */
import { answersKeys, isRepeatable, readsAnywhere, type Words, waitMsOf } from "./commands.ts";
import {
  type Failure,
  failureOf,
  failureOfText,
  NoRouteError,
  OutcomeUnknownError,
} from "./failure.ts";
import type { Namespace } from "./namespace.ts";
import { type Node, type Nodes, type Targets, turn } from "./nodes.ts";
import type { Settings } from "./options.ts";
import { askAgainMs, type RouteReader } from "./reader.ts";
import type { NodeRequest, Requester, Sent, UpstashRequest } from "./sdk.ts";
import { pause, within } from "./wait.ts";

export type RoutedOptions = {
  readonly group: string;
  readonly reader: RouteReader;
  readonly nodes: Nodes;
  readonly settings: Settings;
  readonly namespace: Namespace | null;
  /** Of this view: everything twice, nothing twice, or what is safe. */
  readonly idempotent: boolean | undefined;
  readonly stream: (asked: UpstashRequest) => Promise<Answer>;
};

// biome-ignore lint/suspicious/noExplicitAny: the SDK's own type is of whatever the caller expects.
type Answer = any;
type Place = { readonly error?: string | undefined };

/** One request on its way. */
type Call = {
  readonly sent: NodeRequest;
  readonly commands: readonly Words[];
  /** Inside Redis, at the command's own wish. */
  readonly waitMs: number;
  readonly begunAtMs: number;
  readonly endsAtMs: number;
};

/** What became of one try. */
type Outcome = {
  readonly failure: Failure;
  /** Commands that may have been executed. */
  readonly executed: readonly Words[];
  readonly answer?: Answer;
  readonly error?: unknown;
};

export function routed(options: RoutedOptions): Requester {
  const { group, reader, nodes, settings, namespace, idempotent, stream } = options;
  const { timeoutMs, deadlineMs, maxRetries, retryDelayMs, logger } = settings;
  const mayReadElsewhere = settings.readFrom !== "primary";

  function callOf(asked: UpstashRequest): Call {
    const { path } = asked;
    const body = asked.body as never;
    // An address that is not known has no commands: it goes to the primary, once.
    const many = path?.[0] === "pipeline" || path?.[0] === "multi-exec";
    const commands: readonly Words[] = many ? body : path === undefined ? [body] : [];
    let waitMs = 0;
    // In a transaction nothing waits.
    if (path?.[0] !== "multi-exec") for (const words of commands) waitMs += waitMsOf(words);
    const begunAtMs = Date.now();
    const endsAtMs = begunAtMs + deadlineMs + waitMs;
    if (namespace === null) return { sent: asked, commands, waitMs, begunAtMs, endsAtMs };
    const named = commands.map(namespace.applied);
    const sent = { path, headers: asked.headers, body: many ? named : named[0] } as NodeRequest;
    return { sent, commands: named, waitMs, begunAtMs, endsAtMs };
  }

  function send({ requester }: Node, call: Call, nowMs: number): Sent<Answer> {
    requester.http.upstashSyncToken = nodes.syncToken;
    const leftMs = call.endsAtMs - nowMs;
    if (leftMs >= timeoutMs && call.waitMs === 0) return requester.begin(call.sent);
    const limitMs = Math.max(1, Math.min(timeoutMs + call.waitMs, leftMs));
    return requester.begin({ ...call.sent, timeoutMs: limitMs });
  }

  async function targets(endsAtMs: number): Promise<Targets & { readonly primary: Node }> {
    for (const learn of [reader.current, reader.ask]) {
      await inTime(learn, endsAtMs);
      const route = reader.known();
      const found = route === null ? null : nodes.at(route);
      if (found !== null && found.primary !== null) return found as Targets & { primary: Node };
    }
    throw new NoRouteError(group, reader.problems());
  }

  // Not async itself: a frame less for each command.
  function request(asked: UpstashRequest): Promise<Answer> {
    if (asked.isStreaming === true) return stream(asked);
    let call: Call;
    try {
      call = callOf(asked);
    } catch (error) {
      return Promise.reject(error);
    }
    const { commands } = call;
    const elsewhere = mayReadElsewhere && commands.length > 0 && commands.every(readsAnywhere);
    const answer = elsewhere ? readSomewhere(call) : fromPrimary(call);
    if (namespace === null || !commands.some(answersKeys)) return answer;
    return answer.then((prefixed) => stripped(namespace, commands, prefixed));
  }

  const readSomewhere = async (call: Call) =>
    (await fromReaders(call)) ?? fromPrimary({ ...call, begunAtMs: Date.now() });

  /** Null: nobody of those who take reads could answer, or it is the primary's turn. */
  async function fromReaders(call: Call): Promise<Answer | null> {
    const route = reader.fresh(call.begunAtMs);
    const found = route === null ? await targets(call.endsAtMs) : nodes.at(route);
    const tried: Node[] = [];
    for (let nowMs = call.begunAtMs; nowMs < call.endsAtMs; nowMs = Date.now()) {
      const node = turn(found, nowMs, tried);
      if (node === null || node === found.primary) return null;
      tried.push(node);
      const sent = send(node, call, nowMs);
      try {
        const answer = await sent.answer;
        const { failure } = outcomeOf(answer, call.commands);
        if (failure.kind === "answer") {
          node.breaker.record(true, Date.now());
          return answer;
        }
        passOver(node, failure.reason);
      } catch (error) {
        const failure = failureOf(error);
        if (failure.kind !== "answer") passOver(node, failure.reason);
        // A script that only the primary was told of; a token that its relay does not know.
        else if (!(error instanceof Error && /^(NOSCRIPT|Unauthorized)/.test(error.message)))
          throw error;
      } finally {
        node.requester.end(sent);
      }
    }
    throw new OutcomeUnknownError(tried.at(-1)?.id ?? "", "TimeoutError");
  }

  function passOver(node: Node, reason: string): void {
    if (node.breaker.record(false, Date.now()))
      logger?.warn?.("replica spared", { node: node.id, reason });
  }

  /** `doubt`: why an earlier try may have been executed. */
  async function fromPrimary(call: Call, tries = 0, doubt?: string): Promise<Answer> {
    const nowMs = tries === 0 ? call.begunAtMs : Date.now();
    const route = reader.fresh(nowMs);
    const node =
      (route === null ? null : nodes.at(route).primary) ?? (await targets(call.endsAtMs)).primary;
    let outcome: Outcome;
    const sent = send(node, call, nowMs);
    try {
      const answer = await sent.answer;
      nodes.syncToken = node.requester.http.upstashSyncToken ?? "";
      outcome = outcomeOf(answer, call.commands);
      if (outcome.failure.kind === "answer") return answer;
    } catch (error) {
      outcome = { ...thrown(error, call.commands), error };
      if (outcome.failure.kind === "answer") throw error;
    } finally {
      node.requester.end(sent);
    }
    return recover(call, tries, node, outcome, doubt);
  }

  /** Another try, or what is to be told instead. */
  async function recover(
    call: Call,
    tries: number,
    node: Node,
    outcome: Outcome,
    doubt?: string,
  ): Promise<Answer> {
    const { failure, executed, answer, error } = outcome;
    if (failure.kind === "answer") return answer;
    const { kind, reason } = failure;
    logger?.debug?.("failed", { node: node.id, reason });
    const unknown = kind === "unknown" ? reason : doubt;
    const moved = await hasMoved(node, call.endsAtMs);
    const delayMs = moved ? 0 : retryDelayMs * 2 ** tries;
    // A transaction that the same primary would refuse again is the app's own mistake.
    const useful = tries < maxRetries && (moved || reason !== "EXECABORT");
    if (useful && Date.now() + delayMs < call.endsAtMs && mayRepeat(call, kind, executed)) {
      if (!moved) await untilMoved(node, delayMs, call.endsAtMs);
      if (Date.now() < call.endsAtMs) return fromPrimary(call, tries + 1, unknown);
    }
    if (unknown !== undefined) throw new OutcomeUnknownError(node.id, unknown);
    if (error !== undefined) throw error;
    return answer;
  }

  function mayRepeat({ commands }: Call, kind: string, executed: readonly Words[]): boolean {
    if (kind === "refused" && executed.length === 0) return true;
    return idempotent ?? (commands.length > 0 && isRepeatable(executed));
  }

  const isPrimary = (node: Node): boolean => {
    const route = reader.known();
    return route === null || nodes.at(route).primary === node;
  };

  /** Another call may have learned of the new primary while this one failed. */
  async function hasMoved(node: Node, endsAtMs: number): Promise<boolean> {
    if (isPrimary(node)) await inTime(reader.ask, endsAtMs);
    return !isPrimary(node);
  }

  /**
   * Waits for a primary that takes the command: no longer than until there is another one, and while the route
   * says that one is being made, for as long as there is time.
   */
  async function untilMoved(node: Node, delayMs: number, endsAtMs: number): Promise<void> {
    const enoughAtMs = Date.now() + delayMs;
    for (;;) {
      const nowMs = Date.now();
      const until = reader.known()?.state === "failing-over" ? endsAtMs : enoughAtMs;
      if (nowMs >= until || !isPrimary(node)) return;
      const before = reader.known();
      await inTime(() => reader.ask(true), until);
      // Who does not wait for a newer one is asked again in a while.
      if (reader.known() === before) await pause(Math.min(askAgainMs, until - nowMs));
    }
  }

  return {
    request,
    get upstashSyncToken() {
      return nodes.syncToken;
    },
    set upstashSyncToken(token) {
      nodes.syncToken = token ?? "";
    },
  };
}

/** What went wrong inside an answer, and which commands may have been executed all the same. */
function outcomeOf(answer: Place | readonly Place[], commands: readonly Words[]): Outcome {
  if (!Array.isArray(answer)) {
    const { error } = answer as Place;
    if (error === undefined) return fine;
    const failure = failureOfText(error);
    return { failure, executed: failure.kind === "refused" ? [] : commands, answer };
  }
  if (answer.every(({ error }) => error === undefined)) return fine;
  const failures = answer.map(({ error }) => failureOfText(error));
  const failure =
    failures.find(({ kind }) => kind === "unknown") ??
    failures.find(({ kind }) => kind === "refused") ??
    fine.failure;
  const executed = commands.filter((_, index) => failures[index]?.kind !== "refused");
  return { failure, executed, answer };
}

function thrown(error: unknown, commands: readonly Words[]): Outcome {
  const failure = failureOf(error);
  return { failure, executed: failure.kind === "refused" ? [] : commands };
}

/** Undefined: not before the call's own end. */
const inTime = <T>(work: () => Promise<T>, endsAtMs: number): Promise<T | undefined> =>
  within(Math.max(1, endsAtMs - Date.now()), work).catch(() => undefined);

const fine: Outcome = { failure: { kind: "answer" }, executed: [] };

function stripped(namespace: Namespace, commands: readonly Words[], answer: Answer): Answer {
  const each = (place: { readonly result?: unknown }, index: number) => {
    const result = namespace.stripped(commands[index] ?? [], place.result);
    return result === place.result ? place : { ...place, result };
  };
  return Array.isArray(answer) ? answer.map(each) : each(answer, 0);
}
