/**
 * Three Sentinels over many sets, with as many names as asked for.
 *
 * Where names are more than sets, several stand for one set: Sentinel watches each name by itself.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { oneMachine, startSentinels } from "../sentinels.ts";
import { ask } from "../writer.ts";
import type { Side } from "./side.ts";
import type { Trio } from "./trios.ts";

export async function startSentinel(
  trios: readonly Trio[],
  names: number,
  downAfterMs: number,
): Promise<Side> {
  const dir = mkdtempSync(join(tmpdir(), "picket-scale-"));
  const last = () => rmSync(dir, { recursive: true, force: true });
  process.on("exit", last);
  const masters = Array.from({ length: names }, (_, at) => {
    const trio = trios[at % trios.length];
    if (trio === undefined) throw new Error("there are no sets");
    return { name: `g${at}`, host: trio.a.host, port: trio.a.port, replicas: 2 };
  });
  const places = [oneMachine, oneMachine, oneMachine];
  const { all, stop } = await startSentinels(dir, places, masters, downAfterMs).catch((error) => {
    last();
    throw error;
  });
  const [first] = all;
  return {
    pids: { sentinels: all.map(({ pid }) => pid) },
    isTold: async (trio) => {
      if (first === undefined) return false;
      const name = `g${trios.indexOf(trio)}`;
      const [at] = await ask(first, ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name]);
      return Array.isArray(at) && Number(String(at[1])) !== trio.a.port;
    },
    stop: async () => {
      await stop();
      last();
      process.off("exit", last);
    },
  };
}
