/**
 * Many small Redis sets on this machine: a primary and two replicas each, nothing kept on disk.
 *
 * Promises: `form` brings every set back to its first primary, whatever became of it; all processes and folders
 * are gone after `stop`, and with this process.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RedisProcess, startRedis } from "../../redis-server.ts";
import { follows, isPrimary, until } from "../side.ts";
import { ask } from "../writer.ts";

export type Trio = {
  /** "t07": its nodes are t07-a, t07-b and t07-c. */
  readonly name: string;
  readonly a: RedisProcess;
  readonly b: RedisProcess;
  readonly c: RedisProcess;
};

export type Trios = {
  readonly all: readonly Trio[];
  readonly pids: () => readonly number[];
  readonly form: () => Promise<void>;
  readonly stop: () => Promise<void>;
};

/** They are many, and only their state matters: little memory each. */
const small = ["--repl-backlog-size", "16kb", "--databases", "1"];

export const serversOf = ({ a, b, c }: Trio): readonly RedisProcess[] => [a, b, c];

export async function startTrios(count: number): Promise<Trios> {
  const dir = mkdtempSync(join(tmpdir(), "picket-scale-"));
  // Also when this process ends without a word of goodbye.
  const last = () => rmSync(dir, { recursive: true, force: true });
  process.on("exit", last);
  const servers: RedisProcess[] = [];
  const all: Trio[] = [];
  const stop = async () => {
    await Promise.allSettled(servers.splice(0).map((server) => server.stop()));
    last();
    process.off("exit", last);
  };
  const start = async (id: string) => {
    const server = await startRedis({ dir: join(dir, id), args: small });
    servers.push(server);
    return server;
  };
  try {
    for (let at = 0; at < count; at += 1) {
      const name = `t${String(at).padStart(2, "0")}`;
      all.push({
        ...{ name, a: await start(`${name}-a`), b: await start(`${name}-b`) },
        c: await start(`${name}-c`),
      });
    }
    await formAll(all);
  } catch (error) {
    await stop();
    throw error;
  }
  return { all, pids: () => servers.map(({ pid }) => pid), form: () => formAll(all), stop };
}

async function formAll(trios: readonly Trio[]): Promise<void> {
  for (const trio of trios) {
    // One that was killed is started anew; one that runs says no.
    for (const server of serversOf(trio)) await server.start().catch(() => undefined);
    await until(`${trio.name} as it was`, async () => {
      await ask(
        trio.a,
        ["REPLICAOF", "NO", "ONE"],
        ["CONFIG", "SET", "min-replicas-to-write", "0"],
      );
      for (const each of [trio.b, trio.c])
        await ask(each, ["REPLICAOF", trio.a.host, String(trio.a.port)]);
      return await isPrimary(trio.a);
    });
  }
  for (const { name, a, b, c } of trios)
    await until(`replicas of ${name}`, async () => (await follows(b, a)) && (await follows(c, a)));
}
