/**
 * Everything that Picket needs, on this machine: redis-servers, a relay process for each, the built Worker on
 * workerd with its own KV and Durable Objects, and a stand-in of the Cloudflare API with a real DNS zone.
 *
 * Promises: free ports, temporary folders; `stop` leaves no process and no file behind, however far the start
 * came. The demo and the end-to-end tests use the same stack.
 * Must never: fake what can run here.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createTestHarness, type TestHarnessOptions } from "wrangler";
import { freePort, type RedisProcess, startRedis } from "../redis-server.ts";
import { type CloudflareStandIn, startCloudflare } from "./cloudflare.ts";
import { type Link, openLink } from "./link.ts";
import { type RelayProcess, startRelayProcess } from "./relay-process.ts";

process.env.WRANGLER_SEND_METRICS = "false";
process.env.CLOUDFLARE_CF_FETCH_ENABLED = "false";
process.env.WRANGLER_LOG ??= "none";
// Its trace of everything that a Worker does takes more of the processor than the Worker; so does its explorer.
process.env.X_LOCAL_OBSERVABILITY ??= "false";
process.env.X_LOCAL_EXPLORER ??= "false";

/** The same in wrangler.toml and in every Worker that shares the namespace. */
const KV_ID = "00000000000000000000000000000000";

export const group = "cache";
export const hostname = "cache.example.test";

/** Told apart at a glance; they open nothing outside this machine. */
export const tokens = {
  read: "read-token-of-the-demo",
  operate: "operate-token-of-the-demo",
  control: (id: string) => `control-token-of-relay-${id}`,
  data: (id: string) => `data-token-of-relay-${id}`,
  peers: (...ids: readonly string[]) => `token-between-relays-${[...ids].sort().join("-")}`,
  cloudflare: "cloudflare-token-of-the-demo",
};

export type Address = { readonly host: string; readonly port: number };

export type StackOptions = {
  readonly ids?: readonly string[];
  /** Settings of the group, as in wrangler.toml. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** More settings of a node, as in wrangler.toml; `rest`: where its relay speaks REST for it. Null: not configured. */
  readonly nodeOf?: (
    node: string,
    at: Address & { readonly rest: string },
  ) => Readonly<Record<string, unknown>> | null;
  /** Another entry of the Worker: the same one, with something around it. */
  readonly entry?: string;
  /** More secrets of the Worker, which settings name. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** Replicas follow the first node; false: everyone starts alone. */
  readonly replicate?: boolean;
  /** More settings of a redis-server: ["--appendonly", "yes"]. */
  readonly redisArgs?: (node: string) => readonly string[];
  /** The address that everyone knows a node by: one of 127.0.0.0/8, by default 127.0.0.1; or its box's. */
  readonly hostOf?: (node: string) => string;
  /** A command that runs another one in the node's box, where its Redis and its relay then are. */
  readonly inside?: (node: string) => readonly string[];
  /** Where a relay finds the Worker: an address of this machine, by default 127.0.0.1. */
  readonly edgeHostOf?: (relay: string) => string;
  /** With fencing "lease": more settings of a relay's lease; `pid`: of its Redis. */
  readonly lease?: (relay: string, pid: number) => Readonly<Record<string, unknown>>;
  /** False: relays hold no connection to the Group; it looks by itself. */
  readonly push?: boolean;
  /** Where a relay looks for a node, if not `at`, where it is. */
  readonly reach?: (relay: string, node: string, at: Address) => Address | undefined;
  /** More Workers in the same workerd, sharing the KV namespace ROUTES. */
  readonly workers?: TestHarnessOptions["workers"];
  readonly say?: (line: string) => void;
  /** Ends the start: at its next step, with everything stopped again. */
  readonly signal?: AbortSignal;
};

export type Stack = Awaited<ReturnType<typeof startStack>>;

/**
 * Removed once more when this process ends: without a word of goodbye to the stack, or because the runtime wrote
 * into its registry after it was closed.
 */
const folders = new Set<string>();
process.on("exit", () => {
  for (const dir of folders) rmSync(dir, { recursive: true, force: true });
});

export async function startStack(options: StackOptions = {}) {
  const { ids = ["a", "b", "c"], say = () => undefined, hostOf = () => "127.0.0.1" } = options;
  const { inside = () => [] } = options;
  /** Where this process, and boxes if there are any, find what stands beside a node. */
  const placeOf = (id: string) => (options.inside === undefined ? "127.0.0.1" : hostOf(id));
  const ending: (() => Promise<void>)[] = [];
  const stop = async () => {
    for (const end of ending.splice(0).reverse()) await end().catch(() => undefined);
  };
  try {
    const dir = mkdtempSync(join(tmpdir(), "picket-"));
    folders.add(dir);
    ending.push(() => rm(dir, { recursive: true, force: true }));
    process.env.WRANGLER_REGISTRY_PATH = join(dir, "registry");

    const redis: Record<string, RedisProcess> = {};
    for (const id of ids) {
      options.signal?.throwIfAborted();
      const first = ids[0] === undefined ? undefined : redis[ids[0]];
      const follow = first !== undefined && options.replicate !== false;
      const hosts = [...new Set(["127.0.0.1", hostOf(id)])];
      const leader = hostOf(ids[0] ?? id);
      const args = follow ? ["--replicaof", leader, String(first.port)] : [];
      const server = await startRedis({
        dir: join(dir, `redis-${id}`),
        host: placeOf(id),
        inside: inside(id),
        args: ["--bind", ...hosts, ...args, ...(options.redisArgs?.(id) ?? [])],
      });
      redis[id] = server;
      ending.push(() => server.stop());
      say(`redis ${id} on ${server.host}:${server.port}, pid ${server.pid}`);
    }

    /** Each relay's way to the Worker. */
    const links: Record<string, Link> = {};
    for (const id of ids) {
      const link = await openLink(options.edgeHostOf?.(id) ?? "127.0.0.1");
      links[id] = link;
      ending.push(link.close);
    }

    const relays: Record<string, RelayProcess> = {};
    const ports: Record<string, number> = {};
    for (const id of ids) ports[id] = await freePort();
    /** Under a lease each relay keeps that of its own node, and may have to ask all others. */
    const leaseOf = (id: string) => ({
      ...{ group, node: id },
      peers: ids
        .filter((other) => other !== id)
        .map((other) => ({
          id: other,
          url: `http://${placeOf(other)}:${ports[other]}`,
          token: tokens.peers(id, other),
        })),
      ...options.lease?.(id, redis[id]?.pid ?? -1),
    });
    const leased = options.settings?.fencing === "lease";
    const launching = ids.map(async (id) => {
      const relay = await startRelayProcess(dir, inside(id), {
        id,
        listen: { host: placeOf(id), port: ports[id] ?? 0 },
        control_tokens: [tokens.control(id)],
        data_tokens: [tokens.data(id)],
        nodes: Object.entries(redis).map(([node, server]) => {
          const { host, port } = options.reach?.(id, node, server) ?? server;
          return { id: node, host, port };
        }),
        groups: options.push === false ? [] : [{ name: group, url: links[id]?.url ?? "" }],
        lease: leased ? [leaseOf(id)] : [],
      });
      relays[id] = relay;
      ending.push(() => relay.kill("SIGKILL"));
      say(`relay ${id} on ${relay.url}, pid ${relay.pid()}`);
    });
    // Settled, not all: one that starts while another failed is still to be stopped.
    for (const launched of await Promise.allSettled(launching))
      if (launched.status === "rejected") throw launched.reason;

    const cloudflare = await startCloudflare({ zone: "example.test", token: tokens.cloudflare });
    ending.push(() => cloudflare.close());
    say(`Cloudflare API stand-in on ${cloudflare.apiUrl}, DNS on 127.0.0.1:${cloudflare.dnsPort}`);

    const nodes = ids.flatMap((id) => {
      const node = { id, host: hostOf(id), port: redis[id]?.port ?? 0 };
      const more = options.nodeOf?.(id, { ...node, rest: `${relays[id]?.url}/nodes/${id}` });
      return more === null ? [] : [{ ...node, ...more }];
    });
    const variables = variablesFor(nodes, relays, cloudflare, options.settings);
    const picket = {
      configPath: configIn(dir, options.entry),
      vars: variables,
      secrets: { ...secretsFor(ids), ...options.secrets },
    };
    const harness = createTestHarness({ workers: [picket, ...(options.workers ?? [])] });
    ending.push(() => harness.close());
    options.signal?.throwIfAborted();
    const { url } = await harness.listen();
    options.signal?.throwIfAborted();
    for (const link of Object.values(links))
      link.leadTo({ host: url.hostname, port: Number(url.port) });
    say(`Worker on ${url.origin}`);
    const worker = harness.getWorker("picket");
    const cron = () => worker.scheduled({ cron: "* * * * *", scheduledTime: new Date() });

    /** Asks the API; with the operators' token unless told otherwise. */
    const api = async (
      path: string,
      init: { method?: string; token?: string; body?: unknown } = {},
    ) => {
      const response = await worker.fetch(new URL(path, url).href, {
        method: init.method ?? (init.body === undefined ? "GET" : "POST"),
        headers: {
          authorization: `Bearer ${init.token ?? tokens.operate}`,
          ...(init.body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(init.body === undefined ? {} : { body: JSON.stringify(init.body) }),
      });
      return { status: response.status, body: await response.json() };
    };
    return {
      ids,
      redis,
      relays,
      links,
      cloudflare,
      harness,
      worker,
      url,
      variables,
      cron,
      api,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The configuration as it is deployed, or a copy that begins elsewhere. */
function configIn(dir: string, entry: string | undefined): string {
  const path = join(import.meta.dirname, "../../wrangler.toml");
  if (entry === undefined) return path;
  const copy = join(dir, "wrangler.toml");
  const main = `main = ${JSON.stringify(entry)}`;
  writeFileSync(copy, readFileSync(path, "utf8").replace(/^main = .*$/m, main));
  return copy;
}

function variablesFor(
  nodes: (Address & { readonly id: string })[],
  relays: Readonly<Record<string, RelayProcess>>,
  cloudflare: CloudflareStandIn,
  settings: Readonly<Record<string, unknown>> = {},
) {
  const named = (id: string) => ({
    control_token_secret: `RELAY_${id.toUpperCase()}_CONTROL`,
    data_token_secret: `RELAY_${id.toUpperCase()}_DATA`,
  });
  return {
    // Nothing outside this machine is asked.
    TRACE_URL: "",
    GROUPS: [
      {
        name: group,
        hostname,
        dns: {
          provider: "cloudflare",
          zone_id: cloudflare.zoneId,
          token_secret: "CLOUDFLARE_DNS_TOKEN",
          api_url: cloudflare.apiUrl,
        },
        relays: nodes.map(({ id }) => ({
          ...{ id, url: relays[id]?.url ?? "", local: [id] },
          ...named(id),
        })),
        nodes,
        ...settings,
      },
    ],
  };
}

function secretsFor(ids: readonly string[]): Record<string, string> {
  const relays = ids.flatMap((id) => [
    [`RELAY_${id.toUpperCase()}_CONTROL`, tokens.control(id)],
    [`RELAY_${id.toUpperCase()}_DATA`, tokens.data(id)],
  ]);
  return {
    READ_TOKEN: tokens.read,
    OPERATE_TOKEN: tokens.operate,
    CLOUDFLARE_DNS_TOKEN: tokens.cloudflare,
    ...Object.fromEntries(relays),
  };
}

export { KV_ID };
