/**
 * The verbs, done to Redis: judged, written down, executed, written down again.
 *
 * Promises: nothing is executed before epoch, primary and action are on disk; verbs for one node run one
 * at a time; an answer comes by the deadline, however long disk or Redis take, and says truly whether
 * Redis may have executed it.
 * Must never: send a verb to a Redis that did not answer a PING just before.
 */
import type { Failure } from "../../redis/connection.ts";
import type { NodeLinks } from "../../redis/node.ts";
import { refusals, type TellEpochBody, type VerbAnswer } from "../protocol.ts";
import { within } from "../request.ts";
import { failureText } from "../rest/upstash.ts";
import {
  type Clock,
  type HeldEpoch,
  type Journal,
  judge,
  judgeEpoch,
  recorded,
  type VerbRequest,
} from "./fence.ts";
import type { Target } from "./handover.ts";
import type { JournalStore } from "./journal.ts";
import { doPlainly, type PlainRequest } from "./plain.ts";
import type { Run } from "./said.ts";
import { answerOf, outcomeOf, type TransactionRequest, transactionOf } from "./steps.ts";
import type { Turns } from "./turns.ts";

export type RelayNode = NodeLinks & { readonly id: string; readonly inTurn: Turns };

export type Hands = {
  readonly act: (node: RelayNode, request: VerbRequest, deadlineMs: number) => Promise<VerbAnswer>;
  readonly tellEpoch: (
    group: string,
    told: TellEpochBody,
    deadlineMs: number,
  ) => Promise<VerbAnswer>;
  /** The epoch held for a group, null: none. */
  readonly epochOf: (group: string) => number | null;
  readonly heldOf: (group: string) => HeldEpoch | null;
};

/** Who has a word in what opens or closes a node: whoever keeps its lease, and has promised or not. */
export type VerbDoor = {
  /** Why the verb may not be executed now, with its code; null: it may. */
  readonly whyNot: (request: VerbRequest, stampAgeMs: number) => string | null;
  /** It is sent to Redis now; a hard seal, when it is about to be. */
  readonly begins: (request: VerbRequest, stampAgeMs: number) => void;
  readonly ended: (request: VerbRequest, answer: VerbAnswer) => void;
  /** Why a node where nothing listens is as good as sealed; null: it is not. */
  readonly gone: (request: VerbRequest) => string | null;
};

/** A relay that keeps no lease: a node that would need one stays closed. */
export const keepsNoLease: VerbDoor = {
  whyNot: ({ body }) =>
    "lease" in body && body.lease !== undefined
      ? `${refusals.lease} this relay keeps no lease of this node: see lease in its settings`
      : null,
  begins: () => undefined,
  ended: () => undefined,
  gone: () => null,
};

const leftMs = (deadlineAt: number): number => deadlineAt - performance.now();

export function createHands(
  loaded: Journal,
  store: JournalStore,
  clock: () => Clock,
  door: VerbDoor = keepsNoLease,
  nodeOf: (id: string) => RelayNode | undefined = () => undefined,
): Hands {
  let journal = loaded;

  /** Believed at once, so that nothing is judged by what is no longer so; true once it is on disk. */
  async function keep(next: Journal, deadlineAt: number): Promise<boolean> {
    journal = next;
    const saved = store.save(next).then(
      () => true,
      () => false,
    );
    return within(
      Math.max(1, leftMs(deadlineAt)),
      () => saved,
      () => false,
    );
  }

  async function actNow(
    node: RelayNode,
    request: VerbRequest,
    deadlineAt: number,
  ): Promise<VerbAnswer> {
    const verdict = judge(journal, request, clock());
    if (verdict.kind === "refused") return { outcome: "refused", detail: verdict.detail };
    if (verdict.kind === "repeat") return { outcome: verdict.outcome, detail: verdict.detail };
    const ageMs = () => clock().ms - request.body.stamp.ms;
    const shut = door.whyNot(request, ageMs());
    if (shut !== null) {
      // The epoch is held from now on: nothing is promised to whoever is behind it.
      await keep({ ...journal, groups: verdict.journal.groups }, deadlineAt);
      return answerOf("refused", shut);
    }

    const answer = (await keep(verdict.journal, deadlineAt))
      ? await execute(node, request, deadlineAt, {
          whyNot: () => door.whyNot(request, ageMs()),
          begins: () => door.begins(request, ageMs()),
          gone: () => door.gone(request),
          target: nodeOf(request.body.primary ?? ""),
        })
      : answerOf("unreachable", "the state file could not be written in time; not executed");
    door.ended(request, answer);
    await keep(recorded(journal, request.body, answer), deadlineAt);
    return answer;
  }

  return {
    act: async (node, request, deadlineMs) => {
      const deadlineAt = performance.now() + deadlineMs;
      const answer = await node.inTurn(deadlineMs, () => actNow(node, request, deadlineAt));
      // The same action may be the one ahead of it: unknown, though this request did not start it.
      return answer ?? answerOf("unknown", "still waiting behind another verb for this node");
    },
    tellEpoch: async (group, told, deadlineMs) => {
      const verdict = judgeEpoch(journal, group, told, clock());
      if (verdict.kind === "refused") return answerOf("refused", verdict.detail);
      return (await keep(verdict.journal, performance.now() + deadlineMs))
        ? answerOf("done", `holds epoch ${told.epoch}`)
        : answerOf("failed", "the state file could not be written in time");
    },
    epochOf: (group) => journal.groups.get(group)?.epoch ?? null,
    heldOf: (group) => journal.groups.get(group) ?? null,
  };
}

async function execute(
  node: RelayNode,
  request: VerbRequest,
  deadlineAt: number,
  door: {
    readonly whyNot: () => string | null;
    readonly begins: () => void;
    readonly gone: () => string | null;
    /** Whom the epoch names, if this relay has it. */
    readonly target: RelayNode | undefined;
  },
): Promise<VerbAnswer> {
  const seals = request.verb === "seal";
  // Before it is known whether Redis answers: one that hangs is ended by whoever keeps its lease.
  const hard = seals && request.body.hard === true;
  if (hard) door.begins();
  // A hung Redis keeps what it was sent and executes it when it wakes, long after the stamp died.
  const alive = await node.control.run([["PING"]], {
    deadlineMs: Math.max(1, leftMs(deadlineAt)),
    repeatable: true,
  });
  if (alive.kind === "failure") {
    const gone = seals && alive.class === "refused" ? door.gone() : null;
    return gone === null ? lost({ ...alive, dispatched: false }) : answerOf("done", gone);
  }
  if (leftMs(deadlineAt) < 1) return answerOf("unreachable", "no time was left; not executed");
  // Disk and PING took their time, and something may have been promised meanwhile.
  const shut = door.whyNot();
  if (shut !== null) return answerOf("refused", shut);
  if (!hard) door.begins();

  const runAt =
    ({ control }: RelayNode, mostMs = Number.POSITIVE_INFINITY): Run =>
    (commands) =>
      control.run(commands, { deadlineMs: Math.max(1, Math.min(mostMs, leftMs(deadlineAt))) });
  const run = runAt(node);
  const targetOf = (other: RelayNode | undefined): Target | null => {
    const withinMs = leftMs(deadlineAt) / 2;
    return other === undefined ? null : { run: runAt(other, withinMs), withinMs };
  };
  switch (request.verb) {
    case "switchover":
    case "abort-switchover":
    case "script-kill":
      return plainly(node, request, run, targetOf(door.target));
    case "promote":
    case "demote":
    case "seal":
    case "unseal":
      return transaction(node, request, run);
  }
}

async function plainly(
  node: RelayNode,
  request: PlainRequest,
  run: Run,
  target: Target | null,
): Promise<VerbAnswer> {
  // Redis holds writes back while it hands over: an app that gets no answer then has met no fault.
  const handsOver = request.verb === "switchover";
  if (handsOver) node.data.excuseFor(request.body.timeoutMs, "a switchover is under way");
  const done = await doPlainly(request, run, target);
  const answer = done.kind === "failure" ? lost(done) : done.answer;
  const began = answer.outcome === "done" || answer.outcome === "unknown";
  if (handsOver ? !began : request.verb === "abort-switchover") node.data.excuseFor(0, "");
  return answer;
}

async function transaction(
  node: RelayNode,
  request: TransactionRequest,
  run: Run,
): Promise<VerbAnswer> {
  const commands = transactionOf(request);
  const work = run(commands);
  // CLIENT KILL drops the relay's own data connection as well: that is no fault of the node.
  if (request.verb === "promote" || request.verb === "demote") {
    node.data.holdDuring(work, `dropped by this relay's own ${request.verb}`);
  }
  const answer = await work;
  return answer.kind === "failure" ? lost(answer) : outcomeOf(commands, answer.replies);
}

const lost = (failure: Failure): VerbAnswer =>
  answerOf(failure.dispatched ? "unknown" : "unreachable", failureText(failure).error);
