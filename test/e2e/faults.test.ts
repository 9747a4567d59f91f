/**
 * What befalls a primary that is not dead: no memory, no replicas, another password, a script, somebody's pause.
 * It stays the primary; and where Picket can say what it is, it is told by name.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must, type Scene, startScene } from "../support/stack.ts";

describe("three nodes", () => {
  let scene: Scene;
  beforeAll(async () => {
    // A script is told as such soon after it began, and not as silence.
    scene = await startScene({
      redisArgs: () => ["--lua-time-limit", "50", "--appendonly", "yes"],
      // What is slow here is not to look silent.
      settings: { down_after_ms: 2000, max_link_down_ms: 500 },
    });
    await scene.published();
  });
  afterAll(() => scene?.stop());

  const write = () => scene.data("a", "SET", "k", "v");
  const written = () => scene.eventually("a write", async () => (await write()).result === "OK");
  /** What is told of the primary, but for what its replicas change in its route. */
  const toldOfIt = async (mark: number) =>
    (await scene.events(mark))
      .filter(({ node, name }) => node === "a" && !["+route", "+published"].includes(name))
      .map(({ name }) => name);
  /** It is in force as it was, and nobody was in doubt of it. */
  const stays = async (mark: number) => {
    expect(await scene.steady("a")).toMatchObject({ epoch: 1 });
    const names = (await scene.events(mark)).map(({ name }) => name);
    for (const name of ["+odown", "+try-failover"]) expect(names).not.toContain(name);
    return toldOfIt(mark);
  };

  it("X26 out of memory: apps hear it, reads go on; its replicas hold as much, so nobody is promoted", async () => {
    await written();
    const mark = await scene.mark();
    await scene.ask("a", ["CONFIG", "SET", "maxmemory", "1"]);
    expect((await write()).error).toMatch(/^OOM /);
    await scene.looks(8, { at: "a" });
    expect((await write()).error).toMatch(/^OOM /);
    expect(await scene.data("a", "GET", "k")).toEqual({ result: "v" });
    await scene.ask("a", ["CONFIG", "SET", "maxmemory", "0"]);
    await written();
    expect(await stays(mark)).toEqual([]);
  });

  it("X28 a replica dies, and the primary takes no writes without it: the replica is down, the primary is not", async () => {
    const mark = await scene.mark();
    await scene.ask("a", ["CONFIG", "SET", "min-replicas-to-write", "2"]);
    await scene.server("b").kill();
    await scene.event("+sdown", mark, "b");
    await scene.looks(8, { at: "a" });
    expect((await write()).error).toMatch(/^NOREPLICAS /);
    await scene.server("b").start();
    await written();
    await scene.ask("a", ["CONFIG", "SET", "min-replicas-to-write", "0"]);
    expect(await stays(mark)).toEqual([]);
  });

  it("X30 somebody pauses writes for long: looks do not queue behind them, nobody is promoted", async () => {
    const mark = await scene.mark();
    await scene.ask("a", ["CLIENT", "PAUSE", "600000", "WRITE"]);
    const pending = write();
    // Longer than silence would have to last.
    await scene.looks(20, { at: "a" });
    expect((await scene.view()).nodes[0]).toMatchObject({ id: "a", class: "up" });
    await scene.ask("a", ["CLIENT", "UNPAUSE"]);
    await pending;
    await written();
    expect(await stays(mark)).toEqual([]);
  });

  it("X29 the password is changed under everybody: told by name, neither up nor down; changed back, it is over", async () => {
    const mark = await scene.mark();
    // What is connected stays admitted: so it is dropped.
    const drop = ["CLIENT", "KILL", "TYPE", "normal"];
    await scene.ask("a", ["CONFIG", "SET", "requirepass", "another"], drop);
    for (const vantage of ["relay:a", "relay:b", "relay:c"])
      await scene.eventually(`${vantage} to say so`, async () =>
        (await scene.events(mark)).find(
          ({ name, data }) =>
            name === "+fault" && data.vantage === vantage && data.class === "auth",
        ),
      );
    await scene.looks(8);
    expect(await scene.view()).toMatchObject({ phase: "watching", primary: "a", state: "up" });
    await scene.ask("a", ["CONFIG", "SET", "requirepass", ""]);
    await scene.event("-fault", mark, "a");
    await written();
    expect(await stays(mark)).not.toContain("+sdown");
  });

  /** It never ends by itself, and its caller does not wait for it. */
  const script = (text: string) => {
    void scene.ask("a", ["EVAL", `${text} while true do end`, "0"]).catch(() => undefined);
  };

  it("X23 a script that wrote nothing blocks it: told, ended once, and writes go on", async () => {
    const mark = await scene.mark();
    script("");
    const fault = await scene.event("+fault", mark, "a");
    expect(fault.data).toMatchObject({ class: "busy" });
    await scene.event("+script-kill", mark, "a");
    await written();
    const [stats] = await scene.ask("a", ["INFO", "commandstats"]);
    expect(String(stats)).toMatch(/cmdstat_script\|kill:calls=1,/);
    await scene.event("-fault", mark, "a");
    await stays(mark);
  });

  it("X7 the links to the replicas alone are cut: told at once; the primary dies: the stale are not promoted, it is waited for", async () => {
    const mark = await scene.mark();
    await scene.ask(
      "a",
      ["ACL", "SETUSER", "default", "-psync", "-sync"],
      ["CLIENT", "KILL", "TYPE", "replica"],
    );
    for (const id of ["b", "c"]) await scene.event("+link-down", mark, id);
    expect(await toldOfIt(mark)).toEqual([]);
    expect(await scene.data("a", "SET", "alone", "1")).toEqual({ result: "OK" });
    // By a replica's own clock, which counts seconds: past what may be promoted.
    for (const id of ["b", "c"])
      await scene.eventually(`${id} to be alone for long`, async () => {
        return ((await scene.facts(id))?.linkDownMs ?? 0) >= 2000;
      });
    await scene.looks(2, { at: "b" });
    await scene.server("a").kill();
    const refused = await scene.event("-failover-abort-no-good-slave", mark);
    expect(refused.text).toMatch(/link/);
    for (const id of ["b", "c"]) expect(await scene.facts(id)).toMatchObject({ role: "replica" });
    await scene.server("a").start();
    await scene.steady("a");
    // Nothing that it acknowledged is lost.
    expect(await scene.ask("b", ["EXISTS", "alone"])).toEqual(["1"]);
    expect((await scene.events(mark)).map(({ name }) => name)).not.toContain("+switch-master");
  });

  it("X24 a script that wrote blocks it: nobody can end it, and by default nobody is promoted", async () => {
    const mark = await scene.mark();
    const { epoch } = await scene.route();
    script("redis.call('SET', 'half', 'done')");
    await scene.event("+script-kill", mark, "a");
    await scene.looks(8, { at: "b" });
    expect(await scene.view()).toMatchObject({ phase: "watching", primary: "a", epoch });
    expect((await scene.view()).nodes[0]).toMatchObject({ class: "busy" });
    expect((await write()).error).toMatch(/^BUSY /);
    expect(await toldOfIt(mark)).not.toContain("+odown");
    // Only a person's hand ends it; what it wrote went to nobody, and whoever takes over knows nothing of it.
    await scene.server("a").kill();
    await scene.event("+switch-master", mark);
    await scene.server("a").start();
    const primary = must((await scene.route()).primary, "primary").id;
    await scene.steady(primary);
    expect(await scene.ask(primary, ["GET", "half"])).toEqual([null]);
  });
});

describe("a script may block for so long, and no longer", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene({
      redisArgs: () => ["--lua-time-limit", "50"],
      settings: { busy_limit_ms: 1500 },
    });
  });
  afterAll(() => scene?.stop());

  it("X24 a script that wrote blocks for longer: another one is promoted; the old one cannot be sealed, and follows when it is back", async () => {
    const mark = await scene.mark();
    const endless = "redis.call('SET', 'half', 'done') while true do end";
    void scene.ask("a", ["EVAL", endless, "0"]).catch(() => undefined);
    await scene.event("+odown", mark, "a");
    await scene.event("+switch-master", mark);
    const primary = must((await scene.route()).primary, "primary").id;
    expect(primary).not.toBe("a");
    const other = primary === "b" ? "c" : "b";
    await scene.steady(primary, [other]);
    await scene.event("-sealed", mark, "a");
    await scene.server("a").kill();
    await scene.server("a").start();
    await scene.steady(primary);
    expect(await scene.ask(primary, ["GET", "half"])).toEqual([null]);
  });
});
