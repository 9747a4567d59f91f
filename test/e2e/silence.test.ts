/**
 * A primary that hangs (SIGSTOP), crashes, or answers what it should not; its relay, or the whole machine,
 * that hangs: who believes what and when, and what becomes of it.
 *
 * The quorum is all three vantages, so that with one relay away "down for two" can be seen without a failover.
 */
import { mkdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../scripts/redis-server.ts";
import { must, type Scene, startScene } from "../support/stack.ts";

describe("the quorum is all three vantages", () => {
  let scene: Scene;
  beforeAll(async () => {
    // The Group's own looks alone: what relays tell by themselves is told when it has lasted, and not before.
    scene = await startScene({
      push: false,
      settings: { quorum: 3, probe_timeout_ms: 300, down_after_ms: 700 },
    });
  });
  afterAll(() => scene?.stop());

  const votes = async (node: string) => {
    const seen = (await scene.view()).nodes.find(({ id }) => id === node);
    return Object.values(must(seen, node).vantages).map(({ vote }) => vote);
  };
  const namesSince = async (mark: number) => (await scene.events(mark)).map(({ name }) => name);
  /** Publishing what was before may still go on. */
  const newsSince = async (mark: number) =>
    (await namesSince(mark)).filter((name) => name !== "+published");

  it("S07.1 a hung primary that answers again before down_after_ms was never down", async () => {
    const mark = await scene.mark();
    await scene.server("a").kill("SIGSTOP");
    await scene.eventually("a look without an answer", async () => {
      const [a] = (await scene.view()).nodes;
      return Object.values(a?.vantages ?? {}).some((seen) => seen.class === "timeout");
    });
    await scene.server("a").kill("SIGCONT");
    await scene.steady("a");
    await scene.looks(5);
    expect(await newsSince(mark)).toEqual([]);
  });

  it("S07.1 a hung primary is +sdown, and -sdown when it answers again; too few see it: no failover", async () => {
    await scene.relay("c").kill();
    const mark = await scene.mark();
    await scene.server("a").kill("SIGSTOP");
    await scene.event("+sdown", mark, "a");
    await scene.eventually("two to agree", async () => {
      return (await votes("a")).filter((vote) => vote === "down").length === 2;
    });
    expect((await scene.view()).phase).toBe("watching");
    await scene.server("a").kill("SIGCONT");
    await scene.event("-sdown", mark, "a");
    await scene.steady("a");
    expect(await namesSince(mark)).not.toContain("+odown");
    expect((await scene.route()).epoch).toBe(1);
  });

  it("S07.2 a crashed primary is +sdown; restarted it is up, and still the primary", async () => {
    const mark = await scene.mark();
    await scene.server("a").kill();
    await scene.event("+sdown", mark, "a");
    await scene.server("a").start();
    await scene.event("-sdown", mark, "a");
    await scene.event("+reboot", mark, "a");
    await scene.steady("a");
    expect((await scene.route()).epoch).toBe(1);
  });

  it("S07.2 a crashed replica is +sdown; restarted it is up and follows", async () => {
    const mark = await scene.mark();
    await scene.server("b").kill();
    await scene.event("+sdown", mark, "b");
    await scene.server("b").start();
    await scene.event("-sdown", mark, "b");
    await scene.steady("a");
  });

  it("S07.3 a primary that was made a replica of nobody is +sdown, and fought by nobody; a primary again it is up", async () => {
    const mark = await scene.mark();
    await scene.ask("a", ["REPLICAOF", "127.0.0.1", String(await freePort())]);
    const told = await scene.event("+sdown", mark, "a");
    expect(told.text).toContain("it says that it is a replica");
    await scene.looks(3, { by: 2 });
    expect(await scene.facts("a")).toMatchObject({ role: "replica" });
    await scene.ask("a", ["REPLICAOF", "NO", "ONE"]);
    await scene.event("-sdown", mark, "a");
    expect((await scene.steady("a")).epoch).toBe(1);
    expect(await namesSince(mark)).not.toContain("+odown");
  });

  it("S07.4 X27 a primary that answers MISCONF after a failed save is +sdown; it saves again: it is up", async () => {
    const mark = await scene.mark();
    const saves = async (status: string) => {
      await scene.ask("a", ["BGSAVE"]);
      await scene.eventually(`the save to be ${status}`, async () => {
        const [info] = await scene.ask("a", ["INFO", "persistence"]);
        const text = String(info);
        return (
          text.includes("rdb_bgsave_in_progress:0") &&
          text.includes(`rdb_last_bgsave_status:${status}`)
        );
      });
    };
    const inTheWay = join(scene.server("a").dir, "dump.rdb");
    await mkdir(inTheWay);
    await scene.ask("a", ["CONFIG", "SET", "save", "3600 1"]);
    await saves("err");
    const told = await scene.event("+sdown", mark, "a");
    expect(told.text).toContain("MISCONF");
    await rmdir(inTheWay);
    await saves("ok");
    await scene.event("-sdown", mark, "a");
    await scene.ask("a", ["CONFIG", "SET", "save", ""]);
    expect((await scene.steady("a")).epoch).toBe(1);
  });

  const faults: readonly [string, string[], string[], RegExp][] = [
    [
      "S07.5 X29 PING is withdrawn",
      ["ACL", "SETUSER", "default", "-ping"],
      ["ACL", "SETUSER", "default", "+ping"],
      /auth: NOPERM/,
    ],
    [
      "S03.2 G12 X29 the password is changed",
      ["CONFIG", "SET", "requirepass", "another"],
      ["CONFIG", "SET", "requirepass", ""],
      /auth: .*(NOAUTH|NODE_AUTH)/,
    ],
  ];
  it.each(faults)(
    "%s: a fault that is told by name, neither up nor down; taken back, it is over",
    async (_, withdraw, give, named) => {
      const mark = await scene.mark();
      // What is connected stays admitted: so it is dropped.
      await scene.ask("a", withdraw, ["CLIENT", "KILL", "TYPE", "normal"]);
      const told = await scene.event("+fault", mark, "a");
      expect(told.text).toMatch(named);
      expect(await votes("a")).not.toContain("down");
      expect(await scene.view()).toMatchObject({ phase: "watching", primary: "a" });
      await scene.ask("a", give);
      await scene.event("-fault", mark, "a");
      expect((await scene.steady("a")).epoch).toBe(1);
      expect(await namesSince(mark)).not.toContain("+sdown");
    },
  );

  it("S07.1 X2 X3 hung for long it is replaced; when it wakes it is sealed at first sight, and demoted", async () => {
    await scene.relay("c").start();
    await scene.eventually("three votes for up", async () => {
      return (await votes("a")).every((vote) => vote === "up");
    });
    const mark = await scene.mark();
    await scene.server("a").kill("SIGSTOP");
    await scene.event("+switch-master", mark);
    const primary = must((await scene.route()).primary, "primary").id;
    expect(primary).not.toBe("a");
    await scene.steady(primary, [primary === "b" ? "c" : "b"]);
    const woken = await scene.mark();
    await scene.server("a").kill("SIGCONT");
    await scene.steady(primary);
    await scene.event("+slave-reconf-done", woken);
    const names = await namesSince(woken);
    // By an order that stood in its socket, or by the next look.
    expect(names.indexOf("+sealed")).toBeGreaterThanOrEqual(0);
    expect(names.indexOf("+slave-reconf-done")).toBeGreaterThan(names.indexOf("+sealed"));
    expect(await scene.facts("a")).toMatchObject({ role: "replica", minReplicasToWrite: 0 });
  });

  it("X8 the relay beside the primary hangs: its machine may be silent, but two still see the primary: no failover", async () => {
    const primary = must((await scene.route()).primary, "primary").id;
    const { epoch } = await scene.route();
    const mark = await scene.mark();
    await scene.relay(primary).kill("SIGSTOP");
    await scene.event("+sdown", mark, primary);
    const fault = await scene.event("+fault", mark);
    expect(fault.data).toEqual({ relay: primary, class: "relay-unreachable" });
    expect((await votes(primary)).sort()).toEqual(["down", "up", "up"]);
    await scene.looks(5, { at: primary, by: 2 });
    expect(await scene.view()).toMatchObject({ phase: "watching", primary, epoch, state: "up" });
    // Only whoever is on that machine is in doubt.
    const others = (await scene.view()).nodes.filter(({ id }) => id !== primary);
    for (const { vantages } of others)
      expect(Object.values(vantages).map(({ vote }) => vote)).not.toContain("down");
    await scene.relay(primary).kill("SIGCONT");
    await scene.event("-fault", mark);
    await scene.event("-sdown", mark, primary);
    await scene.steady(primary);
    expect(await namesSince(mark)).not.toContain("+odown");
  });

  it("X2 the whole machine hangs, Redis and relay: its silence is a vote; it is replaced, and demoted when it wakes", async () => {
    const old = must((await scene.route()).primary, "primary").id;
    const others = scene.ids.filter((id) => id !== old);
    const mark = await scene.mark();
    await Promise.all([scene.server(old).kill("SIGSTOP"), scene.relay(old).kill("SIGSTOP")]);
    const odown = await scene.event("+odown", mark, old);
    expect(odown.data).toMatchObject({ down: 3, up: 0 });
    await scene.event("+switch-master", mark);
    const primary = must((await scene.route()).primary, "primary").id;
    expect(others).toContain(primary);
    await scene.steady(
      primary,
      others.filter((id) => id !== primary),
    );
    await scene.event("-sealed", mark, old);
    const woken = await scene.mark();
    await Promise.all([scene.server(old).kill("SIGCONT"), scene.relay(old).kill("SIGCONT")]);
    await scene.steady(primary);
    // By its own relay, or by the Group: whoever saw it first.
    await scene.event("+sealed", woken, old);
    expect(await scene.facts(old)).toMatchObject({ role: "replica", minReplicasToWrite: 0 });
  });
});
