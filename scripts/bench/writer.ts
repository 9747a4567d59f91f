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
export const key = "bench:numbers";

export type Address = { readonly host: string; readonly port: number };

/** `by`: the address of the server, or what else tells one from another. */
export type Ack = { readonly n: number; readonly atMs: number; readonly by: string };

/** What was written, by whatever client. */
export type Written = {
  /** In the order in which they came. */
  readonly acks: readonly Ack[];
  readonly stop: () => void;
};

export type Writer = Written & {
  /** Where it writes from now on. */
  readonly turn: (to: Address) => void;
  /** The last answer was not an acknowledgement. */
  readonly failing: () => boolean;
};

export const nameOf = ({ host, port }: Address): string => `${host}:${port}`;

/** Calls `write` with the next number every 5 ms. A late tick is made up for, a long pause is not. */
export function everyNumber(
  firstNumber: number,
  write: (n: number) => void,
  restUntilMs: () => number = () => 0,
): () => void {
  let n = firstNumber;
  let dueAtMs = performance.now();
  const tick = () => {
    dueAtMs = Math.max(dueAtMs, restUntilMs(), performance.now() - 50);
    for (; dueAtMs <= performance.now(); dueAtMs += everyMs) write(n++);
  };
  const timer = setInterval(tick, everyMs);
  return () => clearInterval(timer);
}

/** `firstNumber`: two writers that begin far from each other write different numbers. */
export function startWriter(first: Address, firstNumber = 0): Writer {
  const acks: Ack[] = [];
  const old: Session[] = [];
  let name = nameOf(first);
  let session = sessionTo(first);
  let restUntilMs = 0;
  let failing = false;
  const write = async (n: number) => {
    const [by, to] = [name, session];
    const answer = await to.run([["SADD", key, String(n)]], { deadlineMs: patienceMs });
    const added = answer.kind === "replies" && answer.replies[0] === "1";
    if (to === session) failing = !added;
    if (added) acks.push({ n, atMs: performance.now(), by });
    else if (answer.kind === "failure" && to === session) restUntilMs = performance.now() + restMs;
  };
  const end = everyNumber(
    firstNumber,
    (n) => void write(n),
    () => restUntilMs,
  );
  return {
    acks,
    turn: (next) => {
      if (nameOf(next) === name) return;
      old.push(session);
      name = nameOf(next);
      session = sessionTo(next);
      restUntilMs = 0;
    },
    failing: () => failing,
    stop: () => {
      end();
      for (const each of [...old, session]) each.close();
    },
  };
}

/** Every number that this server holds. */
export async function numbersAt(at: Address): Promise<ReadonlySet<number>> {
  const [members] = await ask(at, ["SMEMBERS", key]);
  return new Set((Array.isArray(members) ? members : []).map((each) => Number(String(each))));
}

/** One lasting connection to each server: to look costs those who are measured as little as it can. */
const lines = new Map<string, Session>();

/** Commands past everybody, as a person with redis-cli sends them. */
export async function ask(
  at: Address,
  ...commands: readonly (readonly string[])[]
): Promise<readonly Reply[]> {
  const line = lines.get(nameOf(at)) ?? sessionTo(at);
  lines.set(nameOf(at), line);
  const answer = await line.run(commands, { deadlineMs: 5000 });
  if (answer.kind === "failure") throw new Error(`${nameOf(at)}: ${answer.detail}`);
  const error = answer.replies.find((reply) => reply instanceof Error);
  if (error instanceof Error) throw error;
  return answer.replies;
}

export function hangUp(): void {
  for (const line of lines.values()) line.close();
  lines.clear();
}

const sessionTo = ({ host, port }: Address): Session =>
  openSession({ host, port, username: null, password: null }, patienceMs);
