/**
 * `Upstash-Sync-Token`: opaque to clients, another one after every write.
 *
 * Promises: two answers with the same token have no write of this relay's callers to that node between them.
 * Must never: be taken for a position in Redis's history. A node answers from its own data only, so whoever
 * stays with a node reads what it wrote.
 */
import { randomBytes } from "node:crypto";
import type { Caller } from "../tokens.ts";
import type { Headers } from "./answer.ts";
import type { RestNode } from "./node.ts";

export type SyncTokens = {
  /** Something that may have written was sent. */
  readonly wrote: (node: RestNode) => void;
  readonly header: (node: RestNode, caller: Caller) => Headers;
};

const NOTHING: Headers = {};

export function createSyncTokens(): SyncTokens {
  const boot = randomBytes(6).toString("base64url");
  const writes = new Map<string, { count: number; header: Headers }>();

  function of({ id }: RestNode): { count: number; header: Headers } {
    let found = writes.get(id);
    if (found === undefined) {
      found = { count: 0, header: { "upstash-sync-token": `${boot}.${id}.0` } };
      writes.set(id, found);
    }
    return found;
  }

  return {
    wrote: (node) => {
      const found = of(node);
      found.count += 1;
      found.header = { "upstash-sync-token": `${boot}.${node.id}.${found.count}` };
    },
    header: (node, caller) => (caller.face === "data" ? of(node).header : NOTHING),
  };
}
