/**
 * What becomes of the old primary, on real redis-servers: it wakes with writes of its own, or hands over.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must, type Scene, startScene } from "../support/stack.ts";

const eager = { cooldown_ms: 0, max_failovers_per_hour: 0, grace_ms: 0 };

describe("three nodes", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene({ settings: eager });
  });
  afterAll(() => scene?.stop());

  const primary = async () => must((await scene.route()).primary, "primary").id;
  const others = (id: string) => scene.ids.filter((each) => each !== id);

  /** A client that stays at one address: one write after the other, the times of those acknowledged. */
  const stays = (id: string) => {
    const acked: string[] = [];
    const ending = new AbortController();
    const writing = (async () => {
      for (let n = 0; !ending.signal.aborted; n += 1) {
        const [reply] = await scene.ask(id, ["SADD", "stayed", String(n)]).catch(() => [null]);
        if (reply === "1") acked.push(reply);
        else await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    const end = async () => {
      ending.abort();
      await writing;
    };
    return { acked, end };
  };

  it("G6 X3 X17 the old primary wakes and takes writes: closed within a few looks, no route to it before it follows", async () => {
    await scene.server("a").kill("SIGSTOP");
    await scene.eventually("another primary", async () => (await primary()) !== "a");
    const now = await primary();
    await scene.steady(
      now,
      others("a").filter((id) => id !== now),
    );
    const mark = await scene.mark();
    const client = stays("a");
    await scene.server("a").kill("SIGCONT");
    // Whoever asks for the route meanwhile is never sent to the old primary.
    await scene.eventually("the old primary among the readable", async () => {
      const route = await scene.route();
      expect(route.primary?.id).toBe(now);
      const readable = route.replicas.some(({ id }) => id === "a");
      if (readable) expect(await scene.follows("a", now)).toBe(true);
      return readable;
    });
    await client.end();
    await scene.steady(now);
    await scene.event("+slave-reconf-done", mark);
    const events = await scene.events(mark);
    const names = events.map(({ name }) => name);
    // By its own relay, or by the Group: whoever saw it first.
    expect(names.indexOf("+sealed")).toBeGreaterThanOrEqual(0);
    expect(names.indexOf("+slave-reconf-done")).toBeGreaterThan(names.indexOf("+sealed"));
    // What it acknowledged then is told to the byte, and is gone.
    expect(await scene.ask(now, ["SCARD", "stayed"])).toEqual(["0"]);
    const { lastSwitch } = await scene.view();
    if (client.acked.length > 0) expect(lastSwitch?.lostBytes).toBeGreaterThan(0);
    else expect(lastSwitch?.lostBytes).toBe(0);
  });

  it("W4 W10 a planned switch: the old primary and the other replica follow the new one", async () => {
    const before = await primary();
    const to = must(others(before)[0], "replica");
    const mark = await scene.mark();
    expect(await scene.api("/v1/groups/cache/switchover", { body: { to } })).toMatchObject({
      status: 202,
    });
    await scene.eventually("the switch", async () => (await primary()) === to);
    await scene.steady(to);
    await scene.event("+slave-reconf-done", mark);
    const names = (await scene.events(mark)).map(({ name }) => name);
    expect(names).not.toContain("-switchover-aborted");
  });

  it("W5 the target says nothing of how far it is: not in time; forced, it is promoted all the same", async () => {
    const before = await primary();
    const to = must(others(before)[0], "replica");
    // Its acknowledgements are refused, and its own word counts only while writes are held, which is refused too.
    const user = ["ACL", "SETUSER", "default"];
    await scene.ask(before, [...user, "-replconf", "-client|pause"], ["SET", "unheard", "1"]);
    const asked = { to, timeout_ms: 1000 };
    const mark = await scene.mark();
    await scene.api("/v1/groups/cache/switchover", { body: asked });
    await scene.event("-switchover-aborted", mark);
    await scene.steady(before);
    const again = await scene.mark();
    await scene.api("/v1/groups/cache/switchover", { body: { ...asked, force: true } });
    await scene.event("+switch-master", again);
    await scene.ask(before, [...user, "+replconf", "+client|pause"]);
    await scene.steady(to);
    expect(await scene.data(to, "SET", "after", "1")).toEqual({ result: "OK" });
  });
});
