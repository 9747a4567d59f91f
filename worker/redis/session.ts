/**
 * A lasting way to one Redis: at most one connection in use, opened on demand, shared by all, with one
 * deadline for everything.
 *
 * Promises: `run` settles within its deadline whatever the node does, and says truly whether the commands
 * may have been executed; commands given together are sent together; a connection that was silent once is
 * never used again.
 * Must never: send a command again that may have been executed, unless the caller said it may.
 */
import {
  type Answer,
  type Command,
  type Connection,
  connect,
  type Endpoint,
  failure,
} from "./connection.ts";
import { createDeadlines } from "./deadlines.ts";
import { createGate, type Gate, heldBackFor } from "./gate.ts";

export type RunOptions = {
  readonly deadlineMs: number;
  /** The commands change nothing: after a drop of a used connection they are sent once more on a new one. */
  readonly repeatable?: boolean;
  /** How long they may wait for a hold to end before the deadline begins. Without: inside the deadline. */
  readonly holdMs?: number;
};

export type Session = Pick<Gate, "holdDuring" | "excuseFor"> & {
  readonly run: (commands: readonly Command[], options: RunOptions) => Promise<Answer>;
  readonly isOpen: () => boolean;
  readonly inFlight: () => number;
  /** Ends what is under way. A command that comes afterwards gets a connection for itself. */
  readonly close: () => void;
};

type SessionParts = {
  readonly gate?: Gate;
  /** Opens connections; by default one anew for whoever asks, however often that failed before. */
  readonly dial?: () => Connection;
  /** Hears of every run, once. */
  readonly count?: Count;
};

export type Count = (commands: number, answer: Answer) => void;

const MAX_IN_FLIGHT = 10_000;

type Line = { readonly connection: Connection; users: number; reason: string | null };

/** One run's account of itself. A plain object and callbacks: this is in the way of every command. */
type Job = {
  readonly commands: readonly Command[];
  readonly options: RunOptions;
  readonly settle: (answer: Answer) => void;
  timer: NodeJS.Timeout | undefined;
  last: NodeJS.Immediate | undefined;
  line: Line | null;
  hold: "none" | "on" | "over";
  dispatched: boolean;
  over: boolean;
  // Its place among those with the same deadline.
  atMs: number;
  before: Job | null;
  after: Job | null;
  dated: boolean;
};

export function openSession(
  endpoint: Endpoint,
  connectTimeoutMs: number,
  parts: SessionParts = {},
): Session {
  const { gate = createGate(), dial = () => connect(endpoint, connectTimeoutMs), count } = parts;
  let current: Line | null = null;
  let inFlight = 0;
  let closed = false;

  // Nearly every run has this deadline; the others have a timer each.
  const usual = createDeadlines<Job>(connectTimeoutMs, lastTurn);

  gate.onHold((reason) => {
    if (current === null) return;
    current.reason = reason;
    retire(current);
  });

  function run(commands: readonly Command[], options: RunOptions): Promise<Answer> {
    if (inFlight + commands.length > MAX_IN_FLIGHT) {
      const text = `${inFlight} commands are in flight already`;
      return Promise.resolve(failure("busy", false, text));
    }
    inFlight += commands.length;
    return new Promise((settle) => {
      const job: Job = {
        commands,
        options,
        settle,
        timer: undefined,
        last: undefined,
        line: null,
        hold: "none",
        dispatched: false,
        over: false,
        atMs: 0,
        before: null,
        after: null,
        dated: false,
      };
      arm(job, options.deadlineMs);
      proceed(job);
    });
  }

  function arm(job: Job, ms: number): void {
    if (ms === connectTimeoutMs) usual.add(job);
    else job.timer = setTimeout(lastTurn, ms, job);
  }

  /** Before it is over: an answer that waits in the socket of a busy process is no silence. */
  function lastTurn(job: Job): void {
    job.last = setImmediate(expire, job);
  }

  function disarm(job: Job): void {
    usual.remove(job);
    clearTimeout(job.timer);
    clearImmediate(job.last);
  }

  function expire(job: Job): void {
    if (job.over) return;
    if (job.line !== null) retire(job.line);
    const { deadlineMs, holdMs = deadlineMs } = job.options;
    const text = `no answer in ${Math.round(deadlineMs)} ms`;
    // Who has no line waits for the end of a hold.
    finish(job, job.line === null ? heldBackFor(holdMs) : failure("timeout", job.dispatched, text));
  }

  function finish(job: Job, answer: Answer): void {
    if (job.over) return;
    job.over = true;
    disarm(job);
    inFlight -= job.commands.length;
    release(job);
    const told = gate.excused(answer);
    count?.(job.commands.length, told);
    job.settle(told);
  }

  /** Past its deadline nothing may be sent, and nothing is: the caller was told that it was not. */
  function proceed(job: Job): void {
    if (job.over) return;
    const held = gate.closed();
    if (held !== null) {
      holdBack(job);
      void held.then(() => proceed(job));
      return;
    }
    if (job.hold === "on") {
      job.hold = "over";
      rearm(job, job.options.deadlineMs);
    }
    const used = current?.connection.isOpen() === true;
    const line = borrow(job);
    if (used) return dispatch(job, line, true);
    void line.connection.opened.then((closed) => {
      if (job.over) return;
      if (closed === null && gate.closed() !== null) {
        // Something is done to the node since: nothing is sent into the middle of it.
        release(job);
        return proceed(job);
      }
      if (closed === null) return dispatch(job, line, false);
      if (closed.kind === "failure") return finish(job, closed);
      finish(job, { kind: "replies", replies: job.commands.map(() => closed.error) });
    });
  }

  /** Once: a second hold is inside the deadline. */
  function holdBack(job: Job): void {
    const { holdMs } = job.options;
    if (holdMs === undefined || job.hold !== "none") return;
    job.hold = "on";
    rearm(job, holdMs);
  }

  function rearm(job: Job, ms: number): void {
    disarm(job);
    arm(job, ms);
  }

  function dispatch(job: Job, line: Line, used: boolean): void {
    job.dispatched = true;
    line.connection.send(job.commands, (answer) => {
      if (answer.kind === "replies" || job.over) return finish(job, answer);
      if (!used || job.options.repeatable !== true) {
        return finish(job, line.reason === null ? answer : { ...answer, detail: line.reason });
      }
      release(job);
      job.dispatched = false;
      proceed(job);
    });
  }

  function borrow(job: Job): Line {
    if (current === null || current.connection.isClosed()) {
      current = { connection: dial(), users: 0, reason: null };
    }
    current.users += 1;
    job.line = current;
    return current;
  }

  function release(job: Job): void {
    const { line } = job;
    job.line = null;
    if (line === null) return;
    line.users -= 1;
    if ((closed || line !== current) && line.users === 0) line.connection.destroy();
  }

  /** Out of use, but those who wait on it keep their own deadlines; the last one out destroys it. */
  function retire(line: Line): void {
    if (line === current) current = null;
    if (line.users === 0) line.connection.destroy();
  }

  return {
    run,
    holdDuring: gate.holdDuring,
    excuseFor: gate.excuseFor,
    isOpen: () => current?.connection.isOpen() === true,
    inFlight: () => inFlight,
    close: () => {
      closed = true;
      if (inFlight === 0) usual.close();
      if (current !== null) current.connection.destroy();
      current = null;
    },
  };
}
