/**
 * The Worker's end of a relay's look: what the relay sees of its nodes.
 *
 * Promises: never rejects, and ends by its deadline; one answer for each node that was asked about.
 * Must never: retry, or take a relay's silence for a node's.
 */
import type { Found } from "../core/looking.ts";
import { lookOverRest } from "./upstash.ts";

export type RelayTarget = {
  readonly group: string;
  readonly url: string;
  readonly token: string;
};

/** How long ago the relay knew it. */
export type Aged = Found & { readonly agoMs: number };

export async function lookThrough(
  relay: RelayTarget,
  nodes: readonly string[],
  timeoutMs: number,
): Promise<ReadonlyMap<string, Aged>> {
  const looks = nodes.map(async (node): Promise<readonly [string, Aged]> => {
    const url = `${relay.url.replace(/\/+$/, "")}/nodes/${encodeURIComponent(node)}`;
    return [node, { ...(await lookOverRest({ ...relay, url }, { timeoutMs })), agoMs: 0 }];
  });
  return new Map(await Promise.all(looks));
}
