/**
 * Picket over many sets: the built Worker on workerd, with as many groups as asked for, and one relay, or two.
 *
 * Promises: every group is an ordinary one of three nodes; where groups are more than sets, they share these; stands
 * when the route of every group names its primary and both replicas; nothing is left after `stop`.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseRoute, type Route } from "../../../worker/core/route.ts";
import { openLink } from "../../demo/link.ts";
import { type RelayProcess, startRelayProcess } from "../../demo/relay-process.ts";
import { tokens } from "../../demo/stack.ts";
import { freePort } from "../../redis-server.ts";
import { picketSettings } from "../picket.ts";
import { until } from "../side.ts";
import type { Counted } from "./counted.ts";
import { startRuntime } from "./runtime.ts";
import type { Side } from "./side.ts";
import { serversOf, type Trio } from "./trios.ts";

export type PicketSide = Side & {
  /** Counts begin anew. */
  readonly reset: () => Promise<void>;
  readonly counted: () => Promise<Counted>;
};

export type PicketOptions = {
  readonly groups: number;
  readonly relays: 1 | 2;
  /** Relays hold a connection to each group, and tell at once what they see. */
  readonly push: boolean;
  readonly quiet: boolean;
};

const letters = ["a", "b", "c"] as const;
/** No route of an epoch has a higher one. */
const LAST_REV = 1_000_000;
const groupName = (at: number) => `g${String(at).padStart(3, "0")}`;
const nodesOf = ({ name }: Trio) => letters.map((letter) => `${name}-${letter}`);

export async function startPicket(
  trios: readonly Trio[],
  options: PicketOptions,
): Promise<PicketSide> {
  const dir = mkdtempSync(join(tmpdir(), "picket-scale-"));
  const last = () => rmSync(dir, { recursive: true, force: true });
  process.on("exit", last);
  const ending: (() => unknown)[] = [last, () => process.off("exit", last)];
  const stop = async () => {
    for (const end of ending.splice(0).reverse())
      await Promise.resolve(end()).catch(() => undefined);
  };
  try {
    const names = Array.from({ length: options.groups }, (_, at) => groupName(at));
    const link = await openLink("127.0.0.1");
    ending.push(link.close);
    const relays: RelayProcess[] = [];
    for (const id of ["r", "s"].slice(0, options.relays)) {
      const relay = await startRelayProcess(dir, [], {
        id,
        listen: { host: "127.0.0.1", port: await freePort() },
        control_tokens: [tokens.control(id)],
        data_tokens: [tokens.data(id)],
        nodes: trios.flatMap((trio) =>
          serversOf(trio).map(({ host, port }, at) => ({ id: nodesOf(trio)[at], host, port })),
        ),
        groups: options.push ? names.map((name) => ({ name, url: link.url })) : [],
      });
      relays.push(relay);
      ending.push(() => relay.kill("SIGKILL"));
    }
    const groups = names.map((name, at) => {
      const trio = trios[at % trios.length];
      if (trio === undefined) throw new Error("there are no sets");
      const nodes = serversOf(trio).map(({ host, port }, of) => ({
        ...{ id: nodesOf(trio)[of], host, port },
      }));
      return {
        ...{ name, quiet: options.quiet, ...picketSettings, nodes },
        // The first stands beside the servers; what it sees refused counts at once.
        relays: relays.map(({ id, url }, of) => ({
          ...{ id, url, local: of === 0 ? nodesOf(trio) : [] },
          control_token_secret: `${id.toUpperCase()}_CONTROL`,
          data_token_secret: `${id.toUpperCase()}_DATA`,
        })),
      };
    });
    const secrets = relays.flatMap(({ id }) => [
      [`${id.toUpperCase()}_CONTROL`, tokens.control(id)],
      [`${id.toUpperCase()}_DATA`, tokens.data(id)],
    ]);
    // All may fail over at once: it is what is measured.
    const BRAKE = { max_failovers: groups.length };
    const runtime = await startRuntime({
      ...{ ...variablesOf(groups), BRAKE, READ_TOKEN: tokens.read },
      ...Object.fromEntries(secrets),
    });
    ending.push(runtime.close);
    const { url } = runtime;
    link.leadTo({ host: url.hostname, port: Number(url.port) });
    void runtime.cron().catch(() => undefined);
    const routeOf = async (name: string, query = "") => {
      const headers = { authorization: `Bearer ${tokens.read}` };
      const answer = await fetch(new URL(`/v1/groups/${name}/route${query}`, url), { headers });
      return parseRoute(await answer.json());
    };
    const first = new Map<string, Route>();
    for (const name of names) {
      const route = await until(`a route of ${name} with every node`, async () => {
        const route = await routeOf(name);
        return route?.state === "up" && route.replicas.length === letters.length - 1 ? route : null;
      });
      first.set(name, route);
    }
    const counts = new URL("/counts", url).href;
    return {
      pids: {
        workerd: runtime.pids,
        relay: relays.map((relay) => relay.pid()),
      },
      isTold: async (trio) => {
        const name = groupName(trios.indexOf(trio));
        // As a client asks whose writes fail: the answer waits for a route of a later epoch.
        const after = `?after=${first.get(name)?.epoch}.${LAST_REV}`;
        const route = await routeOf(name, after);
        return route?.state === "up" && route.primary?.id !== nodesOf(trio)[0];
      },
      reset: async () => void (await fetch(counts, { method: "POST" })),
      counted: async () => (await (await fetch(counts)).json()) as Counted,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A Worker variable holds at most 5 KB. */
const variableBytes = 5120;

/** As few variables as hold them: GROUPS, GROUPS_2, … */
export function variablesOf<T>(groups: readonly T[]): Readonly<Record<string, readonly T[]>> {
  const all: T[][] = [];
  for (const group of groups) {
    const into = all.at(-1);
    if (into === undefined || JSON.stringify([...into, group]).length > variableBytes)
      all.push([group]);
    else into.push(group);
  }
  return Object.fromEntries(
    all.map((each, at) => [at === 0 ? "GROUPS" : `GROUPS_${at + 1}`, each]),
  );
}
