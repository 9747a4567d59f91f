/**
 * The client inside the Workers runtime: KV of the runtime, Picket's own entrypoint as the authority, timers
 * that belong to a request.
 */
import { exports } from "cloudflare:workers";
import { afterEach, expect, it, vi } from "vitest";
import { connect, OutcomeUnknownError, type Route } from "../../worker/client/index.ts";
import { bindings, groupOf, pair, relayAnswers, routeOf, settled } from "./relay.ts";

afterEach(() => vi.restoreAllMocks());

const end = (id: string) => ({
  id,
  host: "10.0.0.1",
  port: 6379,
  tls: false,
  rest: `https://${id}.example.test/nodes/${id}`,
});
const route = (group: string, epoch: number, primary: string, replicas: string[] = []): Route => ({
  v: 1,
  group,
  mode: "replication",
  epoch,
  rev: 0,
  state: "up",
  hostname: null,
  primary: end(primary),
  replicas: replicas.map((id) => ({ ...end(id), readWeight: 1 })),
  updatedAt: "2026-11-20T12:00:00.000Z",
});

/** What each node was asked; `answer` by its id. */
function nodes(answer: (node: string, words: unknown[]) => Response | Promise<Response>) {
  const asked: string[] = [];
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const { host } = new URL(String(input));
    const node = host.split(".")[0] ?? "";
    const words = JSON.parse(String(init?.body));
    asked.push(`${node} ${words[0]}`);
    return answer(node, words);
  });
  return asked;
}

const readonly = () => Response.json({ error: "READONLY You can't write" }, { status: 400 });

it("G19 C17 follows KV and the authority, and sends twice only what is safe", async () => {
  await bindings.ROUTES.put("route:edge", JSON.stringify(route("edge", 1, "a", ["b"])));
  const asked = nodes((node) => (node === "a" ? readonly() : Response.json({ result: 1 })));
  const switches: string[] = [];
  const redis = connect(bindings.ROUTES, "edge", {
    token: "t",
    readFrom: "replicas",
    authority: { fetch: async () => Response.json(route("edge", 2, "b", ["c"])) },
    onSwitch: (from, to, why) => switches.push(`${from.primary?.id} > ${to.primary?.id}: ${why}`),
  });
  expect(await redis.get("k")).toBe(1);
  expect(await redis.incr("n")).toBe(1);
  expect(await redis.get("k")).toBe(1);
  expect(asked).toEqual(["b get", "a incr", "b incr", "c get"]);
  expect(switches).toEqual(["a > b: failure"]);
});

it("F17 C17 a node that never answers: the wait has an end, and the outcome is not known", async () => {
  await bindings.ROUTES.put("route:hung", JSON.stringify(route("hung", 1, "a")));
  vi.spyOn(globalThis, "fetch").mockImplementation(
    (_, init) =>
      new Promise((__, reject) => {
        init?.signal?.addEventListener("abort", () => reject(init.signal?.reason));
      }),
  );
  const redis = connect(bindings.ROUTES, "hung", { token: "t", timeoutMs: 50 });
  const error: unknown = await redis.incr("n").catch((thrown) => thrown);
  expect(error).toBeInstanceOf(OutcomeUnknownError);
  expect(error).toMatchObject({ node: "a", reason: "TimeoutError" });
});

it("G19 Picket's entrypoint `Routes` is an authority as a binding is", async () => {
  relayAnswers(() => undefined, pair());
  await settled(groupOf("asked"), "asked");
  const truth = await routeOf(groupOf("asked"), "asked");
  const redis = connect({ get: async () => null }, "asked", {
    token: "t",
    authority: (exports as unknown as { readonly Routes: Fetcher }).Routes,
  });
  expect(await redis.route()).toEqual(truth);
});
