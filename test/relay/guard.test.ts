/** The guard on real processes: it seals when its relay is gone, silent, or past its lease, and no earlier. */
import { readFile } from "node:fs/promises";
import { expect, onTestFinished, test } from "vitest";
import type { RedisProcess } from "../../scripts/redis-server.ts";
import { machineNow } from "../../worker/relay/lease/beats.ts";
import { startGuard } from "../../worker/relay/lease/guard.ts";
import { SEALED } from "../../worker/relay/protocol.ts";
import { runs } from "../support/processes.ts";
import { until } from "../support/wait.ts";
import { ask, nodeAt, redis } from "./support.ts";

/** Long enough that nothing here ends by itself on a machine that has much else to do. */
const LEASE_MS = 60_000;
const PASSWORD = "a-password-of-the-tests";
const sealed = async (server: RedisProcess) => {
  const [config] = await ask(server, ["CONFIG", "GET", "min-replicas-to-write"]);
  return Number((config as readonly string[])[1]) >= SEALED;
};

async function guarded(more: { killCommand?: (server: RedisProcess) => readonly string[] } = {}) {
  const server = await redis({ args: ["--user", "guard", "on", `>${PASSWORD}`, "~*", "+@all"] });
  const events: string[] = [];
  const endpoint = nodeAt("a", server, { username: "guard", password: PASSWORD });
  const killCommand = more.killCommand?.(server) ?? null;
  const guard = startGuard({ node: "a", endpoint, sealMs: 2000, killCommand }, (event) =>
    events.push(event),
  );
  const beat = (leftMs = LEASE_MS, leaseMs = LEASE_MS, open = true) => {
    const cover = { from: machineNow(), ms: leftMs };
    guard.beat({ cover, last: cover, open, leaseMs });
  };
  onTestFinished(() => {
    guard.release();
  });
  const bornMs = guard.aliveMs();
  await until("a sign of life", () => {
    beat();
    return guard.aliveMs() > bornMs;
  });
  return { server, guard, beat, events, pid: guard.pid() ?? 0 };
}

test("its relay is gone: it seals at once, and ends", async () => {
  const { server, guard, pid } = await guarded();
  expect(await sealed(server)).toBe(false);
  // What the kernel does to the pipe of a process that was killed.
  guard.release();
  await until("the seal", () => sealed(server));
  await until("its end", () => !runs(pid));
});

test("asked by a signal to end it stays: whoever stops the relay's processes means the relay", async () => {
  const { server, guard, beat, pid } = await guarded();
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.kill(pid, signal);
  const saidMs = guard.aliveMs();
  await until("a sign of life", () => {
    beat();
    return guard.aliveMs() > saidMs;
  });
  expect(guard.pid()).toBe(pid);
  expect(await sealed(server)).toBe(false);
});

test("no beat for a quarter of a lease: it seals, once; what is opened afterwards stays open", async () => {
  const { server, guard, beat, events } = await guarded();
  beat(LEASE_MS, 400);
  await until("the seal", () => sealed(server));
  await until("its word", () => events.includes("guard-lease-seal"));
  await ask(server, ["CONFIG", "SET", "min-replicas-to-write", "0"]);
  const saidMs = guard.aliveMs();
  beat();
  await until("a further beat", () => guard.aliveMs() > saidMs);
  expect(events.filter((each) => each === "guard-lease-seal")).toHaveLength(1);
  expect(await sealed(server)).toBe(false);
});

test("the lease is over: it seals though its relay lives", async () => {
  const { server, guard } = await guarded();
  const cover = { from: machineNow(), ms: 2500 };
  await until("the seal", () => {
    guard.beat({ cover, last: cover, open: true, leaseMs: LEASE_MS });
    return sealed(server);
  });
});

test("X2 a Redis that does not confirm is ended by the command of the settings, which gets no secret", async () => {
  const seen = "/proc/self/environ";
  const { server, guard, events, beat } = await guarded({
    killCommand: ({ dir, pid }) => ["sh", "-c", `cat ${seen} > ${dir}/environ; kill -9 ${pid}`],
  });
  const { pid, dir } = server;
  beat(3000);
  await server.kill("SIGSTOP");
  guard.release();
  await until("its end", () => !runs(pid));
  const environ = await readFile(`${dir}/environ`, "utf8");
  expect(environ).toContain("PATH=");
  expect(environ).not.toContain(PASSWORD);
  expect(events).toEqual([]);
});

test("it is killed: another one is started, and knows the same", async () => {
  const { server, guard, beat, events, pid } = await guarded();
  process.kill(pid, "SIGKILL");
  await until("another one", () => (guard.pid() ?? pid) !== pid);
  expect(events).toContain("guard-gone");
  const bornMs = guard.aliveMs();
  await until("a sign of life", () => {
    beat();
    return guard.aliveMs() > bornMs;
  });
  expect(await sealed(server)).toBe(false);
  guard.release();
  await until("the seal", () => sealed(server));
});

test("no secret stands in its command line or its environment", async () => {
  const { pid } = await guarded();
  for (const file of ["cmdline", "environ"])
    expect(await readFile(`/proc/${pid}/${file}`, "utf8")).not.toContain(PASSWORD);
});

test("its relay dies before the guard has begun to live: it seals all the same", async () => {
  const server = await redis();
  const guard = startGuard(
    { node: "a", endpoint: nodeAt("a", server), sealMs: 2000, killCommand: null },
    () => undefined,
  );
  guard.release();
  await until("the seal", () => sealed(server));
});
