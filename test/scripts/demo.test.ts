/**
 * The demo as a person runs it: one round and its figures; and Ctrl-C at the worst moments.
 *
 * Promises: judges by exit code, by the last line, and by what is left behind: no process, no file.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { findRedisServer } from "../../scripts/redis-server.ts";
import { until } from "../support/wait.ts";

const main = join(import.meta.dirname, "../../scripts/demo/main.ts");
const places: string[] = [];
const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  for (const place of places.splice(0)) rmSync(place, { recursive: true, force: true });
});

/** Starts the demo with a temporary folder of its own, so that what it leaves behind is seen. */
async function start(...args: readonly string[]) {
  // Fetched before, if it must be: the demo is to be interrupted in its own work.
  await findRedisServer();
  const place = mkdtempSync(join(tmpdir(), "demo-test-"));
  places.push(place);
  const child = spawn(process.execPath, [main, ...args], {
    env: { ...process.env, TMPDIR: place },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.push(child);
  let [out, err] = ["", ""];
  const heard = new Set<() => void>();
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
    for (const each of heard) each();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    err += chunk.toString();
    for (const each of heard) each();
  });
  const says = (what: RegExp) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (what.test(out + err)) resolve();
      };
      heard.add(look);
      child.once("exit", () => reject(new Error(`ended without saying ${what}: ${out}${err}`)));
      look();
    });
  const ended = once(child, "exit").then(([code]) => code as number | null);
  return { child, place, says, ended, out: () => out, err: () => err };
}

/** Processes whose command line or environment names the folder. */
function left(place: string): readonly string[] {
  const read = (file: string) => {
    try {
      return readFileSync(file, "latin1").replaceAll("\0", " ");
    } catch {
      return "";
    }
  };
  const processes = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) =>
      `${read(`/proc/${pid}/cmdline`)}${read(`/proc/${pid}/environ`)}`.includes(place),
    )
    .map((pid) => `${pid} ${read(`/proc/${pid}/cmdline`)}`);
  return [...processes, ...readdirSync(place).filter((name) => name.startsWith("picket"))];
}

/** Killed processes go in their own time, but they go. */
const nothingLeft = (place: string) =>
  until("nothing to be left behind", () => left(place).length === 0, {
    seen: () => left(place).join("\n"),
  });

test("S00.8 one round: the figures, nothing lost, nothing left behind", async () => {
  const demo = await start("--once", "--json");
  expect(await demo.ended, demo.err()).toBe(0);
  const figures = JSON.parse(demo.out().trim().split("\n").at(-1) ?? "");
  expect(figures).toMatchObject({ ok: true, killed: "a", epoch: 2, lost: 0 });
  expect(["b", "c"]).toContain(figures.promoted);
  const times = ["detectMs", "promoteMs", "routeMs", "kvMs", "dnsMs", "unavailableMs", "acked"];
  for (const key of times) expect(figures[key], key).toBeGreaterThan(0);
  expect(demo.out().trim().split("\n")).toHaveLength(1);
  await nothingLeft(demo.place);
}, 120_000);

test("Ctrl-C in the middle of the set-up leaves nothing behind", async () => {
  const demo = await start();
  // The redis-servers have their folders now, and nobody else has started yet.
  while (readdirSync(demo.place).length === 0) await new Promise((r) => setTimeout(r, 5));
  demo.child.kill("SIGINT");
  expect(await demo.ended, demo.err()).toBe(130);
  await nothingLeft(demo.place);
}, 60_000);

test("it stays up after its round, and shows what a person does to it, until Ctrl-C; nothing is left behind", async () => {
  const demo = await start();
  await demo.says(/Ctrl-C/);
  expect(demo.out()).toContain("0 lost");
  expect(demo.out()).not.toContain("\x1b[");
  // As its own hint says: kill -9 and the pid of the new primary.
  process.kill(Number(/kill -9 (\d+)/.exec(demo.out())?.[1]), "SIGKILL");
  await demo.says(/\+switch-master/);
  demo.child.kill("SIGINT");
  expect(await demo.ended, demo.err()).toBe(130);
  await nothingLeft(demo.place);
}, 120_000);

test("an unknown option: the usage, and exit 2", async () => {
  const demo = await start("--ones");
  expect(await demo.ended).toBe(2);
  expect(demo.err()).toContain("npm run demo -- --once --json");
});
