/**
 * What looks like death and is none, and where that ends: short silences, and a restart that takes long to load.
 */
import { appendFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must, type Scene, startScene } from "../support/stack.ts";

const keys = 200;

describe("a short silence", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene();
  });
  afterAll(() => scene?.stop());

  it("G3 the primary is silent for a moment, ten times: nothing is told, nobody is promoted", async () => {
    const mark = await scene.mark();
    for (let blip = 0; blip < 10; blip += 1) {
      await scene.server("a").kill("SIGSTOP");
      await scene.looks(1);
      await scene.server("a").kill("SIGCONT");
      await scene.looks(1);
    }
    const names = (await scene.events(mark)).map(({ name }) => name);
    expect(names.filter((name) => name !== "+published")).toEqual([]);
    expect((await scene.route()).epoch).toBe(1);
  });
});

describe("a restart", () => {
  let scene: Scene;
  beforeAll(async () => {
    // Until it listens again it is refused, for as long as this machine takes: that is not what is tested here.
    const settings = { loading_limit_ms: 2000, grace_ms: 0, max_failures: 100 };
    scene = await startScene({ settings });
  });
  afterAll(() => scene?.stop());

  /** It is killed and started at once. Ends when all is loaded. */
  const reboot = async (id: string) => {
    await scene.server(id).kill();
    const loaded = scene.server(id).start();
    loaded.catch(() => undefined);
    return { loaded };
  };
  const others = (id: string) => scene.ids.filter((each) => each !== id);
  /** One line to a redis-server that is loading: it answers few commands, and PING is none of them. */
  const tell = (id: string, line: string) =>
    new Promise<string>((resolve, reject) => {
      const socket = createConnection(scene.server(id).port, "127.0.0.1", () => {
        socket.write(`${line}\r\n`);
      });
      socket.setTimeout(5000, () => socket.destroy(new Error(`${id} says nothing`)));
      socket.once("error", reject);
      socket.once("data", (data) => {
        resolve(data.toString());
        socket.destroy();
      });
    });
  /** Its data is on disk; at the next start each key takes so long to load that the whole takes 20 s. */
  const loadsSlowly = async (id: string) => {
    // As large in the file as in memory: it answers after so many bytes, not after so many keys.
    await scene.ask(id, ["CONFIG", "SET", "rdbcompression", "no"], ["SAVE"]);
    const lines = ["key-load-delay 100000", "loading-process-events-interval-bytes 1024"];
    await appendFile(join(scene.server(id).dir, "redis.conf"), `\n${lines.join("\n")}\n`);
  };
  const loading = (id: string) =>
    scene.eventually(`${id} to be loading`, async () => {
      const node = (await scene.view()).nodes.find((each) => each.id === id);
      return Object.values(node?.vantages ?? {}).every((seen) => seen.class === "loading");
    });

  it("X25 a primary that reboots and loads within loading_limit_ms is the primary again", async () => {
    const values = Array.from({ length: keys }, (_, n) => [`key:${n}`, "v".repeat(1500)]).flat();
    expect(await scene.data("a", "MSET", ...values)).toEqual({ result: "OK" });
    for (const id of ["b", "c"])
      await scene.eventually(`the keys at ${id}`, async () => {
        return (await scene.facts(id))?.keys === keys;
      });
    await loadsSlowly("a");
    const mark = await scene.mark();
    const { loaded } = await reboot("a");
    await loading("a");
    expect(await tell("a", "CONFIG SET key-load-delay 0")).toBe("+OK\r\n");
    await loaded;
    await scene.steady("a");
    const names = (await scene.events(mark)).map(({ name }) => name);
    expect(names).not.toContain("+odown");
    expect((await scene.facts("a"))?.keys).toBe(keys);
    expect((await scene.route()).epoch).toBe(1);
  });

  it("S12.1 G11 X25 one that loads for longer is down: another one is promoted", async () => {
    await loadsSlowly("a");
    const mark = await scene.mark();
    const { loaded } = await reboot("a");
    await scene.event("+switch-master", mark);
    const now = must((await scene.route()).primary, "primary").id;
    await scene.steady(
      now,
      others("a").filter((id) => id !== now),
    );
    expect(await tell("a", "PING")).toMatch(/^-LOADING/);
    const odown = await scene.event("+odown", mark, "a");
    expect(odown.text).toContain("a is objectively down");
    expect(await tell("a", "CONFIG SET key-load-delay 0")).toBe("+OK\r\n");
    await loaded;
  });

  it("S12.2 it has loaded: the new one is primary, the replicas follow it, and so does the old one", async () => {
    const now = must((await scene.route()).primary, "primary").id;
    expect(now).not.toBe("a");
    await scene.steady(now);
    expect(await scene.facts("a")).toMatchObject({ role: "replica", linkUp: true, keys });
  });
});
