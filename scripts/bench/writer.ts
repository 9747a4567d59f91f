/**
 * A client that writes numbers, one every 5 ms, and remembers which were acknowledged, when and by whom.
 *
 * Promises: a number is sent once, and counts only when the server itself said that it was added.
 * Must never: wait for an answer before the next number, or care which system tells it where to write.
 */
import type { Reply } from "../../worker/redis/connection.ts";
import { openSession, type Session } from "../../worker/redis/session.ts";

const everyMs = 5;
const patienceMs = 1000;
const key = "bench:numbers";

export type Ack = { readonly n: number; readonly atMs: number; readonly port: number };

export type Writer = {
  /** In the order in which they came. */
  readonly acks: readonly Ack[];
  /** Where it writes from now on. */
  readonly turn: (port: number) => void;
  readonly stop: () => void;
};

export function startWriter(firstPort: number): Writer {
  const acks: Ack[] = [];
  const old: Session[] = [];
  let port = firstPort;
  let session = sessionTo(port);
  let n = 0;
  let dueAtMs = performance.now();
  const write = async (number: number) => {
    const [at, to] = [port, session];
    const answer = await to.run([["SADD", key, String(number)]], { deadlineMs: patienceMs });
    const added = answer.kind === "replies" && answer.replies[0] === "1";
    if (added) acks.push({ n: number, atMs: performance.now(), port: at });
  };
  const tick = () => {
    // A late tick is made up for, a long pause is not.
    for (; dueAtMs <= performance.now(); dueAtMs += everyMs) void write(n++);
    dueAtMs = Math.max(dueAtMs, performance.now() - 50);
  };
  const timer = setInterval(tick, everyMs);
  return {
    acks,
    turn: (next) => {
      if (next === port) return;
      old.push(session);
      port = next;
      session = sessionTo(port);
    },
    stop: () => {
      clearInterval(timer);
      for (const each of [...old, session]) each.close();
    },
  };
}

/** Every number that this server holds. */
export async function numbersAt(port: number): Promise<ReadonlySet<number>> {
  const [members] = await ask(port, ["SMEMBERS", key]);
  return new Set((Array.isArray(members) ? members : []).map((each) => Number(String(each))));
}

/** Commands past everybody, as a person with redis-cli sends them. */
export async function ask(
  port: number,
  ...commands: readonly (readonly string[])[]
): Promise<readonly Reply[]> {
  const session = sessionTo(port);
  try {
    const answer = await session.run(commands, { deadlineMs: 5000 });
    if (answer.kind === "failure") throw new Error(`port ${port}: ${answer.detail}`);
    const error = answer.replies.find((reply) => reply instanceof Error);
    if (error instanceof Error) throw error;
    return answer.replies;
  } finally {
    session.close();
  }
}

const sessionTo = (port: number): Session =>
  openSession({ host: "127.0.0.1", port, username: null, password: null }, patienceMs);
