/**
 * Whose token it is.
 *
 * Promises: the time it takes says nothing about how much of a token was right: a Map looks up the hash of the
 * whole, with a seed of this process, and compares only what has the same one.
 * Must never: show a token.
 */
import type { DataToken } from "./rest/policy.ts";

/** Who asks: the Group and operators, or an app. */
export type Caller =
  | { readonly face: "control" }
  | { readonly face: "data"; readonly token: DataToken };

export type Refused = { readonly face: "none"; readonly error: string };

/** Takes the Authorization header, or the token of `_token` where there is no header. */
export type Doorkeeper = (
  authorization: string | undefined,
  query?: string | null,
) => Caller | Refused;

/** What every route of the Hono app finds in its context. */
export type Env = {
  Variables: {
    caller: Caller;
    /** Who that is by now: for what lasts longer than a token may. */
    callerNow: () => Caller | Refused;
  };
};

const NONE: Refused = { face: "none", error: "Unauthorized: no token was given" };
const WRONG: Refused = { face: "none", error: "Unauthorized: no such token" };
const EXPIRED: Refused = { face: "none", error: "Unauthorized: the token has expired" };

export function createDoorkeeper({
  controlTokens,
  dataTokens,
}: {
  readonly controlTokens: readonly string[];
  readonly dataTokens: readonly DataToken[];
}): Doorkeeper {
  const callers = new Map<string, Caller>();
  for (const token of dataTokens) callers.set(BEARER + token.token, { face: "data", token });
  for (const token of controlTokens) callers.set(BEARER + token, { face: "control" });

  return (authorization, query = null) => {
    if (authorization === undefined && (query === null || query === "")) return NONE;
    const caller = callers.get(authorization === undefined ? BEARER + query : spelt(authorization));
    if (caller === undefined) return WRONG;
    // What stands in an address ends up in other people's logs.
    if (caller.face === "control") return authorization === undefined ? WRONG : caller;
    const { expiresAtMs } = caller.token;
    return expiresAtMs !== null && Date.now() >= expiresAtMs ? EXPIRED : caller;
  };
}

const BEARER = "Bearer ";

/** Nearly everybody writes it so already. */
const spelt = (authorization: string): string =>
  authorization.startsWith(BEARER) ? authorization : authorization.replace(/^bearer +/i, BEARER);
