/**
 * What an error says about the command that was sent: refused, unknown, or an answer like any other.
 *
 * Promises: `refused` only when nothing at all was executed; in doubt it is `unknown`.
 * Must never: put a command, an argument or a token into an error (the SDK's messages hold them).
 */

/** The command may or may not have been executed. `reason`: one word, such as NODE_TIMEOUT. */
export class OutcomeUnknownError extends Error {
  readonly node: string;
  readonly reason: string;
  constructor(node: string, reason: string) {
    super(`Picket: ${reason} at node ${node}: it may or may not have been executed`);
    this.name = "OutcomeUnknownError";
    this.node = node;
    this.reason = reason;
  }
}

/** No primary with a REST address is known, and none ever was. */
export class NoRouteError extends Error {
  readonly group: string;
  constructor(group: string) {
    super(`Picket: no route to a primary of group ${group}`);
    this.name = "NoRouteError";
    this.group = group;
  }
}

/** What went over the wire for one call of the app's function. */
export type Watch = {
  requests: number;
  /** The last error that was no answer of Redis or the relay. */
  lost: unknown;
};

export type Failure =
  | { readonly kind: "answer" }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "unknown"; readonly reason: string };

/**
 * First words of errors given before anything is executed: Redis's own (NOREPLICAS: too few replicas,
 * so also a sealed node; EXECABORT: a transaction of which a command was refused), and the relay's,
 * which never reached Redis.
 */
const refusals = new Set([
  ...["READONLY", "NOREPLICAS", "LOADING", "MASTERDOWN", "EXECABORT"],
  ...["NODE_REFUSED", "NODE_DNS"],
]);

/** The relay sent it, or may have, and got no answer. */
const losses = new Set(["NODE_TIMEOUT", "NODE_CLOSED", "NODE_UNKNOWN"]);

export function failureOf(error: unknown, watch: Watch): Failure {
  if (!(error instanceof Error)) return { kind: "answer" };
  if (error.name === "UpstashError") {
    // In a pipeline: "Command 2 [ set ] failed: READONLY …"; its other commands had their own fate.
    const [, inPipeline, reason] =
      /^(Command .*?failed: )?-?([A-Z][A-Z_]*)\b/.exec(error.message) ?? [];
    if (reason === undefined) return { kind: "answer" };
    if (losses.has(reason)) return { kind: "unknown", reason };
    if (!refusals.has(reason)) return { kind: "answer" };
    const whole = inPipeline === undefined && watch.requests <= 1;
    return { kind: whole ? "refused" : "unknown", reason };
  }
  // Anything else that the requests did not throw is the app's own.
  if (error !== watch.lost) return { kind: "answer" };
  const code = (error.cause as { code?: unknown } | undefined)?.code;
  if (code === "ECONNREFUSED" && watch.requests <= 1) return { kind: "refused", reason: code };
  return { kind: "unknown", reason: error.name };
}
