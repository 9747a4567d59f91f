/**
 * Relays in place of `fetch`, for groups whose nodes are data, and the objects of the tests.
 *
 * Why none over HTTP: a test in workerd looks into the Group's storage at the very moment of a request.
 */
/// <reference types="@cloudflare/vitest-plugin/types" />
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { vi } from "vitest";
import type { Answer, RawEnv } from "../../worker/env.ts";
import { parseInfo } from "../../worker/redis/info.ts";
import { LOOK_PATH, type NodeLook } from "../../worker/relay/look-protocol.ts";
import { headers, nodeErrors } from "../../worker/relay/protocol.ts";

/** The bindings are those of wrangler.toml. */
export const bindings = env as unknown as RawEnv;

export const groupOf = (name: string) => bindings.GROUP.get(bindings.GROUP.idFromName(name));

export type Stub = ReturnType<typeof groupOf>;

export const alarmOf = (stub: Stub) =>
  runInDurableObject(stub, (_, state) => state.storage.getAlarm());

export const sqlOf = (stub: Stub, statement: string) =>
  runInDurableObject(stub, (_, state) => state.storage.sql.exec(statement).toArray());

/** What a Group told; a refusal to tell fails the test. */
export async function toldBy<T>(answer: Promise<Answer<T>>): Promise<T> {
  const given = await answer;
  if (given.kind !== "told") throw new Error(given.detail);
  return given.value;
}

export const routeOf = async (stub: Stub, name: string) => toldBy(stub.route(name));

export type Node = { primary: boolean; down: boolean };

/** Wakes it until a primary is in force, and nothing is under way any more. */
export async function settled(stub: Stub, name: string): Promise<void> {
  await vi.waitUntil(
    async () => {
      await stub.wake(name);
      const [row] = await sqlOf(stub, "SELECT json FROM state");
      const { primary, pending, phase, epoch, rev, published } = JSON.parse(String(row?.json));
      const told = published.kv?.key === `${epoch}.${rev}`;
      return primary !== null && told && pending.length === 0 && phase.kind === "watching";
    },
    { timeout: 20_000 },
  );
}

/** Two nodes: a, and b that follows it. */
export const pair = (): Record<string, Node> => ({
  a: { primary: true, down: false },
  b: { primary: false, down: false },
});

const infoOf = (id: string, { primary }: Node) =>
  [
    `run_id:run-of-${id}`,
    "master_replid:r",
    "loading:0",
    "master_failover_state:no-failover",
    ...(primary
      ? ["role:master", "master_repl_offset:10", "connected_slaves:1"]
      : [
          ...["role:slave", "master_host:10.0.0.1", "master_port:6379", "master_link_status:up"],
          ...["slave_repl_offset:10", "slave_priority:100", "master_last_io_seconds_ago:0"],
        ]),
  ].join("\r\n");

const lookAt = (id: string, node: Node | undefined): NodeLook => ({
  ...{ node: id, agoMs: 0 },
  ...(node === undefined || node.down
    ? { class: "refused", detail: "nothing listens there", facts: null }
    : { class: "up", detail: "PONG", facts: parseInfo(infoOf(id, node), 0) as NodeLook["facts"] }),
});

/** Answers looks and verbs, each relay at the epoch that it was told; `verb` hears of what is no look first. */
export function relayAnswers(
  verb: (path: string) => Promise<void> | void = () => undefined,
  nodes: Record<string, Node> = { a: { primary: true, down: false } },
): void {
  let ms = 0;
  const epochs = new Map<string, string>();
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    ms += 1;
    const { host, pathname } = new URL(String(input));
    const own = () => ({
      [headers.boot]: "boot",
      [headers.ms]: String(ms),
      [headers.epoch]: epochs.get(host) ?? "none",
    });
    const [, , id = "", what = ""] = pathname.split("/");
    const node = nodes[id];
    if (pathname === LOOK_PATH) {
      const asked: string[] = JSON.parse(String(init?.body)).nodes;
      return Response.json(
        { looks: asked.map((each) => lookAt(each, nodes[each])) },
        { headers: own() },
      );
    }
    await verb(pathname);
    epochs.set(host, String(JSON.parse(String(init?.body)).epoch));
    if (node?.down) {
      const body = { outcome: "unreachable", detail: nodeErrors.refused };
      return Response.json(body, { status: 502, headers: own() });
    }
    if (node !== undefined && (what === "promote" || what === "demote"))
      node.primary = what === "promote";
    return Response.json({ outcome: "done", detail: "" }, { headers: own() });
  });
}
