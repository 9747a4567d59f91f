/**
 * The whole of Picket on this machine, with the questions that end-to-end tests ask of it: the route, the
 * events, the DNS answer, and the truth as each redis-server tells it itself.
 *
 * Promises: quick settings; `stop` leaves nothing behind; no question changes what it asks about.
 */
import { expect } from "vitest";
import { type StackOptions, startStack, tokens } from "../../scripts/demo/stack.ts";
import { parseRoute, type Route, routeKey } from "../../worker/core/route.ts";
import type { NodeFacts } from "../../worker/core/types.ts";
import type { GroupView } from "../../worker/core/view.ts";
import type { Answer, LoggedEvent, RawEnv } from "../../worker/env.ts";
import { parseInfo } from "../../worker/redis/info.ts";
import { openSession } from "../../worker/redis/session.ts";
import { query } from "./dns.ts";
import { runtimes } from "./runtime.ts";
import { type UntilOptions, until } from "./wait.ts";

export { group, hostname, tokens } from "../../scripts/demo/stack.ts";

/** As quick as a busy machine of two cores bears; silence still has to last for long enough to be silence. */
const quick = {
  check_interval_ms: 200,
  probe_timeout_ms: 1000,
  retry_ms: 50,
  down_after_ms: 1000,
  failover_retry_ms: 300,
  // What keeps one failover from following another: the tests that are about it say so.
  grace_ms: 0,
  cooldown_ms: 0,
  max_failovers_per_hour: 0,
};

export type Scene = Awaited<ReturnType<typeof startScene>>;

/** Starts it, wakes it as cron does, and unless told otherwise waits until the first node is in force. */
export async function startScene(options: StackOptions & { readonly settled?: boolean } = {}) {
  const { settled = true, ...rest } = options;
  const stack = await startStack({ ...rest, settings: { ...quick, ...rest.settings } });
  const { ids, redis, api, worker, cloudflare } = stack;
  const server = (id: string) => must(redis[id], `redis ${id}`);
  const relay = (id: string) => must(stack.relays[id], `relay ${id}`);
  const sessions = new Map(ids.map((id) => [id, openSession(endpointOf(server(id)), 1000)]));

  /** Commands sent to a redis-server, past every relay. */
  const ask = async (id: string, ...commands: readonly (readonly string[])[]) => {
    const answer = await must(sessions.get(id), id).run(commands, { deadlineMs: 1000 });
    if (answer.kind === "failure") throw new Error(`redis ${id} did not answer`);
    return answer.replies;
  };
  /** What a redis-server says of itself; null when it does not answer. */
  const facts = async (id: string): Promise<NodeFacts | null> => {
    const setting = ["CONFIG", "GET", "min-replicas-to-write"];
    const replies = await ask(id, ["INFO"], setting).catch(() => null);
    const [info, config] = replies ?? [];
    const minReplicas = Array.isArray(config) ? String(config[1]) : null;
    return replies === null ? null : parseInfo(String(info), minReplicas);
  };

  const get = async <T>(path = ""): Promise<T> => {
    const { status, body } = await api(`/v1/groups/cache${path}`);
    expect(status, JSON.stringify(body)).toBe(200);
    return body as T;
  };
  const view = () => get<GroupView>();
  /** Past the door, which may answer what it was told 250 ms ago. */
  const route = async (): Promise<Route> => {
    const { GROUP } = (await worker.getEnv()) as Pick<RawEnv, "GROUP">;
    const answer: Answer<Route> = await GROUP.get(GROUP.idFromName("cache")).route("cache");
    expect(answer).toMatchObject({ kind: "told" });
    return (answer as { value: Route }).value;
  };
  const events = async (after = 0) =>
    (await get<{ events: LoggedEvent[] }>(`/events?after=${after}&limit=500`)).events;
  /** The number of the last event: what came later is `events(mark)`. */
  const mark = async () => {
    for (let last = 0; ; ) {
      const next = (await events(last)).at(-1)?.seq;
      if (next === undefined) return last;
      last = next;
    }
  };

  const told = async () => {
    const lines = (await events()).slice(-25).map(({ name, text }) => `  ${name} ${text}`);
    return [`because: ${(await view()).because}`, ...lines].join("\n");
  };
  const eventually = <T>(
    what: string,
    condition: Parameters<typeof until<T>>[1],
    how?: UntilOptions,
  ) => until<T>(what, condition, { seen: told, ...how });
  /** Waits for an event that came after `after`. */
  const event = (name: LoggedEvent["name"], after = 0, node?: string) =>
    eventually(`${name} ${node ?? ""}`, async () =>
      (await events(after)).find(
        (each) => each.name === name && (node === undefined || each.node === node),
      ),
    );

  const kvRoute = async (): Promise<Route | null> => {
    const { ROUTES } = (await worker.getEnv()) as { ROUTES: KVNamespace };
    return parseRoute(await ROUTES.get(routeKey("cache"), "json"));
  };
  const resolved = async (name = "cache.example.test", type = "A") =>
    (await query(cloudflare.dnsPort, name, type)).answers.map((answer) => String(answer.data));
  /** One command through the relay beside a node, as an app sends it. */
  const data = async (id: string, ...command: readonly string[]) => {
    const response = await fetch(`${relay(id).url}/nodes/${id}`, {
      method: "POST",
      headers: { authorization: `Bearer ${tokens.data(id)}` },
      body: JSON.stringify(command),
    });
    return (await response.json()) as { result?: unknown; error?: string };
  };

  const storage = () => worker.getDurableObjectStorage("Group", { name: "cache" });
  const version = async () => {
    const rows = await (await storage()).exec("SELECT version FROM state");
    return Number((rows[0] as { version?: unknown } | undefined)?.version ?? 0);
  };
  /** kill -9 for the Worker's runtime, then started again over the same storage: what was under way is gone. */
  const crashWorker = async () => {
    for (const pid of runtimes()) process.kill(pid, "SIGKILL");
    await stack.harness.update((same) => same);
  };
  /** Wakes it as cron does, without waiting: such a call lasts for as long as the group has something to do. */
  const wake = () => void stack.cron().catch(() => undefined);

  /** How many looks the relays had at a node since it started, all relays together. */
  const looksAt = async (id: string): Promise<number> => {
    const [stats] = await ask(id, ["INFO", "commandstats"]);
    return Number(/cmdstat_ping:calls=(\d+)/.exec(String(stats))?.[1] ?? 0);
  };
  /** Waits until every relay that runs looked at this node `count` times more. */
  const looks = async (count: number, { at = "b", by = ids.length } = {}) => {
    const before = await looksAt(at);
    await eventually(
      `${count} more looks at ${at}`,
      async () => (await looksAt(at)) >= before + count * by,
      // Each look may take an interval and a whole probe timeout.
      { withinMs: 10_000 + count * (quick.check_interval_ms + quick.probe_timeout_ms) },
    );
  };

  /** Everyone who should is following, in the world and in the route. */
  const steady = (primary: string, replicas = ids.filter((id) => id !== primary)) =>
    eventually(
      `${primary} is primary, ${replicas.join(", ") || "nobody"} its replicas`,
      async () => {
        const now = await route();
        const { phase } = await view();
        if (now.state !== "up" || now.primary?.id !== primary || phase !== "watching") return false;
        if (now.replicas.map(({ id }) => id).join() !== replicas.join()) return false;
        if ((await facts(primary))?.role !== "primary") return false;
        for (const id of replicas) if (!(await follows(id, primary))) return false;
        return now;
      },
      { withinMs: 20_000 },
    );
  const follows = async (id: string, primary: string) => {
    const seen = await facts(id);
    return seen?.role === "replica" && seen.linkUp && seen.replicaOf?.port === server(primary).port;
  };
  /** Nothing is left to be told: KV and DNS say what the route says. */
  const published = () =>
    eventually("everything to be published", async () => {
      const { epoch, rev, publishers } = await view();
      const dns = publishers.dns?.key?.startsWith(`${epoch} `);
      return dns && publishers.kv?.key === `${epoch}.${rev}`;
    });
  /** The first answer of a relay that has just started may take longer than a look waits. */
  const everyRelayAnswered = async () => {
    const seen = (await view()).nodes.flatMap((node) => Object.values(node.vantages));
    const all = seen.every((each) => !["unknown", "relay-unreachable"].includes(each.class));
    if (!all) wake();
    return all;
  };
  const stop = async () => {
    for (const session of sessions.values()) session.close();
    await stack.stop();
  };

  const scene = {
    ...stack,
    ...{ server, relay, ask, facts, follows, view, route, events, mark, event, eventually, told },
    ...{
      kvRoute,
      published,
      resolved,
      data,
      storage,
      version,
      crashWorker,
      wake,
      looks,
      looksAt,
      steady,
      stop,
    },
  };
  try {
    wake();
    if (settled) {
      const first = { everyMs: 50, withinMs: 30_000 };
      await eventually("an answer from every relay", everyRelayAnswered, first);
      await steady(must(ids[0], "a node"));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return scene;
}

const endpointOf = ({ port }: { readonly port: number }) => ({
  host: "127.0.0.1",
  port,
  username: null,
  password: null,
});

export function must<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new Error(`there is no ${what}`);
  return value;
}
