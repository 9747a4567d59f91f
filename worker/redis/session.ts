/**
 * A lasting way to one Redis: at most one connection in use, opened on demand, with one deadline for
 * everything.
 *
 * Promises: `run` settles within its deadline whatever the node does, and says truly whether the commands
 * may have been executed; a connection that was silent once is never used again; a node that refuses is
 * asked anew each time.
 * Must never: send a command again that may have been executed, unless the caller said it may.
 */
import {
  type Answer,
  type Command,
  type Connection,
  connect,
  type Endpoint,
  type Failure,
} from "./connection.ts";

export type RunOptions = {
  readonly deadlineMs: number;
  /** The commands change nothing: after a drop of a used connection they are sent once more on a new one. */
  readonly repeatable?: boolean;
};

export type Session = {
  readonly run: (commands: readonly Command[], options: RunOptions) => Promise<Answer>;
  /** Commands wait while `work` runs, and start on a new connection. `reason`: why the old one may drop. */
  readonly holdDuring: (work: Promise<unknown>, reason: string) => void;
  /**
   * For so long, silence and drops are told as `busy` with this reason, and not as faults of the node.
   * 0 ends it.
   */
  readonly excuseFor: (ms: number, reason: string) => void;
  readonly close: () => void;
};

const MAX_IN_FLIGHT = 10_000;

type Line = { readonly connection: Connection; users: number; reason: string | null };

/** One run's account of itself, read by its deadline. */
type Progress = { line: Line | null; dispatched: boolean; over: boolean };

export function openSession(endpoint: Endpoint, connectTimeoutMs: number): Session {
  let current: Line | null = null;
  let gate: Promise<unknown> | null = null;
  let inFlight = 0;
  let excuse = { until: 0, reason: "" };

  async function run(commands: readonly Command[], options: RunOptions): Promise<Answer> {
    if (inFlight + commands.length > MAX_IN_FLIGHT) {
      return failure("busy", false, `${inFlight} commands are in flight already`);
    }
    inFlight += commands.length;
    const progress: Progress = { line: null, dispatched: false, over: false };
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<null>((resolve) => {
      // One more turn of the loop: an answer that waits in the socket of a busy process is no silence.
      timer = setTimeout(() => setImmediate(resolve, null), options.deadlineMs);
    });
    try {
      const answer = await Promise.race([attempt(commands, options, progress), silence]);
      if (answer !== null) return excused(answer);
      if (progress.line !== null) retire(progress.line);
      const silent = `no answer in ${Math.round(options.deadlineMs)} ms`;
      return excused(failure("timeout", progress.dispatched, silent));
    } finally {
      clearTimeout(timer);
      progress.over = true;
      inFlight -= commands.length;
      release(progress);
    }
  }

  async function attempt(
    commands: readonly Command[],
    options: RunOptions,
    progress: Progress,
  ): Promise<Answer> {
    for (;;) {
      while (gate !== null) await gate;
      // Past its deadline nothing may be sent: the caller was told that it was not.
      if (progress.over) return failure("timeout", false, "too late");
      const used = current !== null && !current.connection.isClosed();
      const line = borrow(progress);
      const closed = await line.connection.opened;
      if (progress.over) return failure("timeout", false, "too late");
      if (closed?.kind === "failure") return closed;
      if (closed !== null) return { kind: "replies", replies: commands.map(() => closed.error) };

      progress.dispatched = true;
      const answer = await line.connection.send(commands);
      if (answer.kind === "replies") return answer;
      if (!used || options.repeatable !== true || progress.over) {
        return line.reason === null ? answer : { ...answer, detail: line.reason };
      }
      release(progress);
      progress.dispatched = false;
    }
  }

  function excused(answer: Answer): Answer {
    const fault =
      answer.kind === "failure" && (answer.class === "timeout" || answer.class === "closed");
    if (!fault || performance.now() >= excuse.until) return answer;
    return failure("busy", answer.dispatched, excuse.reason);
  }

  function borrow(progress: Progress): Line {
    if (current === null || current.connection.isClosed()) {
      current = { connection: connect(endpoint, connectTimeoutMs), users: 0, reason: null };
    }
    current.users += 1;
    progress.line = current;
    return current;
  }

  function release(progress: Progress): void {
    const line = progress.line;
    progress.line = null;
    if (line === null) return;
    line.users -= 1;
    if (line !== current && line.users === 0) line.connection.destroy();
  }

  /** Out of use, but those who wait on it keep their own deadlines; the last one out destroys it. */
  function retire(line: Line): void {
    if (line === current) current = null;
    if (line.users === 0) line.connection.destroy();
  }

  function holdDuring(work: Promise<unknown>, reason: string): void {
    if (current !== null) {
      current.reason = reason;
      retire(current);
    }
    const held: Promise<void> = work.then(ended, ended);
    gate = held;
    function ended(): void {
      if (gate === held) gate = null;
    }
  }

  return {
    run,
    holdDuring,
    excuseFor: (ms, reason) => {
      excuse = { until: performance.now() + ms, reason };
    },
    close: () => {
      if (current !== null) current.connection.destroy();
      current = null;
    },
  };
}

function failure(kind: Failure["class"], dispatched: boolean, detail: string): Failure {
  return { kind: "failure", class: kind, dispatched, detail };
}
