/**
 * fencing = "lease" on everything that is real: a primary takes writes while its relay holds a lease, by the Group's
 * grant or by the promise of all others, and is closed when that ends, whoever or whatever stands still.
 */
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BOOT_SEALED, SEALED } from "../../worker/relay/protocol.ts";
import { runs } from "../support/processes.ts";
import { must, type Scene, startScene } from "../support/stack.ts";

const LEASE_MS = 3000;
/** More than a lease and a margin, on a machine that has other things to do. */
const patience = { withinMs: 40_000 };
const timeoutMs = 120_000;

describe("a group with leases", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene({
      ids: ["a", "b", "c"],
      settings: { fencing: "lease", lease_ms: LEASE_MS },
      redisArgs: () => BOOT_SEALED.flatMap(([setting, value]) => [`--${setting}`, String(value)]),
      lease: (_, pid) => ({ seal_ms: 600, kill_command: ["kill", "-9", String(pid)] }),
    });
  }, 90_000);
  afterAll(() => scene?.stop());

  const isSealed = async (id: string) =>
    ((await scene.facts(id))?.minReplicasToWrite ?? 0) >= SEALED;
  const takesWrites = async (id: string) =>
    String((await scene.ask(id, ["SET", "k", "v"]))[0]) === "OK";
  const open = (id: string) =>
    scene.eventually(`${id} to take writes`, () => takesWrites(id), patience);
  const closed = (id: string) =>
    scene.eventually(`${id} to be sealed`, () => isSealed(id), patience);
  /** Until when the relay has promised to open nobody, by its wall clock; 0: it has not. */
  const promisedAtMs = async (id: string): Promise<number> => {
    const file = JSON.parse(await readFile(`${scene.relay(id).stateFile}.lease`, "utf8"));
    return file.promises[0]?.wallMs ?? 0;
  };
  const primary = async () => must((await scene.route()).primary, "a primary").id;
  const follows = (id: string) =>
    scene.eventually(
      `${id} to follow`,
      async () => (await scene.facts(id))?.role === "replica",
      patience,
    );
  const link = () => must(scene.links.a, "a's way to the Worker");
  const childrenOf = async (pid: number) =>
    (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8")).trim().split(" ").filter(Boolean);

  it(
    "the primary's relay loses the Group: the others promise, and it goes on",
    async () => {
      await open("a");
      const cutMs = Date.now();
      link().cut();
      await scene.eventually(
        "promises past two leases",
        async () =>
          (await promisedAtMs("b")) > cutMs + 2 * LEASE_MS &&
          (await promisedAtMs("c")) > cutMs + 2 * LEASE_MS,
        patience,
      );
      await open("a");
      expect(await scene.route()).toMatchObject({ epoch: 1, primary: { id: "a" } });
      link().heal();
    },
    timeoutMs,
  );

  it(
    "one of the others does not answer: it ends with its lease",
    async () => {
      await scene.relay("c").kill();
      link().cut();
      await closed("a");
      link().heal();
      await scene.relay("c").start();
      await open("a");
    },
    timeoutMs,
  );

  it(
    "its guard dies: another is started; then the relay is gone: the node is sealed, and another takes over",
    async () => {
      const relay = scene.relay("a");
      const [guard] = await childrenOf(relay.pid());
      process.kill(Number(guard), "SIGKILL");
      await scene.eventually("another guard", async () => {
        const now = await childrenOf(relay.pid());
        return now.length === 1 && now[0] !== guard;
      });
      // It knows whom to guard once it was told of a lease.
      await open("a");
      const mark = await scene.mark();
      await relay.kill("SIGKILL");
      await closed("a");
      const switched = await scene.event("+switch-master", mark);
      expect(switched.data).toMatchObject({ from: "a", cause: "sealed" });
      await open(await primary());
      await relay.start();
      await follows("a");
    },
    timeoutMs,
  );

  it(
    "X2 its Redis stands still: it is ended, and another takes over",
    async () => {
      const id = await primary();
      const server = scene.server(id);
      const { pid } = server;
      const mark = await scene.mark();
      await server.kill("SIGSTOP");
      await scene.eventually("its end", () => !runs(pid), patience);
      const { data } = await scene.event("+switch-master", mark);
      expect(data).toMatchObject({ from: id, cause: "odown" });
      await open(await primary());
      await server.start();
      await follows(id);
      expect(await isSealed(id)).toBe(true);
    },
    timeoutMs,
  );
});
