/**
 * connectGeo on workerd: no timer lives between requests, so commands look by the way; and a look that dies with
 * the request that began it holds up nobody for long.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { createTestHarness } from "wrangler";
import { startRestServer } from "../support/rest-server.ts";
import { until } from "../support/wait.ts";
import { sites } from "./geo-sites.ts";

type Said = {
  readonly value?: number;
  readonly active?: string;
  readonly error?: string;
  readonly switches: readonly string[];
};

it("C3 C4 C13 lazily: away from the dead one, nobody, one that recovers, and back", async () => {
  const dir = mkdtempSync(join(tmpdir(), "picket-geo-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  process.env.WRANGLER_REGISTRY_PATH = join(dir, "registry");
  process.env.WRANGLER_SEND_METRICS = "false";
  process.env.CLOUDFLARE_CF_FETCH_ENABLED = "false";
  process.env.WRANGLER_LOG ??= "none";
  const { databases: real, server } = await sites({ a: 2, b: 1 });
  const [c, d] = await Promise.all([startRestServer(), startRestServer()]);
  onTestFinished(() => Promise.all([c.stop(), d.stop()]).then(() => undefined));
  const bent = [
    { id: "c", url: c.url, token: "t", weight: 2 },
    { id: "d", url: d.url, token: "t", weight: 1 },
  ];
  const harness = createTestHarness({
    workers: [
      {
        config: {
          name: "geo",
          main: new URL("geo-worker.ts", import.meta.url).pathname,
          compatibility_date: "2026-10-01",
          vars: { SETS: { real, bent } },
        },
      },
    ],
  });
  onTestFinished(() => harness.close());
  const { url } = await harness.listen();
  const incr = async (set: string, signal: AbortSignal | null = null): Promise<Said> =>
    (await (await fetch(`${url.origin}/${set}`, { signal })).json()) as Said;
  const uses = (set: string, id: string) =>
    until(
      `${id} to be used`,
      async () => {
        const said = await incr(set);
        return said.value !== undefined && said.active === id;
      },
      { withinMs: 20_000, seen: async () => JSON.stringify(await incr(set)) },
    );

  expect(await incr("real")).toEqual({ value: 1, active: "a", switches: [] });
  await server("a").kill();
  await uses("real", "b");
  await server("b").kill();
  await until("nobody", async () => (await incr("real")).error === "TemporaryUnavailableError");
  await server("b").start();
  await uses("real", "b");
  await server("a").start();
  await uses("real", "a");
  const { switches } = await incr("real");
  expect(switches).toEqual(expect.arrayContaining(["a > b automatic", "b > a failback"]));

  // Requests that go away while what they wait for hangs, with the looks that they began.
  await uses("bent", "c");
  const before = c.commands.length;
  c.bend = () => "hang";
  const gone = new AbortController();
  const left = Array.from({ length: 5 }, () => incr("bent", gone.signal).catch(() => "left"));
  await until("they wait", () => c.commands.length > before);
  gone.abort();
  expect(await Promise.all(left)).toEqual(Array(5).fill("left"));
  await uses("bent", "d");
});
