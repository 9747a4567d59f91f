/**
 * Whose token it is.
 *
 * Promises: the time it takes says nothing about how much of a token was right.
 * Must never: keep or show a token in the clear.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { Face } from "./rest/commands.ts";

/** Takes the Authorization header; null: neither token. */
export type Doorkeeper = (authorization: string | undefined) => Face | null;

export function createDoorkeeper(controlToken: string, dataToken: string): Doorkeeper {
  const control = digest(controlToken);
  const data = digest(dataToken);
  return (authorization) => {
    const given = digest(/^Bearer (\S+)$/i.exec(authorization ?? "")?.[1] ?? "");
    const isControl = timingSafeEqual(given, control);
    const isData = timingSafeEqual(given, data);
    if (isControl) return "control";
    return isData ? "data" : null;
  };
}

function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
