/**
 * Asks the places that look: the Group looks through its relays by itself, regions are asked by RPC.
 *
 * Promises: everything is asked at once; nothing rejects; whoever does not answer within the time of a look did not
 * answer, and no timer is left behind.
 */
import { inTime, type RawEnv, secretOf, vantageOf } from "../env.ts";
import { startLooks } from "../probe/look.ts";
import { brief } from "../relay/request.ts";
import { type AskedOf, heardOf, observed, unanswered } from "./heard.ts";
import type { Asked, Heard, Question } from "./lookout.ts";
import { GROUP, orderOf } from "./orders.ts";

/** What a vantage is told of who asks. */
export type Asker = {
  /** Groups of this Worker: where they are many, several vantages of a region share them. */
  readonly groups: number;
  /** When the Group means to ask again; null: it leaves that to cron and to its relays. */
  readonly againMs: number | null;
};

export function askPlace(env: RawEnv, question: Question, asker: Asker): readonly Asked[] {
  const { config, from, epoch, pairs } = question;
  const asked = { from, epoch, askedAtMs: Date.now() };
  if (from !== GROUP) return [{ pairs, heard: askRegion(env, question, asked, asker) }];
  const secret = (name: string) => secretOf(env, name);
  const calls = startLooks(orderOf(config, from, pairs), { region: null, secret });
  return calls.map((call) => ({
    pairs: call.pairs,
    heard: call.seen.then((seen) => ({
      observations: observed(seen, asked, Date.now()),
      report: null,
      wayMs: null,
    })),
  }));
}

async function askRegion(
  env: RawEnv,
  { config, from, pairs, forMs }: Question,
  asked: AskedOf,
  { groups, againMs }: Asker,
): Promise<Heard> {
  const { name, location } = config;
  const failed = (detail: string) => unanswered(pairs, asked, brief(detail), Date.now());
  try {
    const order = orderOf(config, from, pairs);
    const stub = vantageOf(env, from, name, groups);
    const answer = await inTime(stub.look(from, { order, location, againMs }), forMs);
    const heard = heardOf(answer, pairs, asked, Date.now());
    return heard ?? failed("an answer that is none: it runs another version, or fails");
  } catch (error) {
    return failed(error instanceof Error ? error.message : "no answer");
  }
}
