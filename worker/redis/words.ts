/**
 * The first word of an error of Redis, as the class of a look.
 *
 * Promises: pure. Must never: name a class for a word that it does not know.
 */
import type { ObservationClass } from "../core/types.ts";

const classes: Readonly<Record<string, ObservationClass>> = {
  LOADING: "loading",
  BUSY: "busy",
  MISCONF: "misconf",
  NOAUTH: "auth",
  WRONGPASS: "auth",
  NOPERM: "auth",
};

export const firstWord = (error: string): string => error.replace(/^-/, "").split(" ", 1)[0] ?? "";

/** Null: none of those that say how a Redis is. */
export function classOfWord(error: string): ObservationClass | null {
  const word = firstWord(error);
  return Object.hasOwn(classes, word) ? (classes[word] ?? null) : null;
}
