/**
 * Nodes that boot sealed, on real Redis servers: opened at run time, sealed on disk, and what a restart does.
 */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test, vi } from "vitest";
import type { RedisProcess } from "../../scripts/redis-server.ts";
import { BOOT_SEALED, SEALED } from "../../worker/relay/protocol.ts";
import {
  app,
  ask,
  facts,
  nodeAt,
  online,
  redis,
  relayOver,
  settingsFor,
  settled,
  tell,
  verb,
} from "./support.ts";

const door = new URL("../../scripts/relay.ts", import.meta.url).pathname;
const done = { status: 200, body: { outcome: "done", detail: "" } };

/** What the relay prints for redis.conf, as a person pastes it there. */
async function printed(): Promise<readonly string[]> {
  const { stdout } = await promisify(execFile)(process.execPath, [door, "--print-redis-conf"]);
  return stdout.split("\n").filter((line) => line !== "");
}

async function sealedArgs(): Promise<string[]> {
  const lines = (await printed()).filter((line) => !line.startsWith("#"));
  return lines.flatMap((line) => {
    const [setting = "", value = ""] = line.split(" ");
    return [`--${setting}`, value];
  });
}

async function fileOf(server: RedisProcess): Promise<string> {
  return readFile(join(server.dir, "redis.conf"), "utf8");
}
async function expectSealedFile(server: RedisProcess) {
  const lines = (await fileOf(server)).split("\n");
  // Redis leaves out what is its own default, as this one is.
  for (const [setting, value] of BOOT_SEALED.filter(([each]) => each !== "min-replicas-max-lag")) {
    expect(lines).toContain(`${setting} ${value}`);
  }
}
const running = async (server: RedisProcess, setting: string) => {
  const [said] = await ask(server, ["CONFIG", "GET", setting]);
  return Array.isArray(said) ? said[1] : null;
};

/** a and b boot sealed, b is told to follow a, and nobody was opened yet. */
async function sealedPair() {
  const args = await sealedArgs();
  const a = await redis({ args });
  const b = await redis({ args: [...args, "--replicaof", a.host, String(a.port)] });
  const relay = await relayOver(await settingsFor([nodeAt("a", a), nodeAt("b", b)]));
  await tell(relay);
  return { a, b, relay };
}
const opening = (primary: string, epoch: number) => ({
  ...{ epoch, primary, minReplicas: 0, bootSealed: true },
});

test("the printed lines have a comment each, and seal the server that starts with them", async () => {
  const lines = await printed();
  expect(lines.filter((line) => !line.startsWith("#"))).toEqual(
    BOOT_SEALED.map(([setting, value]) => `${setting} ${value}`),
  );
  for (const [index, line] of lines.entries())
    if (!line.startsWith("#")) expect(lines[index - 1]).toMatch(/^# /);

  const { a, relay } = await sealedPair();
  await expect(app(relay).set("k", "v")).rejects.toThrow(/NOREPLICAS/);
  for (const [setting, value] of BOOT_SEALED) expect(await running(a, setting)).toBe(String(value));
});

test("promoted: open at run time, sealed on disk; restarted empty, it takes no write and wipes nobody", async () => {
  const { a, b, relay } = await sealedPair();
  expect(await verb(relay, "a/promote", opening("a", 1))).toMatchObject(done);
  expect(await running(a, "min-replicas-to-write")).toBe("0");
  expect(await running(a, "repl-diskless-sync-delay")).toBe("5");
  await expectSealedFile(a);
  const keys = Array.from({ length: 500 }, (_, n) => `k${n}`);
  await ask(a, ["MSET", ...keys.flatMap((key) => [key, "v"])]);
  await online(a, b);
  await vi.waitFor(async () => expect(await ask(b, ["DBSIZE"])).toEqual(["500"]), settled);

  await a.kill();
  await a.start();
  expect(await facts(relay, "a")).toMatchObject({
    ...{ role: "primary", keys: 0, minReplicasToWrite: SEALED },
  });
  await expect(app(relay).set("k", "v")).rejects.toThrow(/NOREPLICAS/);
  // b asked for a copy of the empty node, is kept waiting for it, and has what it had.
  await vi.waitFor(async () => {
    const [info] = await ask(a, ["INFO", "replication"]);
    expect(String(info)).toMatch(/slave0:.*,state=wait_bgsave/);
  }, settled);
  await vi.waitFor(async () => {
    const seen = await facts(relay, "b");
    expect(seen?.linkDownMs).toBeGreaterThanOrEqual(2000);
  }, settled);
  expect(await facts(relay, "b")).toMatchObject({ role: "replica", keys: 500 });

  // It is b that goes on, opened by its relay in the same way.
  expect(await verb(relay, "b/promote", opening("b", 2))).toMatchObject(done);
  expect(await app(relay, "b").set("k", "v")).toBe("OK");
  await expectSealedFile(b);
  expect(await fileOf(b)).not.toMatch(/^replicaof /m);
});

test("unsealed: the same for a primary that booted, with what the group wants", async () => {
  const { a, b, relay } = await sealedPair();
  const unseal = { ...opening("a", 1), minReplicas: 1 };
  expect(await verb(relay, "a/unseal", unseal)).toMatchObject(done);
  expect(await running(a, "min-replicas-to-write")).toBe("1");
  await online(a, b);
  await vi.waitFor(async () => expect(await app(relay).set("k", "v")).toBe("OK"), settled);
  await expectSealedFile(a);
});

test("demoted: it follows, and stays sealed at run time and on disk", async () => {
  const { a, b, relay } = await sealedPair();
  await verb(relay, "b/promote", opening("b", 1));
  const follow = { host: b.host, port: b.port };
  const demotion = { ...opening("b", 1), follow };
  expect(await verb(relay, "a/demote", demotion)).toMatchObject(done);
  await online(b, a);
  expect(await facts(relay, "a")).toMatchObject({
    ...{ role: "replica", linkUp: true, minReplicasToWrite: SEALED },
  });
  await expectSealedFile(a);
  expect(await fileOf(a)).toMatch(new RegExp(`^replicaof ${b.host} ${b.port}$`, "m"));
});

test("after a planned switch: unsealed before, and its file put right after it", async () => {
  const { a, b, relay } = await sealedPair();
  await verb(relay, "a/promote", opening("a", 1));
  await online(a, b);
  // On a replica this opens nothing, and FAILOVER finds it open.
  expect(await verb(relay, "b/unseal", opening("b", 2))).toMatchObject(done);
  await expect(app(relay, "b").set("k", "v")).rejects.toThrow(/READONLY/);
  const order = { epoch: 2, primary: "b", to: { host: b.host, port: b.port }, timeoutMs: 10_000 };
  expect(await verb(relay, "a/switchover", order)).toMatchObject({ status: 200 });
  await vi.waitFor(async () => expect(await app(relay, "b").set("k", "v")).toBe("OK"), settled);
  expect(await fileOf(b)).toMatch(/^replicaof /m);
  expect(await verb(relay, "b/unseal", opening("b", 2))).toMatchObject(done);
  expect(await fileOf(b)).not.toMatch(/^replicaof /m);
  await expectSealedFile(b);
  expect(await app(relay, "b").set("k", "v")).toBe("OK");
});
