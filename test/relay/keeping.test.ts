/** The verbs at a relay that keeps the lease of a node: what becomes of a Redis that does not confirm a seal. */
import { writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import type { LeaseSettings } from "../../worker/relay/lease/settings.ts";
import { runs } from "../support/processes.ts";
import { until } from "../support/wait.ts";
import { ask, nodeAt, redis, relayOver, settingsFor, tell, verb } from "./support.ts";

/** A relay that keeps the lease of a, and not that of b; both nodes boot sealed. */
async function keeper(more: Partial<LeaseSettings> = {}) {
  const args = ["--min-replicas-to-write", "1000000", "--min-replicas-max-lag", "10"];
  const a = await redis({ args });
  const b = await redis({ args });
  const killCommand = ["kill", "-9", String(a.pid)];
  const lease = [{ group: "g", node: "a", sealMs: 500, killCommand, peers: [], ...more }];
  const nodes = [nodeAt("a", a), nodeAt("b", b)];
  // Nobody listens there: the Group is away.
  const groups = [{ name: "g", url: "http://127.0.0.1:9" }];
  const settings = await settingsFor(nodes, { lease, groups });
  // It has run before, and promised nothing.
  const promised = JSON.stringify({ v: 1, leases: [], promises: [] });
  await writeFile(`${settings.stateFile}.lease`, promised);
  const relay = await relayOver(settings);
  await tell(relay);
  return { a, b, relay };
}

/** It is opened as the primary, with a lease. */
const opened = (relay: { url: string }) =>
  verb(relay, "a/unseal", {
    ...{ epoch: 1, primary: "a", minReplicas: 0, bootSealed: true },
    lease: { ms: 60_000, promisers: null },
  });
const takesWrites = async (at: Parameters<typeof ask>[0]) =>
  String((await ask(at, ["SET", "k", "v"]))[0]) === "OK";
const sealed = { epoch: 2, primary: null };
const down = { ...sealed, hard: true };
const confirmed = async (relay: { url: string }, order: typeof sealed) => {
  const { body } = await verb(relay, "a/seal", order);
  return (body as { outcome?: string }).outcome === "done";
};

test("nothing listens there: a seal is as good as confirmed where the lease is kept, and nowhere else", async () => {
  const { a, b, relay } = await keeper();
  expect(await opened(relay)).toMatchObject({ body: { outcome: "done" } });
  expect(await takesWrites(a)).toBe(true);
  await Promise.all([a.kill(), b.kill()]);
  expect(await verb(relay, "b/seal", sealed)).toMatchObject({ body: { outcome: "unreachable" } });
  expect(await verb(relay, "a/seal", sealed)).toMatchObject({
    body: { outcome: "done", detail: expect.stringContaining("its lease is given back") },
  });
  await a.start();
  expect(await takesWrites(a)).toBe(false);
});

test("X2 it hangs when it is to be sealed: its lease is given back, it is ended, and that is the confirmation", async () => {
  const { a, relay } = await keeper();
  expect(await opened(relay)).toMatchObject({ body: { outcome: "done" } });
  await a.kill("SIGSTOP");
  const said = await verb(relay, "a/seal", down);
  expect(said.body).not.toMatchObject({ outcome: "refused" });
  await until("its end", () => !runs(a.pid));
  await until("the confirmation", () => confirmed(relay, down));
});

test("one that is slow and not known to be down has until the end of its lease; then it is sealed, and nobody ended it", async () => {
  const { a, relay } = await keeper();
  expect(await opened(relay)).toMatchObject({ body: { outcome: "done" } });
  await a.kill("SIGSTOP");
  await verb(relay, "a/seal", sealed);
  expect(runs(a.pid)).toBe(true);
  await a.kill("SIGCONT");
  await until("the seal", () => confirmed(relay, sealed));
  expect(await takesWrites(a)).toBe(false);
  // Sealed, it is nobody's to end any more, however slow it is and whatever becomes of this relay.
  await a.kill("SIGSTOP");
  await verb(relay, "a/seal", down);
  await relay.close();
  expect(runs(a.pid)).toBe(true);
  await a.kill("SIGCONT");
});

test("a node that was never open by its word is sealed when it answers, and not ended for being slow", async () => {
  const { a, relay } = await keeper();
  await a.kill("SIGSTOP");
  // As long as a verb takes: several times as long as Redis has to confirm.
  await verb(relay, "a/seal", down);
  expect(runs(a.pid)).toBe(true);
  await a.kill("SIGCONT");
  await until("the seal", () => confirmed(relay, sealed));
});
