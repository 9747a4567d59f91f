/**
 * CPU per command of the client library over @upstash/redis alone: `npm run bench:client`.
 *
 * Both speak to a stub in place of `fetch` that answers at once, so nothing but the libraries is measured; both with
 * the same settings (no automatic pipelines, no telemetry, no retries by the SDK). They take turns in one run,
 * and change who begins: what else the machine does falls upon both. Told is the median of the rounds' ratios.
 * Must never: use the network, or fail for its figures. It says whether the goals are met.
 */
import { Redis } from "@upstash/redis/cloudflare";
import { type Client, connect, type Route } from "../../worker/client/index.ts";
import { readRoutes } from "../../worker/client/reader.ts";

const most = 1.15;
const rounds = 31;
const perRound = 3000;
const lookUps = 1_000_000;
const mostLookUpUs = 1;

const text = (value: string) => Buffer.from(value).toString("base64");
const answers = new Map([
  ["get", JSON.stringify({ result: text("some value") })],
  ["set", JSON.stringify({ result: "OK" })],
  ["pipeline", JSON.stringify(Array.from({ length: 10 }, () => ({ result: text("value") })))],
]);
let answer = "";
const headers = { "content-type": "application/json", "upstash-sync-token": "1" };
globalThis.fetch = (async () => new Response(answer, { headers })) as typeof fetch;

const end = (id: string) => ({
  id,
  host: "10.0.0.1",
  port: 6379,
  tls: false,
  rest: `https://relay-${id}.example.com/nodes/${id}`,
});
const route: Route = {
  v: 1,
  group: "cache",
  mode: "replication",
  epoch: 1,
  rev: 0,
  state: "up",
  hostname: null,
  primary: end("a"),
  replicas: ["b", "c"].map((id) => ({ ...end(id), readWeight: 1 })),
  updatedAt: "2026-11-20T12:00:00.000Z",
};
const kv = { get: async () => route };

const alone = new Redis({
  url: "https://relay-a.example.com/nodes/a",
  token: "token",
  retry: { retries: 0 },
  enableAutoPipelining: false,
  enableTelemetry: false,
});
const plain = connect(kv, "cache", { token: "token" });
const inNamespace = connect(kv, "cache", { token: "token", namespace: "app" });

type Use = (redis: Redis | Client) => Promise<unknown>;
const get: Use = (redis) => redis.get("key");
const set: Use = (redis) => redis.set("key", "value");
const pipeline: Use = (redis) => {
  const all = redis.pipeline();
  for (let n = 0; n < 10; n += 1) all.get("key");
  return all.exec();
};

const cases: readonly (readonly [name: string, kind: string, ours: Client, use: Use])[] = [
  ["GET", "get", plain, get],
  ["SET", "set", plain, set],
  ["a pipeline of 10", "pipeline", plain, pipeline],
  [
    "GET, from replicas",
    "get",
    connect(kv, "cache", { token: "token", readFrom: "replicas" }),
    get,
  ],
  ["GET, in a namespace", "get", inNamespace, get],
];

async function cpuUs(redis: Redis | Client, use: Use, times: number): Promise<number> {
  const before = process.cpuUsage();
  for (let n = 0; n < times; n += 1) await use(redis);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / times;
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

async function compare(kind: string, ours: Client, use: Use) {
  answer = answers.get(kind) ?? "";
  const theirUs: number[] = [];
  const ourUs: number[] = [];
  for (let round = -3; round < rounds; round += 1) {
    const turns: readonly (readonly [Redis | Client, number[]])[] = [
      [alone, theirUs],
      [ours, ourUs],
    ];
    for (const [redis, taken] of round % 2 === 0 ? turns : turns.toReversed()) {
      const us = await cpuUs(redis, use, kind === "pipeline" ? perRound / 4 : perRound);
      // The first rounds are for the compiler.
      if (round >= 0) taken.push(us);
    }
  }
  const ratio = median(ourUs.map((us, round) => us / (theirUs[round] ?? Number.NaN)));
  return { theirUs: median(theirUs), ourUs: median(ourUs), ratio };
}

async function lookUpUs(): Promise<number> {
  const reader = readRoutes(kv, "cache", { memoMs: 600_000 });
  await reader.current();
  const taken: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    const beganAtMs = performance.now();
    for (let n = 0; n < lookUps; n += 1)
      if (reader.fresh(Date.now()) === null) throw new Error("no route");
    taken.push(((performance.now() - beganAtMs) * 1000) / lookUps);
  }
  return median(taken);
}

console.log("| CPU per call, us | @upstash/redis | picket/client | ratio |");
console.log("| --- | --- | --- | --- |");
let worst = 0;
for (const [name, kind, ours, use] of cases) {
  const { theirUs, ourUs, ratio } = await compare(kind, ours, use);
  console.log(`| ${name} | ${theirUs.toFixed(1)} | ${ourUs.toFixed(1)} | ${ratio.toFixed(3)} |`);
  // The SDK alone has no namespaces.
  if (ours !== inNamespace) worst = Math.max(worst, ratio);
}
const us = await lookUpUs();
const judged = (met: boolean) => (met ? "met" : "not met");
console.log(`\ngoal: a ratio of at most ${most}, without a namespace: ${judged(worst <= most)}`);
console.log(
  `goal: a route from the memo in less than ${mostLookUpUs} us: ${us.toFixed(3)} us, ${judged(us < mostLookUpUs)}`,
);
