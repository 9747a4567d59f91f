/**
 * A relay in place of `fetch`, for one group of one node that is its primary, and the group's own objects.
 *
 * Why none over HTTP: a test in workerd looks into the Group's storage at the very moment of a request.
 */
/// <reference types="@cloudflare/vitest-plugin/types" />
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { vi } from "vitest";
import type { RawEnv } from "../../worker/env.ts";
import { headers } from "../../worker/relay/protocol.ts";

/** The bindings are those of wrangler.toml. */
const bindings = env as unknown as RawEnv;

export const groupOf = (name: string) => bindings.GROUP.get(bindings.GROUP.idFromName(name));

export type Stub = ReturnType<typeof groupOf>;

export const alarmOf = (stub: Stub) =>
  runInDurableObject(stub, (_, state) => state.storage.getAlarm());

const INFO = [
  "run_id:run-of-a",
  "role:master",
  "master_replid:r",
  "master_repl_offset:10",
  "connected_slaves:0",
  "master_failover_state:no-failover",
  "loading:0",
].join("\r\n");

/** Answers looks, and holds the epoch that it was told; what is sent besides looks goes to `verb` first. */
export function relayAnswers(verb: (path: string) => Promise<void> | void = () => undefined): void {
  let ms = 0;
  let epoch = "none";
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    ms += 1;
    const own = { [headers.boot]: "boot", [headers.ms]: String(ms), [headers.epoch]: epoch };
    const { pathname } = new URL(String(input));
    if (pathname.endsWith("/pipeline"))
      return Response.json(
        [{ result: "PONG" }, { result: INFO }, { result: ["min-replicas-to-write", "0"] }],
        { headers: own },
      );
    await verb(pathname);
    epoch = String(JSON.parse(String(init?.body)).epoch);
    return Response.json({ outcome: "done", detail: "" }, { headers: own });
  });
}
