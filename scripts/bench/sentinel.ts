/**
 * Redis Sentinel, real: three redis-servers and three sentinels over them.
 *
 * Promises: stands when every sentinel knows the others and both replicas; free ports; every process and folder
 * is gone after `stop`, and with this process.
 * Must never: touch a process that it did not start.
 */
import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EDGE, makeBoxes } from "../netns/boxes.ts";
import { startStays } from "../netns/stays.ts";
import { type RedisProcess, startRedis } from "../redis-server.ts";
import { sentinelApp } from "./apps.ts";
import { oneMachine, type Place, startSentinels } from "./sentinels.ts";
import { follows, ids, type Side, type SideOptions, staysFrom, until } from "./side.ts";
import { type Address, ask, startWriter } from "./writer.ts";

const group = "cache";
const addressOf = ({ host, port }: Address) => ({ host, port });

export async function startSentinelSide(
  { redisArgs, boxed }: SideOptions,
  downAfterMs: number,
): Promise<Side> {
  const dir = await mkdtemp(join(tmpdir(), "picket-bench-"));
  // Also when this process ends without a word of goodbye.
  const last = () => rmSync(dir, { recursive: true, force: true });
  process.on("exit", last);
  const ending: (() => Promise<unknown>)[] = [
    async () => {
      await rm(dir, { recursive: true, force: true });
      process.off("exit", last);
    },
  ];
  const stop = async () => {
    for (const end of ending.splice(0).reverse()) await end().catch(() => undefined);
  };
  try {
    const boxes = boxed ? makeBoxes(["a"]) : null;
    ending.push(async () => boxes?.stop());
    /** a sentinel stands beside each server, as its documentation has it. */
    const placeOf = (id: string): Place => {
      const place = id === "a" ? id : EDGE;
      if (boxes === null) return oneMachine;
      return { host: boxes.hostOf(place), inside: boxes.inside(place) };
    };
    const redis: Record<string, RedisProcess> = {};
    const servers: RedisProcess[] = [];
    for (const id of ids) {
      const place = placeOf(id);
      const { a } = redis;
      const open = boxed ? ["--bind", place.host, "--protected-mode", "no"] : [];
      const follow = a === undefined ? [] : ["--replicaof", a.host, String(a.port)];
      const args = [...open, ...follow, ...redisArgs];
      const server = await startRedis({ ...place, dir: join(dir, id), args });
      redis[id] = server;
      servers.push(server);
      ending.push(() => server.stop());
    }
    const [primary, ...replicas] = servers;
    if (primary === undefined) throw new Error("there is no redis a");
    await until("replicas of a", async () => {
      for (const replica of replicas) if (!(await follows(replica, primary))) return false;
      return true;
    });
    const places = ids.map(placeOf);
    const master = { name: group, ...addressOf(primary), replicas: replicas.length };
    const sentinels = await startSentinels(dir, places, [master], downAfterMs);
    ending.push(sentinels.stop);
    return {
      redis,
      // It hears of switches from the first of them: let that be one that lives on.
      app: () => sentinelApp(group, [...sentinels.all].reverse()),
      stays: async () =>
        boxes === null
          ? startWriter(primary, staysFrom)
          : startStays(boxes.inside("a"), primary, staysFrom),
      switchOver: async () => {
        const [one] = sentinels.all;
        if (one !== undefined) await ask(one, ["SENTINEL", "FAILOVER", group]);
      },
      box:
        boxes === null
          ? null
          : { cut: () => boxes.cut("a", EDGE), heal: () => boxes.heal("a", EDGE) },
      said: async () => sentinels.all.flatMap(({ lines }) => lines),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
