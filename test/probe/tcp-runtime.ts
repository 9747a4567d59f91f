/**
 * Looks on workerd, by the runtime's own sockets and its own fetch, and a resolver to go with them.
 *
 * Why not the test harness of wrangler: there Node fetches for the Worker, and answers 500 for whatever fails.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildWorker } from "../../scripts/build.ts";
import type { Found } from "../../worker/core/looking.ts";
import type { LookAsked } from "./tcp-worker.ts";

export type Runtime = {
  readonly look: (asked: Omit<LookAsked, "resolver"> & Partial<LookAsked>) => Promise<Found>;
  readonly close: () => Promise<void>;
};

/** @param ca a file with an authority that it trusts beside the public ones; only the first one of a process counts. */
export async function startRuntime(ca: string | null = null): Promise<Runtime> {
  if (ca !== null) process.env.NODE_EXTRA_CA_CERTS = ca;
  // It reads that when it is loaded.
  const { convertV4MiniflareOptions, Miniflare } = await import("miniflare");
  const dir = await mkdtemp(join(tmpdir(), "picket-looks-"));
  const config = {
    ...{ name: "looks", main: join(import.meta.dirname, "tcp-worker.ts") },
    ...{ compatibility_date: "2026-10-01", compatibility_flags: ["nodejs_compat"] },
  };
  await writeFile(join(dir, "wrangler.json"), JSON.stringify(config));
  await buildWorker(["--config", join(dir, "wrangler.json")], dir, dir);
  const runtime = new Miniflare(
    convertV4MiniflareOptions({
      modules: true,
      script: await readFile(join(dir, "tcp-worker.js"), "utf8"),
      compatibilityDate: config.compatibility_date,
      compatibilityFlags: config.compatibility_flags,
      durableObjects: { LOOKER: "Looker" },
      // What it writes of a failed handshake is what the tests are about.
      handleStructuredLogs: () => {},
      cf: false,
    }),
  );
  const url = await runtime.ready;
  return {
    look: async (asked) => {
      const body = JSON.stringify({ resolver: null, ...asked });
      return (await (await fetch(url, { method: "POST", body })).json()) as Found;
    },
    close: async () => {
      await runtime.dispose();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Answers DNS queries over HTTPS as the public resolver does, without the S. */
export async function startResolver(names: Readonly<Record<string, string>>) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const { searchParams } = new URL(request.url ?? "", "http://resolver");
    const name = searchParams.get("name") ?? "";
    asked.push(name);
    const data = names[name];
    const answer = { name, type: 1, TTL: 60, data };
    const found = searchParams.get("type") === "A" ? { Answer: [answer] } : {};
    response.setHeader("content-type", "application/dns-json");
    response.end(JSON.stringify(data === undefined ? { Status: 3 } : { Status: 0, ...found }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: () => asked,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
