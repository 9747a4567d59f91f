/**
 * The KV routing table: one key a group, read by apps at the edge.
 *
 * Promises: a put that resolved is `done`. KV is eventually consistent, so it is not read back.
 * Must never: delete a key: a missing one is cached as missing.
 */
import { routeKey } from "../core/route.ts";
import { brief, within } from "../relay/request.ts";
import type { Publisher, PublishResult } from "./publisher.ts";

/** KV takes one write a second per key. */
const RETRY_AFTER_MS = 1000;

export function kvPublisher(namespace: Pick<KVNamespace, "put">): Publisher {
  return {
    name: "kv",
    publish: (route, { timeoutMs }) =>
      within<PublishResult>(
        timeoutMs,
        async () => {
          try {
            await namespace.put(routeKey(route.group), JSON.stringify(route));
            return { kind: "done", detail: `written: epoch ${route.epoch}, rev ${route.rev}` };
          } catch (error) {
            return failure(error instanceof Error ? error.message : "put failed");
          }
        },
        // A put cannot be aborted: it may still land.
        () => ({ kind: "unknown", detail: `put did not end within ${timeoutMs} ms` }),
      ),
  };
}

function failure(message: string): PublishResult {
  const detail = brief(message);
  return /\b429\b/.test(message)
    ? { kind: "failed", detail, retryAfterMs: RETRY_AFTER_MS }
    : { kind: "failed", detail };
}
