/**
 * What Cloudflare and the peers ask for, as data: each figure with where it stands and when it was read.
 *
 * Promises: dollars a month, list prices, without taxes; what is not known is said so, and not guessed.
 */

export type Price = {
  readonly what: string;
  /** In a month, with the plan. */
  readonly included: number;
  /** For each million after that; what is left of a million is billed as a whole one. */
  readonly perMillion: number;
};

/** Workers Paid: what its meters count. */
export type Meter =
  | "workerRequests"
  | "workerCpuMs"
  | "objectRequests"
  | "objectGbS"
  | "rowsRead"
  | "rowsWritten"
  | "kvReads"
  | "kvWrites"
  | "logEvents";

export const PLAN = {
  name: "Workers Paid",
  dollars: 5,
  source: "developers.cloudflare.com: workers, durable-objects, kv: platform/pricing",
  readOn: "2026-11-20",
};

const million = 1_000_000;

export const prices: Readonly<Record<Meter, Price>> = {
  workerRequests: {
    what: "Worker requests, cron among them",
    included: 10 * million,
    perMillion: 0.3,
  },
  workerCpuMs: { what: "Worker CPU, ms", included: 30 * million, perMillion: 0.02 },
  objectRequests: {
    what: "Durable Object requests: RPC, alarms, messages / 20",
    included: million,
    perMillion: 0.15,
  },
  objectGbS: { what: "Durable Object duration, GB-s", included: 400_000, perMillion: 12.5 },
  rowsRead: { what: "rows read", included: 25_000 * million, perMillion: 0.001 },
  rowsWritten: { what: "rows written, alarms among them", included: 50 * million, perMillion: 1 },
  kvReads: { what: "KV reads", included: 10 * million, perMillion: 0.5 },
  kvWrites: { what: "KV writes, deletes, lists", included: million, perMillion: 5 },
  logEvents: { what: "log events", included: 20 * million, perMillion: 0.6 },
};

/** The Free plan's limits of a day; what is over them fails. Of CPU it has a limit for each invocation: 10 ms. */
export const free: Partial<Readonly<Record<Meter, number>>> = {
  workerRequests: 100_000,
  objectRequests: 100_000,
  objectGbS: 13_000,
  rowsRead: 5 * million,
  rowsWritten: 100_000,
  kvReads: 100_000,
  kvWrites: 1000,
  logEvents: 200_000,
};

/** Billed for an object whatever it needs: 128 MB. */
export const OBJECT_GB = 0.128;
/** Messages of a WebSocket that are billed as one request. */
export const MESSAGES_PER_REQUEST = 20;

/** AWS Route 53 health checks, each endpoint a month. */
export const route53 = {
  source: "aws.amazon.com/route53/pricing",
  readOn: "2026-09-20",
  everyS: 30,
  /** The endpoint stands somewhere else than at AWS, as here; at AWS: 0.50, and the first 50 are free. */
  check: 0.75,
  /** Every 10 s; HTTPS, string matching and latency are one such feature each; at AWS: 1.00. */
  feature: 2,
  fastEveryS: 10,
  zone: 0.5,
};

/** Cloudflare Load Balancing, a month. Its own price page could not be read: what its customers write down. */
export const loadBalancing = {
  source:
    "customers' documents that agree; the free 500,000 queries and the intervals: developers.cloudflare.com",
  readOn: "2026-11-21",
  /** With the first two endpoints. */
  base: 5,
  endpoints: 2,
  more: 5,
  /** For 500,000 DNS queries after the first 500,000; not counted here. */
  queries: 0.5,
  /** Shortest interval by the zone's plan. */
  everyS: { "Free, Pro": 60, Business: 15, Enterprise: 10 },
  /** The zone's plan, billed monthly: cloudflare.com/plans, read 2026-10-07. */
  business: 250,
};
