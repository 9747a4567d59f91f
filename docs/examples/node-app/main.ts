/**
 * Writes numbers, one after another, and says of each where it was confirmed: `node main.ts ioredis`.
 *
 * RELAYS and TOKENS: address and data token of each relay, in the same order, with commas. GROUP: "cache".
 */
import { setTimeout as pause } from "node:timers/promises";
import type { FollowSource } from "picket/client";
import { withIoredis } from "./with-ioredis.ts";
import { withNodeRedis } from "./with-node-redis.ts";

const { RELAYS = "", TOKENS = "", GROUP = "cache" } = process.env;
const tokens = TOKENS.split(",");
// Each relay tells it at once, also when the edge is away; one that is alive is enough.
const sources: FollowSource[] = RELAYS.split(",").map((url, index) => ({
  kind: "relay",
  url,
  token: tokens[index] ?? "",
}));

const redis = (process.argv[2] === "ioredis" ? withIoredis : withNodeRedis)(sources, GROUP);
let isEnding = false;
process.on("SIGTERM", () => {
  isEnding = true;
});

for (let n = 1; !isEnding; n += 1) {
  for (let tries = 1; !isEnding; tries += 1) {
    try {
      // In a set twice is as good as once, so a write whose outcome is unknown is simply repeated. One that
      // must not be (INCR, LPUSH) is to be reported here, or to carry an id of its own.
      await redis.sadd("numbers", String(n));
      console.log(JSON.stringify({ confirmed: n, tries }));
      break;
    } catch (error) {
      console.log(JSON.stringify({ failed: n, why: (error as Error).name }));
      await pause(100);
    }
  }
  await pause(10);
}
redis.close();
