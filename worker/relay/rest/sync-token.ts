/**
 * `Upstash-Sync-Token`: opaque to clients, another one after every write.
 *
 * Promises: two answers with the same token have no write of this relay's callers to that node between them.
 * Must never: be taken for a position in Redis's history. A node answers from its own data only, so whoever
 * stays with a node reads what it wrote.
 */
import { randomBytes } from "node:crypto";
import type { Headers } from "./answer.ts";
import type { RestNode } from "./node.ts";

export type SyncTokens = {
  /** Something that may have written was sent. */
  readonly wrote: (node: RestNode) => void;
  readonly header: (node: RestNode) => Headers;
};

export function createSyncTokens(): SyncTokens {
  const boot = randomBytes(6).toString("base64url");
  const headers = new Map<string, Headers>();
  let writes = 0;

  function next({ id }: RestNode): Headers {
    const header = ["upstash-sync-token", `${boot}.${id}.${writes}`];
    headers.set(id, header);
    return header;
  }

  return {
    wrote: (node) => {
      writes += 1;
      next(node);
    },
    header: (node) => headers.get(node.id) ?? next(node),
  };
}
