/**
 * What a token may do, and how much of everything one caller may have: the words that the configuration and
 * the REST face share.
 *
 * Promises: plain data; every limit has its unit in its name.
 * Must never: hold a default. Those are the configuration's.
 */

/** A token for apps. */
export type DataToken = {
  readonly token: string;
  /** Only commands that Redis itself flags `readonly`. */
  readonly readOnly: boolean;
  /** Every key of every command begins with it. */
  readonly keyPrefix: string | null;
  /** By the wall clock; afterwards 401 and a text that says expired. */
  readonly expiresAtMs: number | null;
};

export type Limits = {
  /** Of one request's body, after which it is 413. */
  readonly maxBodyBytes: number;
  /** Commands in one /pipeline or /multi-exec. */
  readonly maxPipeline: number;
  /** Of one answer's body. */
  readonly maxReplyBytes: number;
  /** Requests at work at one moment, open streams included. */
  readonly maxRequests: number;
  /** How long one request may wait inside Redis: BLPOP, XREAD BLOCK, WAIT. */
  readonly maxBlockMs: number;
  /** How long a request that was not sent yet may wait for a switch to end. */
  readonly holdMs: number;
};
