/**
 * What it costs: prices and rounding as tables, a month from counts, and bad input of the program itself.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { ringsEveryMs, together } from "../../scripts/cost/account.ts";
import { invoice, listOf, listPrice, noUsage, type Usage } from "../../scripts/cost/bill.ts";
import { countedFor, modeOf, monthOf, type Shape } from "../../scripts/cost/month.ts";
import { peersOf } from "../../scripts/cost/peers.ts";
import type { Meter } from "../../scripts/cost/prices.ts";
import { estimate, goalOf, withTables } from "../../scripts/cost/report.ts";
import { type Counted, nothing } from "../../scripts/cost/tally.ts";

const root = join(import.meta.dirname, "../..");
const million = 1_000_000;
const used = (usage: Partial<Usage>): Usage => ({ ...noUsage, ...usage });

describe("a month's operations in dollars", () => {
  const rows: readonly (readonly [Meter, used: number, list: number, over: number])[] = [
    ["workerRequests", 43_200, 0.01296, 0],
    ["workerRequests", 10 * million, 3, 0],
    ["workerRequests", 10 * million + 1, 3.0000003, 0.3],
    ["workerCpuMs", 31.5 * million, 0.63, 0.04],
    ["objectRequests", million, 0.15, 0],
    ["objectRequests", 2.5 * million, 0.375, 0.3],
    // 131,000 GB-s over what is included are billed as a whole million of them.
    ["objectGbS", 400_000, 5, 0],
    ["objectGbS", 531_000, 6.6375, 12.5],
    ["rowsRead", 26_000 * million, 26, 1],
    ["rowsWritten", 50 * million, 50, 0],
    ["rowsWritten", 51.2 * million, 51.2, 2],
    ["kvReads", 11 * million, 5.5, 0.5],
    ["kvWrites", million + 1, 5.000005, 5],
    ["logEvents", 20.7 * million, 12.42, 0.6],
  ];
  it.each(rows)("%s: %d", (meter, many, list, over) => {
    const usage = used({ [meter]: many });
    expect(listOf(usage, meter)).toBeCloseTo(list, 6);
    expect(listPrice(usage)).toBeCloseTo(list, 6);
    expect(invoice(usage)).toBeCloseTo(5 + over, 6);
  });

  it("nothing but the plan costs the plan", () => expect(invoice(noUsage)).toBe(5));
});

const shape: Shape = {
  ...{ fencing: "none", intervalMs: 1000, quiet: false, relays: 3, regions: 0, leaseMs: 3000 },
  invocationLogs: false,
};
const counted: Counted = {
  ...{ fencing: "none", mode: "ticks", regions: 0, ms: 60_000, crons: 1, load: 0 },
  ...{ cpuMs: 650, leaseMs: 3000, nodes: 3 },
  handlers: {
    "door.scheduled": { ...nothing(), calls: 1 },
    "Fleet.names": { ...nothing(), calls: 2 },
    "Group.new": { ...nothing(), calls: 1 },
    "Group.wake": { ...nothing(), calls: 1, activeMs: 100 },
    "Group.alarm": { ...nothing(), calls: 60, alarmsSet: 60, activeMs: 3000 },
  },
  rows: {
    "Group: INSERT INTO __miniflare_do_name": { read: 0, written: 9 },
    "Group: INSERT OR REPLACE INTO state": { read: 1, written: 1 },
  },
};

describe("a month from a minute", () => {
  it("ticks are multiplied, what is shared is apart, what the simulator writes is left out", () => {
    const { group, worker } = monthOf(counted, shape);
    // 60 ticks and a cron a minute; three relays tell all every five minutes, and 20 messages are one request.
    expect(group.objectRequests).toBeCloseTo(61 * 43_200 + (0.6 * 43_200) / 20, 3);
    expect(group.rowsWritten).toBeCloseTo(60 * 43_200 + 43_200, 3);
    expect(group.objectGbS).toBeCloseTo((3 + 0.1 + 0.06) * 43_200 * 0.128, 3);
    expect(group.logEvents).toBe(0);
    expect(worker.workerRequests).toBe(43_200);
    expect(worker.workerCpuMs).toBeCloseTo(43_200 * 10, 3);
    expect(worker.objectRequests).toBe(2 * 43_200);
  });

  it("a tenth of the ticks are a tenth of the alarms; what comes each minute stays", () => {
    const { group } = monthOf(counted, { ...shape, intervalMs: 10_000 });
    expect(group.rowsWritten).toBeCloseTo(6 * 43_200 + 43_200, 3);
  });

  it("looks half a second apart or less: active all the time, with hardly an alarm", () => {
    const of = (intervalMs: number) => monthOf(counted, { ...shape, intervalMs }).group;
    expect(of(500)).toEqual(of(100));
    expect(of(100).objectGbS).toBeCloseTo((60 + 0.1 + 0.06) * 43_200 * 0.128, 3);
    expect(of(100).rowsWritten).toBeCloseTo((4.8 + 1) * 43_200, 3);
    expect(of(501).rowsWritten).toBeGreaterThan(100 * 43_200);
  });

  it("each invocation is an event where invocation logs are on", () => {
    const { group } = monthOf(counted, { ...shape, invocationLogs: true });
    expect(group.logEvents).toBeCloseTo(61.6 * 43_200, 3);
  });

  it("leases cost by their length and by the relays", () => {
    const asks = { ...counted.handlers, "door.fetch": { ...nothing(), calls: 84 } };
    const leased: Counted = { ...counted, fencing: "lease", handlers: asks };
    const of = (relays: number, leaseMs: number) =>
      monthOf(leased, { ...shape, fencing: "lease", relays, leaseMs }).group.workerRequests;
    expect(of(3, 3000)).toBeCloseTo(84 * 43_200, 3);
    expect(of(2, 6000)).toBeCloseTo(28 * 43_200, 3);
  });

  it("a hundred groups share a vantage: it is billed for no more than all of the time", () => {
    const looks = { ...nothing(), calls: 60, activeMs: 6000 };
    const handlers = { ...counted.handlers, "Vantage.look": looks };
    const month = monthOf({ ...counted, regions: 1, handlers }, { ...shape, regions: 1 });
    const always = 43_200 * 60 * 0.128;
    expect(month.places).toEqual({ gbS: expect.closeTo(always / 10, 3), count: 1 });
    const own = month.group.objectGbS - month.places.gbS;
    expect(together(month, 5).objectGbS).toBeCloseTo(5 * month.group.objectGbS, 3);
    expect(together(month, 100).objectGbS).toBeCloseTo(100 * own + always, 3);
    expect(together(month, 101).objectGbS).toBeCloseTo(101 * own + 2 * always, 3);
  });

  // Near to what the register does when so many groups ask it in turn, with a tenth of a second for each look.
  const rings: readonly (readonly [intervalMs: number, groups: number, everyS: number])[] = [
    [100, 1, 5],
    [1000, 1, 5],
    [2000, 100, 5],
    [3000, 1, 6.9],
    [5000, 10, 6.4],
    [10_000, 1, 20.9],
    [10_000, 100, 11],
    [30_000, 1, 60.9],
  ];
  it.each(rings)("a vantage's clock, asked each %d ms by %d groups", (intervalMs, groups, everyS) =>
    expect(ringsEveryMs(intervalMs, groups)).toBeCloseTo(everyS * 1000, 3),
  );

  it("a vantage's clock is there once, and is no group's own", () => {
    const handlers = { ...counted.handlers, "Vantage.alarm": { ...nothing(), calls: 36 } };
    const own = (intervalMs: number, regions: number) =>
      monthOf({ ...counted, regions, handlers }, { ...shape, intervalMs, regions });
    const clockOf = (intervalMs: number, groups: number) =>
      together(own(intervalMs, 3), groups).rowsWritten -
      groups * own(intervalMs, 3).group.rowsWritten;
    expect(own(1000, 3).group).toEqual(own(1000, 0).group);
    expect(clockOf(1000, 1)).toBeCloseTo(3 * 12 * 43_200, 3);
    expect(clockOf(1000, 100)).toBeCloseTo(3 * 12 * 43_200, 3);
    expect(clockOf(1000, 101)).toBeCloseTo(6 * 12 * 43_200, 3);
    expect(clockOf(10_000, 1)).toBeCloseTo((3 * 60 * 43_200) / 20.9, 3);
    expect(own(1000, 0).asks).toBeNull();
  });

  it("half a minute with two crons is no other month than a minute with one", () => {
    const half = Object.fromEntries(
      Object.entries(counted.handlers).map(([name, { calls, activeMs, alarmsSet }]) => {
        const by = /^(Fleet|door|Group.wake)/.test(name) ? 2 : 0.5;
        const tally = { calls: calls * by, activeMs: activeMs * by, alarmsSet: alarmsSet * by };
        return [name, { ...nothing(), ...tally }];
      }),
    );
    const other = monthOf({ ...counted, ms: 30_000, crons: 2, handlers: half }, shape);
    const once = monthOf(counted, shape);
    for (const meter of ["objectRequests", "objectGbS", "rowsWritten"] as const)
      expect(other.group[meter]).toBeCloseTo(once.group[meter], 3);
    for (const meter of ["objectRequests", "workerRequests"] as const)
      expect(other.worker[meter]).toBeCloseTo(once.worker[meter], 3);
  });

  it("the nearest run is taken, or none", () => {
    expect(countedFor([counted], shape)).toBe(counted);
    expect(countedFor([counted], { ...shape, quiet: true })).toBeNull();
    expect(countedFor([counted], { ...shape, regions: 1 })).toBeNull();
    expect(countedFor([counted], { ...shape, fencing: "lease" })).toBeNull();
    expect(modeOf({ ...shape, intervalMs: 60_000, quiet: true })).toBe("scheduled");
  });
});

it("peers: three endpoints outside of AWS", () => {
  expect(peersOf(3).map((peer) => [peer.everyS, peer.dollars])).toEqual([
    [30, 2.25],
    [10, 8.25],
    [60, 10],
    [15, 260],
  ]);
});

describe("the counts that are kept", () => {
  const kept: readonly Counted[] = JSON.parse(
    readFileSync(join(root, "scripts/cost/counts.json"), "utf8"),
  );
  it("are all that docs/cost.md tells: npm run cost -- --count", () => {
    const docs = readFileSync(join(root, "docs/cost.md"), "utf8");
    expect(withTables(docs, kept)).toBe(docs);
    expect(docs).not.toContain("| not counted");
  });
  it("say that the goal holds without vantages, and not with three", () => {
    const [none, three] = [goalOf(kept, 0), goalOf(kept, 3)];
    expect(none.what).toMatch(/^a quiet group without fencing, with 0 vantages: \$0\.0\d+ a month/);
    expect(none.holds).toBe(true);
    expect(three.holds).toBe(false);
  });

  it("make the same of groups in any order, and share what is shared once", () => {
    const group = (name: string, regions: readonly string[], more: Partial<Shape>) => {
      const own = { ...shape, ...more, regions: regions.length };
      return { name, nodes: 3, regions, shape: own };
    };
    const quiet = group("quiet", ["weur", "enam"], { quiet: true });
    const ticks = group("ticks", ["weur", "apac"], {});
    const slow = group("slow", ["apac"], { intervalMs: 10_000, fencing: "sealed" });
    const all = [quiet, ticks, slow];
    const sharedBy = (...groups: typeof all) => estimate(kept, groups).shared;
    const alone = sharedBy(quiet);
    for (const order of [all, [slow, quiet, ticks], [ticks, slow, quiet]]) {
      // Two regions where somebody ticks: a request and a row each five seconds, each. CPU differs from run to run.
      const clocks = (2 * 12 * 43_200 * 1.15) / million;
      expect(sharedBy(...order)).toBeCloseTo(alone + clocks, 2);
      expect(sharedBy(...order)).toBeCloseTo(sharedBy(...all), 9);
      expect(estimate(kept, order).invoice).toBe(estimate(kept, all).invoice);
    }
    expect(alone).toBeLessThan(0.03);
    expect(sharedBy(ticks, ticks)).toBeCloseTo(sharedBy(ticks), 6);
  });

  it("ring a vantage's clock as often as is computed", () => {
    const ticking = kept.filter(({ mode, regions }) => mode === "ticks" && regions > 0);
    expect(ticking.length).toBeGreaterThan(0);
    // Each began somewhere between two rings.
    for (const { handlers, ms, regions } of ticking)
      expect(
        Math.abs((handlers["Vantage.alarm"]?.calls ?? 0) / regions - ms / ringsEveryMs(1000, 1)),
      ).toBeLessThanOrEqual(1);
  });
});

describe("npm run cost", () => {
  const dir = mkdtempSync(join(tmpdir(), "picket-cost-"));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const run = (...args: readonly string[]) => {
    const script = join(root, "scripts/cost.ts");
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], {
      encoding: "utf8",
    });
    return { status, stdout, stderr };
  };
  const file = (name: string, text: string) => {
    const path = join(dir, name);
    writeFileSync(path, text);
    return path;
  };
  const example = readFileSync(join(root, "wrangler.toml"), "utf8");

  it("tells what the example costs", () => {
    const { status, stdout } = run("--config", join(root, "wrangler.toml"), "--json");
    expect(status).toBe(0);
    const { groups, invoice: bill } = JSON.parse(stdout);
    expect(groups).toMatchObject([{ name: "cache", nodes: 2, shape: { relays: 2, quiet: true } }]);
    expect(groups[0].list).toBeLessThan(groups[0].listAwake);
    expect(bill).toBe(5);
  });

  const wrong: readonly (readonly [string, () => readonly string[], RegExp])[] = [
    [
      "a file that does not exist",
      () => ["--config", join(dir, "none.toml")],
      /none\.toml: there is no such file/,
    ],
    ["no TOML", () => ["--config", file("no.toml", "a = [\n")], /no\.toml: Invalid TOML/],
    [
      "a configuration that is wrong",
      () => ["--config", file("port.toml", example.replace("port = 6379", "port = 0"))],
      /GROUPS\[0\]\.nodes\[0\]\.port: given 0; allowed: a whole number from 1 to 65535/,
    ],
    [
      "no groups",
      () => ["--config", file("empty.toml", 'name = "x"\n')],
      /GROUPS: given nothing; allowed: a list of groups/,
    ],
    [
      "a kind that nobody counts",
      () => ["--count", "none-loud-0"],
      /none-loud-0: allowed: some of/,
    ],
    [
      "an environment that is not there",
      () => ["--config", join(root, "wrangler.toml"), "--env", "x"],
      /env: given x; allowed: none/,
    ],
    ["an environment without a file", () => ["--env", "x"], /--env x: only with --config/],
    ["an argument that means nothing", () => ["wrangler.toml"], /a configuration: --config/],
  ];
  it.each(wrong)("%s is told, and nothing else is done", (_, args, says) => {
    const { status, stdout, stderr } = run(...args());
    expect(stderr).toMatch(says);
    expect(stdout).toBe("");
    expect(status).toBe(2);
  });
});
