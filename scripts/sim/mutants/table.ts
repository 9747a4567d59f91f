/**
 * The defects and what caught each, for people.
 */
import type { Caught } from "./hunt.ts";

export function tableOf(caught: readonly Caught[]): string {
  const width = Math.max(...caught.map(({ name }) => name.length));
  return caught
    .map(({ name, by, seed, text }) => {
      const what = by === null ? "ESCAPED" : `${by}, seed ${seed}: ${text.slice(0, 100)}`;
      return `${name.padEnd(width)}  ${what}`;
    })
    .join("\n");
}
