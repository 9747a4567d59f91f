/**
 * Whose token it is.
 *
 * Promises: the time it takes says nothing about how much of a token was right.
 * Must never: keep or show a token in the clear.
 */
import { hash, randomBytes } from "node:crypto";
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
export type Env = { Variables: { caller: Caller } };

export const CONTROL: Caller = { face: "control" };
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
  // What is looked up is a digest that nobody outside can compute, so a lookup may end early.
  const salt = randomBytes(32).toString("hex");
  const digest = (token: string) => hash("sha256", salt + token, "base64");
  const callers = new Map<string, Caller>([
    ...dataTokens.map((token) => [digest(token.token), { face: "data", token }] as const),
    ...controlTokens.map((token) => [digest(token), CONTROL] as const),
  ]);
  return (authorization, query = null) => {
    const given = authorization === undefined ? query : bearer(authorization);
    if (given === null || given === "") return authorization === undefined ? NONE : WRONG;
    const caller = callers.get(digest(given));
    if (caller === undefined) return WRONG;
    if (caller.face === "control") return authorization === undefined ? WRONG : caller;
    const { expiresAtMs } = caller.token;
    return expiresAtMs !== null && Date.now() >= expiresAtMs ? EXPIRED : caller;
  };
}

function bearer(authorization: string): string | null {
  return /^Bearer (\S+)$/i.exec(authorization)?.[1] ?? null;
}
