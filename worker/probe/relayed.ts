/**
 * The Worker's end of a relay's look: what the relay sees of its nodes, in one request.
 *
 * Promises: never rejects, and ends by its deadline; one answer for each node that was asked about; at most 256 KiB
 * are read; what the relay says of one node that cannot be read says nothing of the others.
 * Must never: retry, or take a relay's silence for a node's.
 */
import * as v from "valibot";
import type { Found } from "../core/looking.ts";
import { relayHeaders } from "../relay/caller.ts";
import { LOOK_PATH, lookAnswer, nodeLook } from "../relay/look-protocol.ts";
import { type Answer, brief, type Fetch, request } from "../relay/request.ts";
import { relayFacts, relayFault } from "./bounded.ts";
import { failed } from "./probe.ts";
import { lookOverRest } from "./upstash.ts";

export type RelayTarget = {
  readonly group: string;
  readonly url: string;
  readonly token: string;
};

/** How long ago the relay knew it. */
export type Aged = Found & { readonly agoMs: number };
type LookOptions = { readonly timeoutMs: number; readonly fetch?: Fetch };

const MAX_BYTES = 256 * 1024;

export async function lookThrough(
  { group, url, token }: RelayTarget,
  nodes: readonly string[],
  options: LookOptions,
): Promise<ReadonlyMap<string, Aged>> {
  const target = { group, token, url: url.replace(/\/+$/, "") };
  const deadlineAtMs = performance.now() + options.timeoutMs;
  const answer = await request(
    {
      method: "POST",
      url: target.url + LOOK_PATH,
      headers: relayHeaders(token, group, options.timeoutMs),
      body: { nodes },
    },
    { ...options, maxBytes: MAX_BYTES },
  );
  if (isOlder(answer)) {
    const timeoutMs = Math.floor(deadlineAtMs - performance.now());
    return oneByOne(target, nodes, { ...options, timeoutMs });
  }
  return read(answer, nodes, token);
}

/**
 * A relay of an earlier version has nothing at that address. While relays and Worker are brought to a new version, one
 * after the other, its nodes are looked at as they were before: a request each.
 */
const isOlder = (answer: Answer): boolean =>
  answer.kind === "json" && (answer.status === 404 || answer.status === 405);

async function oneByOne(
  relay: RelayTarget,
  nodes: readonly string[],
  options: LookOptions,
): Promise<ReadonlyMap<string, Aged>> {
  const looks = nodes.map(async (node): Promise<readonly [string, Aged]> => {
    const url = `${relay.url}/nodes/${encodeURIComponent(node)}`;
    return [node, { ...(await lookOverRest({ ...relay, url }, options)), agoMs: 0 }];
  });
  return new Map(await Promise.all(looks));
}

function read(answer: Answer, nodes: readonly string[], token: string): ReadonlyMap<string, Aged> {
  const relay = answer.kind === "none" ? null : relayFacts(answer.headers);
  const none = (found: Found): Aged => ({ ...found, relay, agoMs: 0 });
  const said =
    answer.kind === "json" && answer.status === 200 ? v.safeParse(lookAnswer, answer.body) : null;
  if (said?.success !== true) {
    const { class: kind, detail } = relayFault(answer);
    const found = none(failed(kind, brief(detail, token)));
    return new Map(nodes.map((node) => [node, found]));
  }
  const looks = new Map<string, Aged>();
  for (const each of said.output.looks) {
    const look = v.safeParse(nodeLook, each);
    if (!look.success) continue;
    const { node, detail, ...found } = look.output;
    looks.set(node, { ...found, detail: brief(detail, token), relay });
  }
  const missing = none(failed("malformed", "the relay says nothing of it that can be read"));
  return new Map(nodes.map((node) => [node, looks.get(node) ?? missing]));
}
