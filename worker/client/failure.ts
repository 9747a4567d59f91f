/**
 * What became of a request, by its error: refused, unknown, or an answer like any other; and the client's own
 * errors.
 *
 * Promises: `refused` only when nothing at all was executed; in doubt it is `unknown`.
 * Must never: put a command, an argument or a token into an error (the SDK's messages hold them).
 */
import type { RouteProblem } from "./reader.ts";

/** The command may or may not have been executed. `reason`: one word, such as NODE_TIMEOUT. */
export class OutcomeUnknownError extends Error {
  override readonly name = "OutcomeUnknownError";
  declare readonly node: string;
  declare readonly reason: string;
  constructor(node: string, reason: string) {
    super(`Picket: ${reason} at node ${node}: it may have been executed`);
    this.node = node;
    this.reason = reason;
  }
}

/** No primary with a REST address is known, and none ever was. `problems`: what was wrong, by source. */
export class NoRouteError extends Error {
  override readonly name = "NoRouteError";
  declare readonly group: string;
  declare readonly problems: readonly RouteProblem[];
  constructor(group: string, problems: readonly RouteProblem[] = []) {
    super(`Picket: no primary of group ${group}: ${problems.map(({ kind }) => kind)}`);
    this.group = group;
    this.problems = problems;
  }
}

/** Not sent: under a namespace the keys of this command cannot be told, or it reaches all keys. */
export class UnsupportedCommandError extends Error {
  override readonly name = "UnsupportedCommandError";
  declare readonly command: string;
  constructor(command: string, why: string) {
    super(`Picket: ${command} is refused under a namespace: ${why}`);
    this.command = command;
  }
}

/** An option that is not right: which one, what it is, and what is allowed. Never a token. */
export class OptionError extends TypeError {
  override readonly name = "OptionError";
  declare readonly option: string;
  constructor(option: string, value: string, allowed: string) {
    super(`Picket: option ${option} is ${value}: allowed is ${allowed}`);
    this.option = option;
  }
}

export type Failure =
  | { readonly kind: "answer" }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "unknown"; readonly reason: string };

/**
 * First words of Redis's errors given before anything is executed (NOREPLICAS: too few replicas, so also a sealed
 * node; EXECABORT: a transaction of which a command was refused). Of its own the relay says so in words.
 */
const refusals = /^(READONLY|NOREPLICAS|LOADING|MASTERDOWN|EXECABORT)$/;

const code = /^-?([A-Z][A-Z_]*)\b/;

/** What the network says when no connection came about, so that nothing was sent. */
const unsent = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|UND_ERR_CONNECT_TIMEOUT)$/;

const answer: Failure = { kind: "answer" };

/** What a request threw. */
export function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return answer;
  if (error.name === "UpstashError") {
    const [text = ""] = error.message.split(", command was: ");
    // No error of Redis's: a gateway on the way, which may have passed the request on.
    return failureOfText(/^(undefined|\[obj)/.test(text) ? "RELAY_UNKNOWN" : text);
  }
  const cause = (error.cause ?? {}) as { code?: unknown; syscall?: unknown };
  if (typeof cause.code === "string" && (unsent.test(cause.code) || cause.syscall === "connect"))
    return { kind: "refused", reason: cause.code };
  return { kind: "unknown", reason: error.name };
}

/** The error of one command, as Redis or the relay words it. */
export function failureOfText(text: string | undefined): Failure {
  const word = code.exec(text ?? "")?.[1];
  if (text === undefined || word === undefined) return answer;
  if (word === "EXECABORT") {
    // It says which refusal was the cause: one that passes, or the app's own mistake.
    const cause = /[(:] ?([A-Z]+) /.exec(text)?.[1];
    return { kind: "refused", reason: cause !== undefined && refusals.test(cause) ? cause : word };
  }
  if (refusals.test(word)) return { kind: "refused", reason: word };
  if (!/^(NODE|RELAY)_/.test(word)) return answer;
  return { kind: text.endsWith("; it was not executed") ? "refused" : "unknown", reason: word };
}
