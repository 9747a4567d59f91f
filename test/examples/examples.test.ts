/**
 * docs/examples as a reader would run them, beside the built Picket, real relays and redis-servers: the primary is
 * killed with SIGKILL under each, and it goes on at the new one.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { must, type Scene, startScene, tokens } from "../support/stack.ts";
import { samePort, startExample, startResolver } from "./support.ts";

const hosts: Record<string, string> = { a: "127.0.0.21", b: "127.0.0.22", c: "127.0.0.23" };
const ids = Object.keys(hosts);
let scene: Scene;
beforeAll(async () => {
  scene = await startScene({
    hostOf: (id) => must(hosts[id], id),
    workers: [
      {
        configPath: new URL("../../docs/examples/edge-app/wrangler.toml", import.meta.url),
        secrets: Object.fromEntries(
          ids.map((id) => [`REDIS_TOKEN_${id.toUpperCase()}`, tokens.data(id)]),
        ),
      },
    ],
  });
});
afterAll(() => scene?.stop());

const primaryNow = async () => must((await scene.route()).primary, "primary").id;

/** Who is in force when it is over, and who was. */
async function killPrimary() {
  const old = await primaryNow();
  await scene.server(old).kill();
  const route = await scene.eventually("another primary", async () => {
    const now = await scene.route();
    return now.state === "up" && now.primary?.id !== old && now;
  });
  return { old, primary: must(route.primary, "primary").id };
}

async function comeback(old: string, primary: string) {
  await scene.server(old).start();
  await scene.steady(primary);
}

const members = async (id: string, key: string) =>
  ((await scene.ask(id, ["SMEMBERS", key]))[0] as Buffer[]).map(String);

/** So many are at every replica, so that no failover can lose them. */
const replicated = (key: string, least: number) =>
  scene.eventually("what was written at the replicas", async () => {
    const { replicas } = await scene.route();
    const counts = await Promise.all(replicas.map(({ id }) => scene.ask(id, ["SCARD", key])));
    return replicas.length === ids.length - 1 && counts.every(([all]) => Number(all) >= least);
  });

async function visit(path: string, method = "GET"): Promise<{ status: number; body: unknown }> {
  const app = scene.harness.getWorker("edge-app");
  const response = await app.fetch(`http://edge.example.test${path}`, { method });
  return { status: response.status, body: await response.json().catch(() => null) };
}

it("edge-app goes on at the new primary, and what it confirmed is there", async () => {
  await scene.published();
  expect(await visit("/visitors/ada", "POST")).toEqual({ status: 200, body: { welcome: "ada" } });
  expect(await visit("/visitors")).toEqual({ status: 200, body: { visitors: 1 } });
  await replicated("visitors", 1);
  const { old, primary } = await killPrimary();
  const confirmed = ["ada"];
  await scene.eventually("the app to go on", async () => {
    const name = `visitor-${confirmed.length}`;
    const { status } = await visit(`/visitors/${name}`, "POST");
    expect([200, 503]).toContain(status);
    if (status === 200) confirmed.push(name);
    return confirmed.length > 5;
  });
  expect((await members(primary, "visitors")).sort()).toEqual(confirmed.sort());
  await comeback(old, primary);
});

it.each(["ioredis", "node-redis"])(
  "node-app with %s goes on at the new primary, never again at the old one, and loses nothing in silence",
  async (client) => {
    const key = "numbers";
    const app = startExample("node-app/main.ts", [client], {
      RELAYS: ids.map((id) => scene.relay(id).url).join(),
      TOKENS: ids.map(tokens.data).join(),
    });
    const seen = { seen: app.said, withinMs: 20_000 };
    await scene.eventually("it writes", () => app.confirmed().length > 20, seen);
    const safe = app.confirmed().length;
    await replicated(key, safe);

    const { old, primary } = await killPrimary();
    // A few lines may still be on their way from before.
    const from = app.lines.length + 5;
    await scene.eventually("it writes again", () => app.confirmed(from).length > 20, seen);
    await scene.server(old).start();
    const back = app.lines.length;
    await scene.steady(primary);
    await scene.eventually("it goes on", () => app.confirmed(back).length > 20, seen);
    expect(String(await scene.ask(old, ["CLIENT", "LIST"]))).not.toContain("node-app");
    expect(await app.stop("SIGTERM")).toBe(0);

    // Each was confirmed in the end, in order; but for the last moments before the kill, each is there.
    const all = app.confirmed();
    expect(all).toEqual(Array.from({ length: all.length }, (_, index) => index + 1));
    const kept = new Set((await members(primary, key)).map(Number));
    const first = must(app.confirmed(from)[0], "number");
    expect(all.filter((n) => !kept.has(n) && (n <= safe || n >= first))).toEqual([]);
    await scene.ask(primary, ["DEL", key]);
  },
);

it("legacy-app moves with the name that it resolves, as soon as the old answer is over", async () => {
  const ttlS = 2;
  const ports = ids.map((id) => [must(hosts[id], id), scene.server(id).port]);
  const app = startExample("legacy-app/main.ts", [], {
    HOST: "cache.example.test",
    PORT: String(await samePort(Object.fromEntries(ports))),
    DNS_SERVER: await startResolver(scene.cloudflare.dnsPort, ttlS),
  });
  const seen = { seen: app.said, withinMs: 20_000 };
  const before = must(hosts[await primaryNow()], "host");
  const writesAt = (host: string) =>
    app.lines.filter(({ confirmed, at }) => confirmed !== undefined && at === host);
  await scene.eventually("it writes", () => writesAt(before).length > 5, seen);

  const { old, primary } = await killPrimary();
  const now = must(hosts[primary], "host");
  await scene.eventually("the DNS answer", async () => (await scene.resolved())[0] === now);
  await scene.eventually("it writes at the new one", () => writesAt(now).length > 5, seen);

  // It asked again when an answer was over, and what it once knew of the new one it never forgot.
  const lookups = app.lines.flatMap(({ resolved, ttl = 0 }) => (resolved ? { resolved, ttl } : []));
  for (const { ttl } of lookups) expect(ttl).toBeLessThanOrEqual(ttlS);
  const found = lookups.map(({ resolved }) => resolved);
  expect(found.slice(found.indexOf(now))).not.toContain(before);
  const kept = new Set((await members(primary, "numbers")).map(Number));
  for (const { confirmed } of writesAt(now)) expect(kept).toContain(confirmed);
  await comeback(old, primary);
});
