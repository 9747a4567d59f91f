/**
 * A primary that needs a replica to take a write, cut off from everything with a client beside it: without any
 * lease it stops by itself, within its lag.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { acked, until } from "../../scripts/bench/side.ts";
import { type Stack, startStack, tokens } from "../../scripts/demo/stack.ts";
import { eventsAfter, routeNow } from "../../scripts/demo/watch.ts";
import { type Boxes, EDGE, makeBoxes, whyNoBoxes } from "../../scripts/netns/boxes.ts";
import { infoInside, startStays } from "../../scripts/netns/stays.ts";
import { must } from "../support/stack.ts";

const ids = ["a", "b", "c"];
const patienceMs = 120_000;

// Namespaces and links need root, Linux and iproute2.
describe.skipIf(whyNoBoxes() !== null)("three machines, min_replicas 1, no fencing", () => {
  let boxes: Boxes;
  let stack: Stack;
  beforeAll(async () => {
    boxes = makeBoxes(ids);
    stack = await startStack({
      ...{ ids, hostOf: boxes.hostOf, inside: boxes.inside },
      edgeHostOf: () => boxes.hostOf(EDGE),
      settings: { check_interval_ms: 500, down_after_ms: 2000, grace_ms: 0, min_replicas: 1 },
      redisArgs: () => [
        ...["--protected-mode", "no"],
        ...["--min-replicas-to-write", "1", "--min-replicas-max-lag", "2"],
      ],
    });
    void stack.cron();
    await until("two replicas in the route", async () => {
      const route = await routeNow(stack);
      return route?.primary?.id === "a" && route.replicas.length === 2;
    });
  }, patienceMs);
  afterAll(async () => {
    await stack?.stop();
    boxes?.stop();
  });

  it(
    "G24 X5 the primary is cut off with its client: it takes no write past its lag, and another one is promoted",
    async () => {
      const old = must(stack.redis.a, "redis a");
      const asked = () => infoInside(boxes.inside("a"), old);
      const offsetOf = (info: Readonly<Record<string, string>>) => Number(info.master_repl_offset);
      const client = startStays(boxes.inside("a"), old, 1);
      try {
        await acked(client, 100);
        for (const place of ["b", "c", EDGE]) boxes.cut("a", place);
        // It counts the replicas that it heard from within its lag, and now there is none.
        const alone = await until("a to be without replicas", async () => {
          const info = await asked();
          return info.role === "master" && info.min_slaves_good_slaves === "0" && info;
        });
        const primary = await until("another primary", async () => {
          const route = await routeNow(stack);
          return route?.state === "up" && route.primary?.id !== "a" && route.primary;
        });
        // Those who need a replica have one: the other one follows.
        await until("a write at the new one", async () => {
          const response = await fetch(must(primary?.rest, "its relay"), {
            method: "POST",
            headers: { authorization: `Bearer ${tokens.data(primary?.id ?? "")}` },
            body: JSON.stringify(["SET", "k", "v"]),
          });
          return response.ok;
        });
        // A few pings for its replicas, and not one of hundreds of writes.
        const later = await asked();
        expect(later.role).toBe("master");
        expect(offsetOf(later) - offsetOf(alone)).toBeLessThan(500);
        boxes.healAll();
        await until("a to follow", async () => {
          const { role, master_link_status: link } = await asked();
          return role === "slave" && link === "up";
        });
        const names = (await eventsAfter(stack, 0)).map(({ name }) => name);
        expect(names.filter((name) => name === "+switch-master")).toHaveLength(1);
      } finally {
        client.stop();
        boxes.healAll();
      }
    },
    patienceMs,
  );
});
