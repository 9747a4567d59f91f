/**
 * One look at one Redis over a connection of the Worker's own, plain or TLS: AUTH, PING, INFO, CONFIG GET at once.
 *
 * Why not the Redis client: on Workers it waits for ever for a TLS handshake that hangs, and takes in whatever comes.
 * Promises: as every transport (probe.ts); PING decides, INFO is facts where it can be had; the connection is closed
 * after the look; at most 1 MiB is held of what comes.
 * Told by time only: who hangs up before anything was asked, in `PAUSE_MS`, did so of its own accord; and who lets
 * half of the time pass without a TLS handshake is asked whether it answers without.
 * Must never: send the password on a plain connection where TLS is set.
 */
import type { Found } from "../core/looking.ts";
import type { Reply } from "../redis/connection.ts";
import { isSentinel } from "../redis/info.ts";
import { createReader, MOST_REPLY_BYTES, written } from "../redis/resp.ts";
import { judgeReplies, LOOK } from "../redis/verdict.ts";
import { classOfWord } from "../redis/words.ts";
import { brief, within } from "../relay/request.ts";
import { failed, type ProbeOf, type Transport } from "./probe.ts";
import { createRecent } from "./recent.ts";
import { passed, talk, whyUnopened } from "./socket.ts";

type Target = ProbeOf<"tcp">;
type Asked =
  | { readonly kind: "unopened" }
  | { readonly kind: "dropped"; readonly said: boolean }
  | { readonly kind: "found"; readonly found: Found };

/** How long a connection stays unused after one was dropped. */
const PAUSE_MS = 50;
const encoder = new TextEncoder();

/** Settings under which a Redis has answered, in this isolate. */
const answered = createRecent<true>();

export const tcp: Transport<Target> = async (target, { timeoutMs, secret }) => {
  if (!(timeoutMs > 0)) return failed("closed", "no time left");
  const password = target.passwordSecret === null ? null : secret(target.passwordSecret);
  let late = failed("timeout", `no answer within ${Math.round(timeoutMs)} ms`);
  const meanwhile = (found: Found) => {
    late = found;
  };
  const found = await within(
    timeoutMs,
    (signal) => look(target, { password, timeoutMs, signal, meanwhile }),
    () => late,
  );
  return { ...found, detail: brief(found.detail, password ?? "") || "an error without words" };
};

type Limits = {
  readonly password: string | null;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly meanwhile: (late: Found) => void;
};

async function look(target: Target, limits: Limits): Promise<Found> {
  const { tls } = target;
  const first = await (tls ? askOverTls(target, limits) : ask(target, limits));
  // A drop is only a reason to look again, at once.
  const last = first.kind === "dropped" ? await ask(target, limits, { pauseMs: PAUSE_MS }) : first;
  const key = JSON.stringify(target);
  const unusedMs = answered.get(key) ? PAUSE_MS : 0;
  if (last.kind === "found") {
    if (last.found.class === "up") answered.note(key, true);
    return last.found;
  }
  if (last.kind === "unopened")
    return whyUnopened(target, { ...limits, tls, unusedMs }, limits.meanwhile);
  // Proxies and load balancers take connections for a Redis that is gone, and drop them: as good as silence, where
  // it has answered before. Who only hangs up when spoken to may have become something else: a TLS server.
  if (!last.said && unusedMs > 0)
    return failed("timeout", "the connection was dropped before anything was asked, twice");
  return failed("closed", "the connection was dropped before an answer, twice");
}

/** A plain Redis waits for the rest of a TLS handshake, as silent as one that hangs. */
async function askOverTls(target: Target, limits: Limits): Promise<Asked> {
  let open = false;
  let begun = false;
  const asking = ask(target, limits, {
    begun: () => {
      begun = true;
    },
    opened: () => {
      open = true;
    },
  });
  const early = await within<Asked | null>(
    limits.timeoutMs / 2,
    () => asking,
    () => null,
  );
  if (early !== null || open) return early ?? asking;
  const plain = ask({ ...target, tls: false }, { ...limits, password: null });
  return Promise.race([
    asking,
    plain.then((asked): Asked | Promise<Asked> => {
      if (asked.kind !== "found" || asked.found.class === "malformed") {
        // Somebody is there, and was not asked what was to be asked.
        if (!begun && asked.kind !== "unopened") limits.meanwhile(unasked);
        return asking;
      }
      return { kind: "found", found: failed("tls", "it speaks plain: no TLS on that port") };
    }),
  ]);
}

const unasked = failed(
  "relay-unreachable",
  "not asked: TLS handshakes that hang there are waited for",
);

type Steps = {
  readonly begun?: () => void;
  readonly opened?: () => void;
  readonly pauseMs?: number;
};

async function ask(
  target: Target,
  { password, signal }: Limits,
  { begun = () => {}, opened = () => {}, pauseMs = 0 }: Steps = {},
): Promise<Asked> {
  const { username } = target;
  const auth = username === null ? ["AUTH", password ?? ""] : ["AUTH", username, password ?? ""];
  const commands = password === null ? LOOK : [auth, ...LOOK];
  let replies: readonly Reply[] | null = [];
  const read = createReader(commands.length);
  const heard = await talk({
    ...{ place: target, tls: target.tls, signal, mostBytes: MOST_REPLY_BYTES },
    bytes: encoder.encode(commands.map(written).join("")),
    ...{ begun, opened },
    ...(pauseMs === 0 ? {} : { before: () => passed(pauseMs, signal) }),
    hear: (bytes) => {
      replies = read(bytes);
      return replies === null || replies.length === commands.length;
    },
  });
  if (heard.kind === "unopened") return heard;
  const found = (look: Found): Asked => ({ kind: "found", found: look });
  if (replies === null) return found(failed("malformed", "it does not speak the Redis protocol"));
  if (heard.kind === "too much") return found(failed("malformed", "its answer is too large"));
  const [greeting] = replies;
  const refusal = greeting instanceof Error ? refusalOf(greeting, password !== null) : null;
  if (refusal !== null) return found(refusal);
  if (heard.kind === "lost") return { kind: "dropped", said: heard.said };
  const answers = password === null ? replies : replies.slice(1);
  const verdict = judgeReplies(answers, false);
  const [, info] = answers;
  if (verdict.class === "up" && typeof info === "string" && isSentinel(info))
    return found(failed("malformed", "a Sentinel, not a Redis"));
  return found({ ...verdict, relay: null });
}

/** What the first error says of the connection itself; null: nothing. */
function refusalOf({ message }: Error, isAuth: boolean): Found | null {
  if (/^(ERR max number of clients|DENIED)/.test(message)) return failed("policy", message);
  return isAuth ? failed(classOfWord(message) ?? "auth", message) : null;
}
