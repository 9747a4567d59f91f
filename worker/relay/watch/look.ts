/**
 * One look at one Redis over a connection that stays: PING, INFO, CONFIG GET, under one deadline.
 *
 * Promises: settles in time and never rejects; a connection that was silent for long is never used again.
 * Must never: judge a role.
 */
import {
  type Answer,
  type Closed,
  type Command,
  type Connection,
  connect,
  type Endpoint,
  type Reply,
} from "../../redis/connection.ts";
import { parseInfo } from "../../redis/info.ts";
import { classOfWord, firstWord } from "../../redis/words.ts";
import { brief } from "../request.ts";
import type { Seen } from "./gaze.ts";

const SETTING = "min-replicas-to-write";
const ASK: readonly Command[] = [["PING"], ["INFO"], ["CONFIG", "GET", SETTING]];

type Found = Pick<Seen, "class" | "detail" | "facts">;

export type Looker = {
  /**
   * What is known after `timeoutMs`. A question that is not answered by then stays, and its answer counts, until it has
   * waited for `mostMs`.
   */
  readonly look: (timeoutMs: number, mostMs: number) => Promise<Found & { readonly ageMs: number }>;
  /** Settles when the connection is lost by itself; null: there is none. */
  readonly ended: () => Promise<unknown> | null;
  readonly close: () => void;
};

export function openLooker(endpoint: Endpoint): Looker {
  let current: Connection | null = null;
  let asking: { readonly found: Promise<Found>; readonly sinceMs: number } | null = null;

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

async function ask(connection: Connection): Promise<Found> {
  const closed = await connection.opened;
  if (closed !== null) return notOpened(closed);
  const answer = await new Promise<Answer>((resolve) => connection.send(ASK, resolve));
  if (answer.kind === "failure") return notOpened(answer);
  const [ping = null, info = null, config = null] = answer.replies;
  return judge(ping, info, config);
}

function notOpened(closed: Closed): Found {
  if (closed.kind === "said")
    return { class: "policy", detail: brief(closed.error.message), facts: null };
  const kind = closed.class === "busy" ? "closed" : closed.class;
  return { class: kind, detail: brief(closed.detail), facts: null };
}

/** As the Group's own look judges (probe/upstash.ts): the same words, the same classes. */
function judge(ping: Reply, info: Reply, config: Reply): Found {
  const facts = info instanceof Error ? null : parseInfo(String(info), minReplicas(config));
  const found = (kind: Found["class"], detail: string): Found => ({
    class: kind,
    detail: brief(detail),
    facts,
  });
  const bad = (error: Error) =>
    found((classOfWord(error.message) ?? "policy") as Found["class"], error.message);
  const alive = ping instanceof Error ? firstWord(ping.message) === "MASTERDOWN" : true;
  if (!alive) return bad(ping as Error);
  if (info instanceof Error) return bad(info);
  if (facts === null) return found("malformed", "PONG, but INFO is not Redis's");
  if (facts.loading) return found("loading", "INFO says loading:1");
  if (facts.switching) return found("switching", "a FAILOVER is in progress");
  return found("up", ping instanceof Error ? "MASTERDOWN" : "PONG");
}

const minReplicas = (config: Reply): string | null =>
  Array.isArray(config) && String(config[0]) === SETTING ? String(config[1]) : null;
