/** What hangs, and what the relay says of it: a script that does not end, a disk that does not answer. */
import { execFile } from "node:child_process";
import { open, rm } from "node:fs/promises";
import { promisify } from "node:util";
import { expect, onTestFinished, test, vi } from "vitest";
import { headers } from "../../worker/relay/protocol.ts";
import {
  ask,
  facts,
  nodeAt,
  post,
  redis,
  relayOver,
  settingsFor,
  settled,
  stampOf,
  tell,
  verb,
} from "./support.ts";

const kill = { epoch: 1, primary: null };

/** A Redis that admits after 50 ms that a script keeps it busy, and the relay beside it. */
async function scripted() {
  const a = await redis({ args: ["--lua-time-limit", "50"] });
  const relay = await relayOver(await settingsFor([nodeAt("a", a)]));
  await tell(relay);
  const endless = (before = "") => ask(a, ["EVAL", `${before} while true do end`, "0"]);
  const busy = () =>
    vi.waitFor(async () => {
      const { body } = await post(relay, "/nodes/a", ["PING"]);
      expect(body).toMatchObject({ error: expect.stringMatching(/^BUSY /) });
    }, settled);
  return { a, relay, endless, busy };
}

test("script-kill ends a script that has not written; when none runs there is nothing to end", async () => {
  const { relay, endless, busy } = await scripted();
  const script = endless();
  await busy();
  expect(await verb(relay, "a/script-kill", kill)).toMatchObject({
    status: 200,
    body: { outcome: "done", detail: "" },
  });
  expect(String(await script)).toMatch(/killed by user/i);
  expect(await verb(relay, "a/script-kill", kill)).toMatchObject({
    status: 200,
    body: { outcome: "done", detail: expect.stringMatching(/^NOTBUSY /) },
  });
});

test("script-kill of a script that has written is failed, with Redis's words", async () => {
  const { a, relay, endless, busy } = await scripted();
  const script = endless("redis.call('set', 'k', 'v')").catch(() => "lost");
  await busy();
  expect(await verb(relay, "a/script-kill", kill)).toMatchObject({
    status: 502,
    body: { outcome: "failed", detail: expect.stringMatching(/^UNKILLABLE /) },
  });
  await a.kill();
  expect(await script).toBe("lost");
});

test("a disk that hangs: an answer by the deadline, and nothing is executed", async () => {
  const server = await redis();
  // Far longer than this test may take: whoever has an answer was not kept waiting for it.
  const settings = await settingsFor([nodeAt("a", server)], { nodeTimeoutMs: 600_000 });
  const relay = await relayOver(settings);
  await tell(relay);
  // The next state is written beside the old one: into a pipe that nobody reads, opening it waits for ever.
  const pipe = `${settings.stateFile}.tmp`;
  await promisify(execFile)("mkfifo", [pipe]);
  const release = async () => {
    const reader = await open(pipe, "r+");
    await rm(pipe);
    await reader.close();
  };
  let hung = true;
  onTestFinished(async () => {
    if (hung) await release();
  });

  const seal = { epoch: 1, primary: null, action: "hung" };
  const soon = { [headers.deadline]: "200" };
  for (const action of ["hung", "another"]) {
    expect(await verb(relay, "a/seal", { ...seal, action }, soon)).toMatchObject({
      status: 502,
      body: { outcome: "unreachable", detail: expect.stringMatching(/in time; not executed$/) },
    });
  }
  const told = { epoch: 3, primary: null, stamp: await stampOf(relay) };
  expect(await post(relay, "/groups/g/epoch", told, soon)).toMatchObject({
    status: 502,
    body: { outcome: "failed" },
  });
  // Looks need no disk.
  expect(await facts(relay, "a")).toMatchObject({ minReplicasToWrite: 0 });

  await release();
  hung = false;
  // A repeated order is not executed later, and a new one is.
  expect(await verb(relay, "a/seal", { ...seal, action: "hung" }, soon)).toMatchObject({
    body: { outcome: "unreachable" },
  });
  expect(await facts(relay, "a")).toMatchObject({ minReplicasToWrite: 0 });
  await vi.waitFor(async () => {
    const said = await verb(relay, "a/seal", { epoch: 3, primary: null });
    expect(said).toMatchObject({ status: 200, body: { outcome: "done" } });
  }, settled);
});
