/**
 * scripts/redis-server.ts with a real redis-server: started, stopped, killed, started again.
 */
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import {
  freePort,
  type RedisOptions,
  type RedisProcess,
  startRedis,
} from "../../scripts/redis-server.ts";
import { runs } from "../support/processes.ts";

const started: RedisProcess[] = [];
afterEach(() => Promise.all(started.splice(0).map((redis) => redis.stop())));

async function start(options?: RedisOptions): Promise<RedisProcess> {
  const redis = await startRedis(options);
  started.push(redis);
  return redis;
}

/** The answer to one inline command, as it came over the wire; null when nobody answers. */
function ask({ host, port }: RedisProcess, command: string): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect(port, host, () => socket.write(`${command}\r\n`));
    socket.on("data", (answer) => {
      socket.destroy();
      resolve(answer.toString());
    });
    socket.on("error", () => resolve(null));
  });
}

describe("startRedis", () => {
  it("answers once started, and leaves nothing behind", async () => {
    const redis = await start();
    expect(await ask(redis, "PING")).toBe("+PONG\r\n");
    expect(runs(redis.pid)).toBe(true);
    await redis.stop();
    expect(runs(redis.pid)).toBe(false);
    expect(existsSync(redis.dir)).toBe(false);
    await redis.stop();
  });

  it("after kill -9 it starts again on the same port, empty, with what CONFIG REWRITE kept", async () => {
    const redis = await start({ args: ["--min-replicas-max-lag", "7"] });
    const { pid, port } = redis;
    await ask(redis, "SET k v");
    await ask(redis, "CONFIG SET replica-priority 42");
    expect(await ask(redis, "CONFIG REWRITE")).toBe("+OK\r\n");
    await redis.kill();
    expect(await ask(redis, "PING")).toBe(null);
    await redis.start();
    expect(redis.port).toBe(port);
    expect(redis.pid).not.toBe(pid);
    expect(await ask(redis, "GET k")).toBe("$-1\r\n");
    expect(await ask(redis, "CONFIG GET replica-priority")).toContain("\r\n42\r\n");
    expect(await ask(redis, "CONFIG GET min-replicas-max-lag")).toContain("\r\n7\r\n");
  });

  it("SIGTERM waits for the end; a frozen one can be stopped", async () => {
    const [first, second] = [await start(), await start()];
    await first.kill("SIGTERM");
    expect(runs(first.pid)).toBe(false);
    await second.kill("SIGSTOP");
    await second.stop();
    expect(runs(second.pid)).toBe(false);
  });

  it("says what Redis said when it does not start", async () => {
    await expect(startRedis({ args: ["--nonsense", "1"] })).rejects.toThrow(/'nonsense 1'/);
  });

  it("does not take another server on its port for its own", async () => {
    const redis = await start();
    await expect(startRedis({ port: redis.port })).rejects.toThrow(/Address already in use/);
    expect(await ask(redis, "PING")).toBe("+PONG\r\n");
  });

  it("keeps a folder that it was given", async () => {
    const redis = await start();
    const dir = join(redis.dir, "given");
    const other = await start({ dir, port: await freePort() });
    expect(await ask(other, "CONFIG GET dir")).toContain(dir);
    await other.stop();
    expect(existsSync(join(dir, "redis.conf"))).toBe(true);
  });
});
