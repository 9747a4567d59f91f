/**
 * One look at one Redis over a connection that stays: PING, INFO, CONFIG GET, under one deadline.
 *
 * Promises: settles in time and never rejects; a connection that was silent for long is never used again.
 * Must never: judge a role.
 */
import { type Answer, type Connection, connect, type Endpoint } from "../../redis/connection.ts";
import { judgeReplies, LOOK, notOpened, type Verdict } from "../../redis/verdict.ts";
import { brief } from "../request.ts";

export type Looker = {
  /**
   * What is known after `timeoutMs`. A question that is not answered by then stays, and its answer counts, until it has
   * waited for `mostMs`.
   */
  readonly look: (
    timeoutMs: number,
    mostMs: number,
  ) => Promise<Verdict & { readonly ageMs: number }>;
  /** Settles when the connection is lost by itself; null: there is none. */
  readonly ended: () => Promise<unknown> | null;
  readonly close: () => void;
};

export function openLooker(endpoint: Endpoint): Looker {
  let current: Connection | null = null;
  let asking: { readonly found: Promise<Verdict>; readonly sinceMs: number } | null = null;

  /** A connection that dropped is only a reason to look again, at once, on a new one. */
  async function look(timeoutMs: number, mostMs: number) {
    const deadlineAt = performance.now() + timeoutMs;
    const used = current?.isOpen() === true;
    const first = await once(timeoutMs, mostMs);
    const leftMs = deadlineAt - performance.now();
    return first.class === "closed" && used && leftMs > 0 ? once(leftMs, mostMs) : first;
  }

  async function once(timeoutMs: number, mostMs: number) {
    if (current === null || current.isClosed()) current = connect(endpoint, mostMs);
    asking ??= { found: ask(current), sinceMs: performance.now() };
    const { found: answer, sinceMs } = asking;
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<null>((resolve) => {
      // One more turn of the loop: an answer that waits in the socket of a busy process is no silence.
      timer = setTimeout(() => setImmediate(resolve, null), timeoutMs);
    });
    const found = await Promise.race([answer, silence]);
    clearTimeout(timer);
    const ageMs = performance.now() - sinceMs;
    if (found !== null || ageMs >= mostMs) asking = null;
    if (found !== null) return { ...found, ageMs };
    if (asking === null) current.destroy();
    const detail = `no answer in ${Math.round(ageMs)} ms`;
    return { class: "timeout" as const, detail, facts: null, ageMs };
  }

  return {
    look,
    ended: () => (current?.isOpen() === true ? current.ended : null),
    close: () => current?.destroy(),
  };
}

async function ask(connection: Connection): Promise<Verdict> {
  const closed = await connection.opened;
  if (closed !== null) return told(notOpened(closed));
  const answer = await new Promise<Answer>((resolve) => connection.send(LOOK, resolve));
  return told(answer.kind === "failure" ? notOpened(answer) : judgeReplies(answer.replies, true));
}

const told = (verdict: Verdict): Verdict => ({ ...verdict, detail: brief(verdict.detail) });
