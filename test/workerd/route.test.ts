/**
 * The authoritative route at the door, each caller a request of its own: what a crowd costs the Group at the
 * moment of a failover, and what a service binding reaches.
 */
import { exports } from "cloudflare:workers";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { parseRoute, type Route } from "../../worker/core/route.ts";
import type { Answer } from "../../worker/env.ts";
import { Group } from "../../worker/group.ts";
import { groupOf, pair, relayAnswers, settled, toldBy } from "./relay.ts";

/** What a service binding to Picket offers. */
const picket = exports as unknown as {
  readonly default: Fetcher;
  readonly Routes: Fetcher & {
    route(group: string, after?: Pick<Route, "epoch" | "rev">): Promise<Answer<Route>>;
  };
};

const crowd = 1000;
const name = "routed";
const url = (group: string) => `https://picket.example.com/v1/groups/${group}/route`;
const withToken = (token = "read-token-of-the-tests") =>
  picket.default.fetch(url(name), { headers: { authorization: `Bearer ${token}` } });

const nodes = pair();
beforeEach(async () => {
  relayAnswers(() => undefined, nodes);
  await settled(groupOf(name), name);
});
afterEach(() => vi.restoreAllMocks());

/** How often the Group was asked for its route since. */
function counted(): () => number {
  const { calls } = vi.spyOn(Group.prototype, "route").mock;
  const before = calls.length;
  return () => calls.length - before;
}

it("a crowd at the moment of a failover costs the Group a handful of questions", async () => {
  const questions = counted();
  const before = await toldBy(picket.Routes.route(name));
  expect(before).toMatchObject({ epoch: 1, primary: { id: "a" } });
  const startMs = Date.now();
  const accepted = groupOf(name).ask(name, { id: "1", kind: "failover", to: "b" });
  let newest = 0;
  for (let rounds = 0; newest < 2; rounds += 1) {
    expect(rounds, "the failover to be over").toBeLessThan(100);
    const asking = Array.from({ length: crowd }, (_, at) =>
      at % 2 === 0 ? withToken() : picket.Routes.fetch(url(name)),
    );
    let seen = newest;
    for (const response of await Promise.all(asking)) {
      expect(response.status).toBe(200);
      expect(response.headers.get("cache-control")).toBe("no-store");
      const route = parseRoute(await response.json());
      // Who asked after all of the last round is told no less.
      expect(route?.epoch).toBeGreaterThanOrEqual(newest);
      if (route?.state === "up") seen = Math.max(seen, route.epoch);
    }
    newest = seen;
  }
  const tookMs = Date.now() - startMs;
  expect((await accepted).kind).toBe("told");
  // One at once, and one for each 250 ms that it all took.
  expect(questions()).toBeLessThanOrEqual(2 + tookMs / 250);
  const after = await toldBy(picket.Routes.route(name));
  expect(after).toMatchObject({ epoch: 2, primary: { id: "b" }, state: "up" });
});

it("who knows a route is told the next one as soon as it is decided, and a crowd that waits asks once", async () => {
  const before = await toldBy(picket.Routes.route(name));
  const questions = counted();
  const known = `${url(name)}?after=${before.epoch}.${before.rev}`;
  const waiting = Array.from({ length: crowd }, (_, at) =>
    at % 2 === 0
      ? picket.default.fetch(known, {
          headers: { authorization: "Bearer read-token-of-the-tests" },
        })
      : picket.Routes.fetch(known),
  );
  await vi.waitFor(() => expect(questions()).toBe(1));
  const to = before.primary?.id === "a" ? "b" : "a";
  await groupOf(name).ask(name, { id: "2", kind: "failover", to });
  const told = new Set<string>();
  for (const response of await Promise.all(waiting)) {
    const route = (await response.json()) as Route;
    told.add(`${route.epoch}.${route.rev} ${route.state}`);
  }
  expect([...told]).toEqual([`${before.epoch}.${before.rev + 1} failing-over`]);
  expect(questions()).toBe(1);
});

it("who waits and nothing changes is told what there is", async () => {
  const before = await toldBy(picket.Routes.route(name));
  expect(await toldBy(picket.Routes.route(name, before))).toEqual(before);
});

it.each(["", "7", "7.x", "-1.2", "1.2.3", "1".repeat(20)])(
  "a route that is none is refused: after=%s",
  async (after) => {
    const response = await picket.Routes.fetch(`${url(name)}?after=${after}`);
    expect(response.status).toBe(400);
    const { complaints } = (await response.json()) as { complaints: unknown[] };
    const allowed = "an epoch and a revision, such as 7.3";
    expect(complaints).toEqual([{ path: "after", given: JSON.stringify(after), allowed }]);
  },
);

it("the API and the binding share what was told, by fetch and by RPC", async () => {
  await vi.waitFor(
    async () => {
      const questions = counted();
      const [byToken, byFetch, byRpc] = await Promise.all([
        withToken().then((response) => response.json()),
        picket.Routes.fetch(url(name)).then((response) => response.json()),
        toldBy(picket.Routes.route(name)),
      ]);
      expect(parseRoute(byToken)).toEqual(byToken);
      expect(byFetch).toEqual(byToken);
      expect(byRpc).toEqual(byToken);
      expect(questions()).toBeLessThanOrEqual(1);
    },
    { timeout: 10_000 },
  );
});

it("a wrong token asks the Group nothing, and reads nothing that was told to others", async () => {
  expect((await withToken()).status).toBe(200);
  const questions = counted();
  for (const token of ["wrong", ""]) {
    const response = await withToken(token);
    expect(response.status).toBe(401);
    expect(await response.text()).not.toContain("primary");
  }
  expect(questions()).toBe(0);
});

it("a binding reaches the route and nothing else", async () => {
  const ask = async (path: string, method = "GET") => {
    const response = await picket.Routes.fetch(`https://any.example${path}`, { method });
    return { status: response.status, body: await response.json() };
  };
  const nothing = { status: 404, body: { title: "Not Found", detail: "no such path" } };
  const group = `/v1/groups/${name}`;
  for (const path of ["/", "/v1/groups", group, `${group}/events`, `${group}/route/x`])
    expect(await ask(path), path).toMatchObject(nothing);
  for (const path of ["/failover", "/switchover", "/pause", "/reset", "/route"])
    expect(await ask(`${group}${path}`, "POST"), path).toMatchObject(nothing);
  for (const method of ["PUT", "DELETE", "PATCH"])
    expect(await ask(`${group}/route`, method), method).toMatchObject(nothing);
});

it("an unknown group is said so by either way in", async () => {
  const detail = "no group nobody";
  const response = await picket.Routes.fetch(url("nobody"));
  expect(response.status).toBe(404);
  expect(await response.json()).toMatchObject({ title: "Not Found", detail });
  expect(await picket.Routes.route("nobody")).toEqual({ kind: "not-found", detail });
});

it("a group that fails to answer is said so, and asked anew by the next who come", async () => {
  const detail = "its state is unreadable";
  const failing = vi
    .spyOn(Group.prototype, "route")
    .mockResolvedValue({ kind: "unavailable", detail });
  // Until what was told before is too old.
  await vi.waitUntil(async () => (await withToken()).status === 503, { timeout: 10_000 });
  expect(await picket.Routes.route(name)).toEqual({
    kind: "unavailable",
    detail,
  });
  failing.mockRestore();
  expect((await withToken()).status).toBe(200);
});

it("whoever asked first goes away: those who waited with it are answered", async () => {
  const answer = await groupOf(name).route(name);
  const questions = counted();
  let silent = true;
  vi.mocked(Group.prototype.route).mockImplementation(async () => {
    // No promise of the test's: an object may wait for its own things only.
    await vi.waitUntil(() => !silent, { timeout: 10_000 });
    return answer as Answer<Route>;
  });
  const leaving = new AbortController();
  // Until what was told before is too old, and a question is under way.
  const first = await vi.waitUntil(
    async () => {
      const asked = picket.Routes.fetch(url(name), { signal: leaving.signal }).catch(() => "gone");
      await Promise.race([asked, vi.waitUntil(() => questions() > 0, { timeout: 5000 })]);
      return questions() > 0 && { asked };
    },
    { timeout: 10_000 },
  );
  const others = [withToken(), picket.Routes.fetch(url(name))];
  leaving.abort();
  expect(await first.asked).toBe("gone");
  silent = false;
  for (const other of others) expect((await other).status).toBe(200);
  // Two, where they came so late that the first was too old for them.
  expect(questions()).toBeLessThanOrEqual(2);
});
