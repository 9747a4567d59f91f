/**
 * Two relays, and three regions that reach the nodes by a way of their own: five votes, and what becomes of one that
 * fails, errs or lies.
 */
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Link, openLink } from "../../scripts/demo/link.ts";
import type { RawEnv } from "../../worker/env.ts";
import { must, type Scene, startScene } from "../support/stack.ts";

const regions = ["weur", "enam", "apac"];

let scene: Scene;
/** Ways to the primary, for others than its replica and its own relay. */
let [fromRelay, fromRegions]: [Link?, Link?] = [];
const silent: { server: Server; sockets: Set<Socket> } = {
  server: createServer(),
  sockets: new Set(),
};

beforeAll(async () => {
  const way = await openLink("127.0.0.1");
  const wide = await openLink("127.0.0.1");
  [fromRelay, fromRegions] = [way, wide];
  silent.server.on("connection", (socket) => silent.sockets.add(socket.on("error", () => {})));
  await new Promise<void>((resolve) => silent.server.listen(0, "127.0.0.1", resolve));
  scene = await startScene({
    ids: ["a", "b"],
    entry: join(import.meta.dirname, "vantage-worker.ts"),
    // A primary that has nothing to say is heard of each second: else its replica is no witness for it.
    redisArgs: () => ["--repl-ping-replica-period", "1"],
    reach: (relay, node, at) => {
      if (node !== "a") return undefined;
      for (const each of [way, wide]) each.leadTo(at);
      return relay === "b" ? way : undefined;
    },
    nodeOf: (id, { port }) => ({
      probe: {
        transport: "tcp",
        host: "127.0.0.1",
        port: id === "a" ? Number(new URL(wide.url).port) : port,
        allow_private: true,
      },
    }),
    // A quiet group asks its regions once a minute.
    settings: {
      quiet: false,
      vantages: ["relay:a", "relay:b", ...regions],
      down_after_ms: 3000,
    },
  });
});
afterAll(async () => {
  await scene?.stop();
  await fromRelay?.close();
  await fromRegions?.close();
  for (const socket of silent.sockets) socket.destroy();
  silent.server.close();
});

/** Nothing is refused on this way, and nothing answered. */
function silence(link: Link | undefined): void {
  const { port } = silent.server.address() as { port: number };
  link?.leadTo({ host: "127.0.0.1", port });
  link?.cut();
  link?.heal();
}
const restore = (...links: (Link | undefined)[]) => {
  for (const link of links) {
    link?.leadTo({ host: "127.0.0.1", port: scene.server("a").port });
    link?.cut();
    link?.heal();
  }
};
const fault = async (region: string, kind: "throw" | "lie" | "none") => {
  const { ROUTES } = (await scene.worker.getEnv()) as Pick<RawEnv, "ROUTES">;
  await ROUTES.put(`fault:${region}`, kind);
};
const seenOf = async (node: string) => {
  const seen = (await scene.view()).nodes.find(({ id }) => id === node);
  return Object.entries(must(seen, node).vantages);
};
/** What everyone says of the primary, once nobody is slow. */
const votes = (expected: Readonly<Record<string, string>>) =>
  scene.eventually(`votes ${JSON.stringify(expected)}`, async () => {
    const said = (await seenOf("a")).map(([name, { vote }]) => [name, vote]);
    return isDeepStrictEqual(Object.fromEntries(said), expected);
  });
const all = (vote: string) =>
  Object.fromEntries(["relay:a", "relay:b", ...regions].map((vantage) => [vantage, vote]));
const namesSince = async (mark: number) => (await scene.events(mark)).map(({ name }) => name);
const untouched = { phase: "watching", primary: "a", epoch: 1, state: "up" };

it("S06.1 five votes; who saw what by which path is told; ckquorum counts regions too", async () => {
  await votes(all("up"));
  const [a] = (await scene.view()).nodes;
  const paths = a?.paths.map(({ from, vantage, transport }) => `${from} ${vantage} ${transport}`);
  expect(new Set(paths)).toEqual(
    new Set([
      ...["group", ...regions].flatMap((from) =>
        ["relay:a", "relay:b"].map((relay) => `${from} ${relay} relay`),
      ),
      ...regions.map((region) => `${region} ${region} tcp`),
    ]),
  );
  expect(await scene.api("/v1/groups/cache/ckquorum")).toMatchObject({
    status: 200,
    body: { ok: true, usable: 5 },
  });
});

it("G2 one of five sees the primary down: it is told, and nothing is done", async () => {
  const mark = await scene.mark();
  silence(fromRelay);
  await scene.event("+sdown", mark, "a");
  await scene.looks(5, { at: "b" });
  await votes({ ...all("up"), "relay:b": "down" });
  expect(await scene.view()).toMatchObject(untouched);
  restore(fromRelay);
  await scene.event("-sdown", mark, "a");
  expect(await namesSince(mark)).not.toContain("+odown");
});

it("G21 S06.2 the relay beside the primary is down: an observer fails, and the node is up for the others", async () => {
  const mark = await scene.mark();
  await scene.relay("a").kill();
  await scene.event("+fault", mark);
  await scene.eventually("ckquorum to count it no more", async () => {
    const { body } = await scene.api("/v1/groups/cache/ckquorum");
    return (body as { usable?: number }).usable === 4;
  });
  await votes({ ...all("up"), "relay:a": "abstain" });
  expect(await scene.view()).toMatchObject(untouched);
  expect(await namesSince(mark)).not.toContain("+sdown");
});

it("G1 then nobody reaches the primary, and its replica still hears from it: out of reach, no failover", async () => {
  const mark = await scene.mark();
  silence(fromRelay);
  silence(fromRegions);
  await scene.event("+odown", mark, "a");
  await scene.event("+unreachable", mark, "a");
  await scene.looks(5, { at: "b", by: 1 });
  expect(await scene.view()).toMatchObject({ phase: "watching", primary: "a", epoch: 1 });
  expect(await namesSince(mark)).not.toContain("+try-failover");
  restore(fromRelay, fromRegions);
  await scene.relay("a").start();
  await scene.event("-odown", mark, "a");
  await scene.steady("a");
});

it("a region that lies about the primary changes nothing: one of five", async () => {
  const mark = await scene.mark();
  await fault("apac", "lie");
  const lies = async () =>
    (await seenOf("a")).some(([name, { class: how }]) => name === "apac" && how === "refused");
  await scene.eventually("its lie", lies);
  await scene.looks(5, { at: "b" });
  expect(await scene.view()).toMatchObject(untouched);
  await fault("apac", "none");
  await votes(all("up"));
  expect(await namesSince(mark)).not.toContain("+odown");
});

it("a region that fails is told, and holds up nobody", async () => {
  const mark = await scene.mark();
  await fault("weur", "throw");
  await scene.event("+vantage-fault", mark);
  await scene.looks(5, { at: "b" });
  await votes({ ...all("up"), weur: "abstain" });
  expect(await scene.view()).toMatchObject(untouched);
});

it("S00.8 the primary is killed while one region is dead: failed over, by the votes of the others", async () => {
  const mark = await scene.mark();
  await scene.server("a").kill();
  // Nobody listens there any more.
  await Promise.all([fromRelay?.close(), fromRegions?.close()]);
  expect(await scene.steady("b", [])).toMatchObject({ epoch: 2 });
  const odown = await scene.event("+odown", mark, "a");
  const { votes: said } = odown.data as { votes: Record<string, { vote: string }> };
  expect(said.weur?.vote).toBe("abstain");
});
