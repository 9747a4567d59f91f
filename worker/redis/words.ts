/**
 * The first word of an error of Redis, as the class of a look.
 *
 * Promises: pure. Must never: name a class for a word that it does not know.
 */
import type { ObservationClass } from "../core/types.ts";

const classes = {
  LOADING: "loading",
  BUSY: "busy",
  MISCONF: "misconf",
  NOAUTH: "auth",
  WRONGPASS: "auth",
  NOPERM: "auth",
} as const satisfies Readonly<Record<string, ObservationClass>>;

export const firstWord = (error: string): string => error.replace(/^-/, "").split(" ", 1)[0] ?? "";

/** Null: none of those that say how a Redis is. */
export function classOfWord(error: string): (typeof classes)[keyof typeof classes] | null {
  const word = firstWord(error);
  return Object.hasOwn(classes, word) ? classes[word as keyof typeof classes] : null;
}
