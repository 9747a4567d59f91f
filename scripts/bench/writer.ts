/**
 * A client that writes numbers, one every 5 ms, and remembers which were acknowledged, when and by whom.
 *
 * Promises: a number is sent once, and counts only when the server itself said that it was added; where nobody
 * listens it asks again every 50 ms, and leaves the machine to those who are measured.
 * Must never: wait for an answer before the next number, or care which system tells it where to write.
 */
import type { Reply } from "../../worker/redis/connection.ts";
import { openSession, type Session } from "../../worker/redis/session.ts";

const everyMs = 5;
const patienceMs = 1000;
/** As a client library pauses before it connects again. */
const restMs = 50;
const key = "bench:numbers";

export type Ack = { readonly n: number; readonly atMs: number; readonly port: number };

export type Writer = {
  /** In the order in which they came. */
  readonly acks: readonly Ack[];
  /** Where it writes from now on. */
  readonly turn: (port: number) => void;
  /** The last answer was not an acknowledgement. */
  readonly failing: () => boolean;
  readonly stop: () => void;
};

export function startWriter(firstPort: number): Writer {
  const acks: Ack[] = [];
  const old: Session[] = [];
  let port = firstPort;
  let session = sessionTo(port);
  let n = 0;
  let dueAtMs = performance.now();
  let restUntilMs = 0;
  let failing = false;
  const write = async (number: number) => {
    const [at, to] = [port, session];
    const answer = await to.run([["SADD", key, String(number)]], { deadlineMs: patienceMs });
    const added = answer.kind === "replies" && answer.replies[0] === "1";
    if (to === session) failing = !added;
    if (added) acks.push({ n: number, atMs: performance.now(), port: at });
    else if (answer.kind === "failure" && to === session) restUntilMs = performance.now() + restMs;
  };
  const tick = () => {
    // A late tick is made up for, a long pause is not.
    dueAtMs = Math.max(dueAtMs, restUntilMs, performance.now() - 50);
    for (; dueAtMs <= performance.now(); dueAtMs += everyMs) void write(n++);
  };
  const timer = setInterval(tick, everyMs);
  return {
    acks,
    turn: (next) => {
      if (next === port) return;
      old.push(session);
      port = next;
      session = sessionTo(port);
      restUntilMs = 0;
    },
    failing: () => failing,
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

/** One lasting connection to each server: to look costs those who are measured as little as it can. */
const lines = new Map<number, Session>();

/** Commands past everybody, as a person with redis-cli sends them. */
export async function ask(
  port: number,
  ...commands: readonly (readonly string[])[]
): Promise<readonly Reply[]> {
  const line = lines.get(port) ?? sessionTo(port);
  lines.set(port, line);
  const answer = await line.run(commands, { deadlineMs: 5000 });
  if (answer.kind === "failure") throw new Error(`port ${port}: ${answer.detail}`);
  const error = answer.replies.find((reply) => reply instanceof Error);
  if (error instanceof Error) throw error;
  return answer.replies;
}

export function hangUp(): void {
  for (const line of lines.values()) line.close();
  lines.clear();
}

const sessionTo = (port: number): Session =>
  openSession({ host: "127.0.0.1", port, username: null, password: null }, patienceMs);
