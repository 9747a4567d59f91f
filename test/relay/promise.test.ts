/** POST /promise at a real relay: who gets one, what it then refuses, and what it remembers of it after a restart. */
import { rm, writeFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { startRelay } from "../../worker/relay/serve.ts";
import { until } from "../support/wait.ts";
import { ask, nodeAt, pair, redis, relayOver, settingsFor, tell, verb } from "./support.ts";

const TOKEN = "token-between-two-relays";
/** Nobody listens there: the Group is away. */
const groups = [{ name: "g", url: "http://127.0.0.1:9" }];
const lease = [
  {
    ...{ group: "g", node: "b", sealMs: 2000, killCommand: null },
    peers: [{ id: "a", url: "http://127.0.0.1:9", token: TOKEN }],
  },
];
const asked = { group: "g", node: "a", epoch: 3, leaseMs: 60_000 };

async function promise(relay: { url: string }, body: unknown, token: string | null = TOKEN) {
  const response = await fetch(`${relay.url}/promise`, {
    method: "POST",
    headers: token === null ? {} : { authorization: `Bearer ${token}` },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  const said = (await response.json()) as { error?: string; promised?: boolean; why?: string };
  return { status: response.status, body: said };
}

/** Two Redis servers, and the relay of b, which keeps its lease and holds epoch 3 of g, of nobody. */
async function keeper() {
  const set = await pair({ groups, lease });
  await tell(set.relay, 3);
  await until("the seal of the start", async () => {
    const [config] = await ask(set.b, ["CONFIG", "GET", "min-replicas-to-write"]);
    return Number((config as readonly string[])[1]) > 0;
  });
  return set;
}

describe("who gets a promise", () => {
  test("a peer that is not behind; every other request is refused by name, and takes no effect", async () => {
    const { relay } = await keeper();
    for (const token of [null, "a-wrong-token-of-nobody", "control-token-of-the-tests"])
      expect(await promise(relay, asked, token)).toMatchObject({ status: 401 });
    expect(await promise(relay, { ...asked, group: "h" })).toMatchObject({ status: 401 });
    const wrong: readonly (readonly [unknown, RegExp])[] = [
      ["{", /the body/],
      [{ ...asked, epoch: "3" }, /^ERR epoch: given "3", allowed: a whole number from 0/],
      [{ ...asked, epoch: -1 }, /^ERR epoch: given -1/],
      [{ ...asked, epoch: undefined }, /^ERR epoch/],
      [{ ...asked, leaseMs: 600_001 }, /^ERR leaseMs: given 600001, allowed: 1 to 600000/],
      [{ ...asked, more: 1 }, /^ERR more/],
      ["x".repeat(5000), /4096 bytes/],
    ];
    for (const [body, error] of wrong) {
      const said = await promise(relay, body);
      expect([400, 413]).toContain(said.status);
      expect(said.body.error).toMatch(error);
    }
    const behind = await promise(relay, { ...asked, epoch: 2 });
    expect(behind).toMatchObject({ status: 409, body: { promised: false } });
    expect(behind.body.why).toMatch(/epoch 2 is behind 3/);
    expect(await promise(relay, asked)).toEqual({ status: 200, body: { promised: true, why: "" } });
  });
});

const opening = { epoch: 3, primary: "b", minReplicas: 0, bootSealed: false };

describe("what a promise forbids", () => {
  test("to open a node, whoever asks; and a higher epoch that was refused is held", async () => {
    const { relay } = await keeper();
    expect(await promise(relay, asked)).toMatchObject({ status: 200 });
    for (const what of ["b/promote", "b/unseal"] as const) {
      const said = await verb(relay, what, opening);
      expect(said).toMatchObject({ status: 409, body: { outcome: "refused" } });
      expect(said.body).toHaveProperty("detail", expect.stringMatching(/^PROMISED to open nobody/));
    }
    const next = await verb(relay, "b/promote", { ...opening, epoch: 4 });
    expect(next).toMatchObject({ status: 409 });
    // It knows now that another one may be on its way.
    expect(await promise(relay, asked)).toMatchObject({ status: 409, body: { promised: false } });
    // What closes a node is never forbidden.
    const seal = await verb(relay, "a/seal", { epoch: 4, primary: "b" });
    expect(seal).toMatchObject({ status: 200, body: { outcome: "done" } });
  });

  test("also after a restart, and for its whole length; without its file it may have promised anything", async () => {
    const b = await redis();
    const settings = await settingsFor([nodeAt("a", b), nodeAt("b", b)], { groups, lease });
    const file = `${settings.stateFile}.lease`;
    const first = await startRelay(settings);
    await tell(first, 3);
    expect(await promise(first, { ...asked, leaseMs: 600_000 })).toMatchObject({ status: 200 });
    await first.close();
    const again = await startRelay(settings);
    const leased = { ...opening, lease: { ms: 30_000, promisers: ["a"] } };
    const refused = { status: 409, body: { detail: expect.stringMatching(/^PROMISED/) } };
    expect(await verb(again, "b/unseal", opening)).toMatchObject(refused);
    await again.close();

    await writeFile(file, JSON.stringify({ v: 1, leases: [], promises: [] }));
    const free = await startRelay(settings);
    expect(await verb(free, "b/unseal", leased)).toMatchObject({ status: 200 });
    await free.close();

    await writeFile(file, '{"v":1');
    await expect(startRelay(settings)).rejects.toThrow(/lease file .* damaged/);
    await rm(file);
    const lost = await relayOver(settings);
    expect(await verb(lost, "b/unseal", leased)).toMatchObject(refused);
  });
});

describe("a verb that opens a node with a lease", () => {
  const leased = { ...opening, lease: { ms: 30_000, promisers: [] } };

  test("is refused where nobody would end it", async () => {
    const { relay } = await pair();
    await tell(relay, 3);
    const said = await verb(relay, "b/promote", leased);
    expect(said).toMatchObject({ status: 409, body: { detail: expect.stringMatching(/^LEASE/) } });
  });

  test("and where nothing of the lease is left; its fields are checked", async () => {
    const b = await redis();
    const settings = await settingsFor([nodeAt("a", b), nodeAt("b", b)], { groups, lease });
    await writeFile(
      `${settings.stateFile}.lease`,
      JSON.stringify({ v: 1, leases: [], promises: [] }),
    );
    const relay = await relayOver(settings);
    await tell(relay, 3);
    const short = { ...opening, lease: { ms: 2000, promisers: [] } };
    const said = await verb(relay, "b/unseal", short);
    expect(said).toMatchObject({ status: 409, body: { detail: expect.stringMatching(/^STAMP/) } });
    for (const wrong of [{ ms: 0, promisers: [] }, { ms: "3000", promisers: [] }, { ms: 3000 }, 1])
      expect(await verb(relay, "b/unseal", { ...opening, lease: wrong })).toMatchObject({
        status: 400,
      });
  });
});
