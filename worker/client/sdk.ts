/**
 * The two ends of @upstash/redis: one node as its `Requester`, and its whole command surface over any other.
 *
 * Promises: a request goes out once, is bounded in time, and carries no telemetry; every command, pipeline,
 * transaction, script and subscription of the surface is one call of `request`, made synchronously.
 * Must never: decide where a command goes.
 */
import { Redis, type Requester, type UpstashRequest } from "@upstash/redis/cloudflare";
import { type Limit, limitsOf } from "./limit.ts";

export type { Requester, UpstashRequest };

export type NodeOptions = {
  /** Upstash REST address of the node. */
  readonly url: string;
  readonly token: string;
  /** Longest wait for a whole answer; of a stream, for its beginning. */
  readonly timeoutMs: number;
  /** As in the SDK: what comes back is base64 on the wire, so that every byte survives; "base64". */
  readonly responseEncoding?: false | "base64";
};

/** No stream: see stream.ts. `timeoutMs` for this one, in place of the node's; Infinity: no bound. */
export type NodeRequest = Omit<UpstashRequest, "signal"> & { readonly timeoutMs?: number };

export type NodeRequester = {
  /** The SDK's own: `upstashSyncToken` goes with the next request, and is replaced by the one of each answer. */
  readonly http: Requester;
  /** In two steps, for who counts nanoseconds: whoever begins a request ends it, whatever came of it. */
  begin<T>(asked: NodeRequest): Sent<T>;
  end(sent: Sent<unknown>): void;
};

export type Sent<T> = {
  readonly answer: Promise<{ result?: T; error?: string }>;
  readonly limit: Limit;
};

/** One node. Keeps no connection between requests, so all requests of an isolate may share it. */
export function nodeRequester(options: NodeOptions): NodeRequester {
  const { url, token, timeoutMs: usualMs, responseEncoding = "base64" } = options;
  const limits = limitsOf(usualMs);
  let signal: AbortSignal;
  const http = new Inner({
    url,
    token,
    responseEncoding,
    // The SDK would repeat any command whose connection broke, INCR too.
    retry: { retries: 0 },
    enableTelemetry: false,
    enableAutoPipelining: false,
    // A function: with a plain signal an aborted command resolves, as if it had an answer.
    // The SDK calls it before its first await, so it is this request's own.
    signal: () => signal,
  }).inner;

  function begin<T>(asked: NodeRequest): Sent<T> {
    const limit = limits.begin(asked.timeoutMs ?? usualMs);
    signal = limit.end.signal;
    return { answer: http.request<T>(asked), limit };
  }
  return { http, begin, end: ({ limit }) => limits.end(limit) };
}

/** Rejects with what the SDK throws; with a `TimeoutError` when there was no answer in time. */
export async function askNode<T>(
  node: NodeRequester,
  asked: NodeRequest,
): Promise<{ result?: T; error?: string }> {
  const sent = node.begin<T>(asked);
  try {
    return await sent.answer;
  } finally {
    node.end(sent);
  }
}

export type SurfaceOptions = {
  /** Commands of one tick go as one pipeline, as in the SDK; false. */
  readonly enableAutoPipelining?: boolean;
  /** As in the SDK: what looks like JSON comes back parsed; true. */
  readonly automaticDeserialization?: boolean;
};

/** The whole command surface of the SDK; whatever it asks goes to `requester`. */
export class RoutedRedis extends Redis {
  constructor(requester: Requester, options: SurfaceOptions = {}) {
    super({
      enableAutoPipelining: false,
      ...options,
      // Never asked.
      url: "https://picket.invalid",
      token: "none",
      enableTelemetry: false,
    });
    this.client = requester;
  }
}

class Inner extends Redis {
  get inner(): Requester {
    return this.client;
  }
}
