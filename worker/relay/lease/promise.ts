/**
 * Promises between relays, both ends: "I open nobody of this group for so long", asked for when the Group is away.
 *
 * Promises: one is given only to a peer that shows the token of the two, is not behind, and while no node of the
 * group is open here; it binds at once, and is on disk before it is told.
 * Must never: tell an unknown group from a wrong token.
 */
import type { Hono } from "hono";
import * as v from "valibot";
import { sameSecret } from "../door.ts";
import { brief, request, within } from "../request.ts";
import type { Env } from "../tokens.ts";
import type { LeaseMemory } from "./memory.ts";
import { type PromiseBody, promiseAnswer, promiseBody } from "./messages.ts";
import type { Now } from "./rules.ts";
import { whyNotPromised } from "./rules.ts";
import type { LeaseSettings, Peer } from "./settings.ts";

export type GiverParts = {
  readonly settings: readonly LeaseSettings[];
  readonly memory: LeaseMemory;
  readonly epochOf: (group: string) => number | null;
  /** A node of the group that is open by a lease kept here. */
  readonly openHere: (group: string) => string | null;
  readonly now: () => Now;
};

const MAX_BODY_CHARS = 4096;
const DISK_MS = 1000;

/** POST /promise. It has tokens of its own, so it stands before whatever asks for others. */
export function addPromiseRoute(app: Hono<Env>, parts: GiverParts): void {
  app.post("/promise", async (c) => {
    const given = /^Bearer (\S+)$/i.exec(c.req.header("authorization") ?? "")?.[1] ?? "";
    // All are compared, so that the time says nothing.
    const known = parts.settings.filter(
      ({ peers }) => peers.filter(({ token }) => sameSecret(given, token)).length > 0,
    );
    if (known.length === 0) return c.json({ error: "Unauthorized" }, 401);
    if (Number(c.req.header("content-length") ?? Number.NaN) > MAX_BODY_CHARS)
      return c.json({ error: `ERR a promise is asked for in ${MAX_BODY_CHARS} bytes` }, 413);
    const body = v.safeParse(promiseBody, await json(await c.req.text()));
    if (!body.success) return c.json({ error: wrong(body.issues) }, 400);
    if (!known.some(({ group }) => group === body.output.group))
      return c.json({ error: "Unauthorized" }, 401);
    const why = await give(parts, body.output);
    return c.json({ promised: why === null, why: why ?? "" }, why === null ? 200 : 409);
  });
}

/** Why none is given; null: it is. */
async function give(
  { memory, epochOf, openHere, now }: GiverParts,
  { group, node, epoch, leaseMs }: PromiseBody,
): Promise<string | null> {
  const whyNot = () => {
    const open = openHere(group);
    if (open !== null) return `${open} is open here, and not ${node}`;
    return whyNotPromised(epochOf(group), epoch);
  };
  const before = whyNot();
  if (before !== null) return before;
  const saved = memory.promise(group, leaseMs, now());
  const kept = await within(
    DISK_MS,
    () => saved,
    () => false,
  );
  // A verb of a higher epoch may have come meanwhile.
  return kept ? whyNot() : "the lease file could not be written in time";
}

/** Asks one peer: why it gave no promise; null: it did. */
export async function askPeer(
  peer: Peer,
  body: PromiseBody,
  timeoutMs: number,
): Promise<string | null> {
  const answer = await request(
    {
      method: "POST",
      url: `${peer.url}/promise`,
      headers: { authorization: `Bearer ${peer.token}` },
      body,
    },
    { timeoutMs, maxBytes: 4096 },
  );
  if (answer.kind !== "json") return brief(answer.detail, peer.token);
  const said = v.safeParse(promiseAnswer, answer.body);
  if (!said.success) return `HTTP ${answer.status}`;
  return answer.status === 200 && said.output.promised ? null : said.output.why;
}

function json(text: string): unknown {
  try {
    return text.length > MAX_BODY_CHARS ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function wrong(issues: readonly v.BaseIssue<unknown>[]): string {
  const [first] = issues;
  const path = first === undefined ? null : v.getDotPath(first);
  const given = first?.path === undefined ? "" : `: given ${shown(first.input)}, allowed`;
  return `ERR ${path ?? "the body"}${given}: ${first?.message ?? "an object"}`.slice(0, 300);
}

const shown = (value: unknown): string => (JSON.stringify(value) ?? "nothing").slice(0, 80);
