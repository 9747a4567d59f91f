/**
 * Leases at the Worker's door and in the Group: who is answered, from what, and what is written.
 */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { app } from "../../worker/api/app.ts";
import { bindings, groupOf, relayAnswers, settled, sqlOf } from "./relay.ts";

beforeEach(async () => {
  relayAnswers();
  await settled(groupOf("leased"), "leased");
});
afterEach(() => vi.restoreAllMocks());

const TOKEN = "control-token-of-the-tests";
const asked = {
  ...{ relay: "a", node: "a", runId: "run-of-a", sealed: false },
  ...{ leftMs: 0, promisers: [] },
};

async function ask(body: unknown, token: string | null = TOKEN, group = "leased") {
  const response = await app.request(
    `/v1/groups/${group}/lease`,
    {
      method: "POST",
      headers: token === null ? {} : { authorization: `Bearer ${token}` },
      body: typeof body === "string" ? body : JSON.stringify(body),
    },
    bindings,
  );
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

it("a relay is known by its own control token, and nothing is told to anybody else", async () => {
  const unauthorized = { status: 401, body: { title: "Unauthorized", status: 401 } };
  for (const token of [null, "wrong", "operate-token-of-the-tests", "data-token-of-the-tests"])
    expect(await ask(asked, token)).toMatchObject(unauthorized);
  expect(await ask({ ...asked, relay: "b" })).toMatchObject(unauthorized);
  expect(await ask(asked, TOKEN, "nobody")).toMatchObject(unauthorized);
  expect(await ask("{")).toMatchObject(unauthorized);
  expect(await ask("x".repeat(20_000))).toMatchObject(unauthorized);
});

it.each([
  ["node", undefined, "nothing", "relay, node, runId"],
  ["node", 7, "7", "a name"],
  ["runId", 7, "7", "a run id"],
  ["leftMs", -1, "-1", "0 or more"],
  ["sealed", "yes", '"yes"', "true or false"],
  ["more", 1, "1", "no such key"],
])("what is wrong in a request is named: %s", async (path, value, given, allowed) => {
  const { status, body } = await ask({ ...asked, [path]: value });
  expect(status).toBe(400);
  expect(body.complaints).toContainEqual({ path, given, allowed: expect.any(String) });
  expect(JSON.stringify(body.complaints)).toContain(allowed);
});

it("it is granted from what is stored, and a grant writes nothing", async () => {
  // The first request is news: that this relay keeps the lease is written down, once.
  await vi.waitUntil(
    async () => {
      await ask(asked);
      const [row] = await sqlOf(groupOf("leased"), "SELECT json FROM state");
      return JSON.parse(String(row?.json)).leases.keepers?.a !== undefined;
    },
    { timeout: 20_000 },
  );
  const before = await sqlOf(groupOf("leased"), "SELECT version FROM state");
  const granted = { granted: true, enforced: true, leaseMs: 3000, promisers: [] };
  for (let times = 0; times < 5; times += 1)
    expect(await ask(asked)).toMatchObject({ status: 200, body: granted });
  expect(await sqlOf(groupOf("leased"), "SELECT version FROM state")).toEqual(before);
  const other = await ask({ ...asked, runId: "another" });
  expect(other).toMatchObject({ status: 200, body: { granted: false, enforced: true } });
});

it("an instance that is not the last one to have written grants nothing", async () => {
  const stub = groupOf("leased");
  await sqlOf(stub, "UPDATE state SET version = version + 1");
  const said = await ask(asked);
  expect(said).toMatchObject({
    status: 503,
    body: { detail: "another instance of the group decided meanwhile" },
  });
});
