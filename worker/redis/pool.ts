/**
 * Connections of their own, for one Redis: whoever waits inside Redis, or needs a connection to itself,
 * borrows one; and subscriptions, which share one.
 *
 * Promises: at most so many connections and so many who wait for one; `run` settles by its deadline, or at
 * once when its signal aborts, and says truly whether the commands may have been executed; a connection that
 * was interrupted, or left in a state of its own, is destroyed and never given to another.
 * Must never: send a command twice.
 */
import { type Answer, type Command, type Connection, failure } from "./connection.ts";
import { type Ears, openEars } from "./ears.ts";
import { createGate, type Gate, heldBackFor } from "./gate.ts";
import type { Count } from "./session.ts";

type PoolOptions = {
  readonly deadlineMs: number;
  /** How long they may be held back, all in all, before the deadline goes on. Without: inside the deadline. */
  readonly holdMs?: number;
  /** The caller went away: the connection is dropped, so that Redis waits for nobody. */
  readonly signal?: AbortSignal;
};

export type PoolLimits = { readonly connections: number; readonly waiting: number };

export type Pool = {
  /** Together, in order, alone on a connection. */
  readonly run: (commands: readonly Command[], options: PoolOptions) => Promise<Answer>;
  readonly subscribe: Ears["subscribe"];
  readonly usage: () => PoolUsage;
  /** Ends every subscription, and takes no other. */
  readonly hush: () => void;
  /** Takes nobody new; who is under way goes on. */
  readonly refuse: () => void;
  readonly close: () => void;
};

type PoolUsage = {
  /** Open or opening, idle ones and the one of the subscriptions included. */
  readonly connections: number;
  readonly running: number;
  /** For one of them, or for the end of a hold. */
  readonly waiting: number;
};

type Turn = (connection: Connection | null) => void;

export function openPool(
  dial: () => Connection,
  limits: PoolLimits,
  gate: Gate = createGate(),
  count: Count = () => {},
): Pool {
  const idle: Connection[] = [];
  const inUse = new Map<Connection, { reason: string | null }>();
  const waiting = new Set<Turn>();
  let heldBack = 0;
  let refusing = false;
  const ears = openEars(dial);
  let closed = false;

  gate.onHold((reason) => {
    for (const connection of idle.splice(0)) connection.destroy();
    for (const use of inUse.values()) use.reason = reason;
  });

  async function run(
    commands: readonly Command[],
    { deadlineMs, holdMs, signal }: PoolOptions,
  ): Promise<Answer> {
    if (signal?.aborted === true) return gone(false);
    if (refusing) return failure("busy", false, "this relay is ending, and waits for nothing new");
    let connection: Connection | null = null;
    let turn: Turn | null = null;
    let held = false;
    let dispatched = false;
    let over = false;
    let timer: NodeJS.Timeout | undefined;
    let onAbort = () => {};
    let expire = () => {};
    const interrupted = new Promise<Answer>((resolve) => {
      expire = () => {
        if (held) return resolve(heldBackFor(holdMs ?? deadlineMs));
        const why = turn === null ? "no answer" : "no connection was free";
        const text = `${why} in ${Math.round(deadlineMs)} ms`;
        resolve(gate.excused(failure(turn === null ? "timeout" : "busy", dispatched, text)));
      };
      onAbort = () => resolve(gone(dispatched));
      signal?.addEventListener("abort", onAbort, { once: true });
    });
    timer = setTimeout(expire, deadlineMs);
    const endsAtMs = performance.now() + deadlineMs;
    let heldForMs = 0;

    /** What it lasts is on top of the deadline, where that was asked for. */
    async function hold(): Promise<void> {
      if (gate.closed() === null) return;
      const fromMs = performance.now();
      held = true;
      if (holdMs !== undefined) {
        clearTimeout(timer);
        timer = setTimeout(expire, Math.max(0, holdMs - heldForMs));
      }
      heldBack += 1;
      for (let on = gate.closed(); on !== null && !over; on = gate.closed()) await on;
      heldBack -= 1;
      held = false;
      if (over || holdMs === undefined) return;
      heldForMs += performance.now() - fromMs;
      clearTimeout(timer);
      timer = setTimeout(expire, endsAtMs + heldForMs - performance.now());
    }

    async function attempt(): Promise<Answer> {
      await hold();
      if (over) return gone(false);
      connection = take();
      if (connection === null) {
        if (waiting.size >= limits.waiting) {
          return failure("busy", false, `${waiting.size} wait for a connection already`);
        }
        connection = await new Promise<Connection | null>((resolve) => {
          turn = resolve;
          waiting.add(resolve);
        });
        turn = null;
        // It was handed over at the very moment at which this caller gave up.
        if (over) give(connection, false);
        if (over || connection === null) return gone(false);
      }
      const word = await connection.opened;
      if (over) return gone(false);
      if (word?.kind === "failure") return word;
      if (word !== null) return { kind: "replies", replies: commands.map(() => word.error) };
      if (gate.closed() !== null) {
        // Something is done to the node since: nothing is sent into the middle of it.
        give(connection, false);
        connection = null;
        return attempt();
      }
      dispatched = true;
      const reached = connection;
      const answer = await new Promise<Answer>((resolve) => reached.send(commands, resolve));
      const reason = inUse.get(reached)?.reason ?? null;
      return answer.kind === "failure" && reason !== null ? { ...answer, detail: reason } : answer;
    }

    try {
      const answer = await Promise.race([attempt(), interrupted]);
      const clean = answer.kind === "replies" && leavesNothing(commands);
      give(connection, clean);
      connection = null;
      const told = gate.excused(answer);
      count(commands.length, told);
      return told;
    } finally {
      over = true;
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      if (turn !== null && waiting.delete(turn)) (turn as Turn)(null);
    }
  }

  /** An idle one, or a new one while there is room; null: wait for your turn. */
  function take(): Connection | null {
    for (let kept = idle.pop(); kept !== undefined; kept = idle.pop()) {
      if (kept.isClosed()) continue;
      inUse.set(kept, { reason: null });
      return kept;
    }
    if (inUse.size >= limits.connections) return null;
    const fresh = dial();
    inUse.set(fresh, { reason: null });
    return fresh;
  }

  function give(connection: Connection | null, clean: boolean): void {
    if (connection === null) return;
    const use = inUse.get(connection);
    inUse.delete(connection);
    if (clean && use?.reason === null && !closed && !connection.isClosed()) idle.push(connection);
    else connection.destroy();
    const [next] = waiting;
    if (next === undefined) return;
    waiting.delete(next);
    next(take());
  }

  return {
    run,
    subscribe: ears.subscribe,
    usage: () => ({
      connections: idle.length + inUse.size + (ears.isOpen() ? 1 : 0),
      running: inUse.size,
      waiting: waiting.size + heldBack,
    }),
    hush: ears.close,
    refuse: () => {
      refusing = true;
    },
    close: () => {
      closed = true;
      ears.close();
      for (const connection of [...idle.splice(0), ...inUse.keys()]) connection.destroy();
    },
  };
}

/** EXEC and DISCARD end what MULTI and WATCH began; what else changes a connection, nothing undoes. */
function leavesNothing(commands: readonly Command[]): boolean {
  let open = false;
  for (const [word] of commands) {
    const name = String(word).toUpperCase();
    if (name === "EXEC" || name === "DISCARD") open = false;
    else if (name === "MULTI" || name === "WATCH") open = true;
    else if (LASTING.has(name)) return false;
  }
  return !open;
}

const LASTING = new Set(["SELECT", "AUTH", "HELLO", "CLIENT", "MONITOR", "READONLY", "ASKING"]);

const gone = (dispatched: boolean): Answer =>
  failure("busy", dispatched, "the caller did not wait for the answer");
