/**
 * The edge app of the demo: a Worker as a user of Picket would write it, with nothing but the client library.
 *
 * GET / reads how many numbers are written. POST /write writes them, one after another, and says of each in a
 * line of JSON what became of it, until the caller goes away.
 * Promises: a number is acknowledged only when Redis answered it; each is written by SADD, which twice is as
 * good as once; a few writes at a time, and an outage is not caught up on.
 * Must never: know where Redis is but by its route.
 */
import { type Client, connect, type RouteStore } from "../../worker/client/index.ts";
import { key } from "./sequence.ts";
import { staleKv } from "./stale-kv.ts";

export type EdgeEnv = {
  readonly ROUTES: RouteStore;
  /** The Worker that is Picket: in the same account a service binding, no request leaves Cloudflare. */
  readonly PICKET: { fetch(request: Request): Promise<Response> };
  readonly GROUP: string;
  readonly READ_TOKEN: string;
  /** By node id. */
  readonly DATA_TOKENS: Readonly<Record<string, string>>;
};

/** What became of a number, as told to the demo. */
export type EdgeLine =
  | { readonly kind: "acked"; readonly n: number }
  /** A try failed; the client goes on by itself. */
  | { readonly kind: "failed"; readonly why: string }
  /** The client gave up: written or not, nobody was promised anything. */
  | { readonly kind: "gave-up"; readonly n: number; readonly why: string }
  | { readonly kind: "switched"; readonly to: string; readonly epoch: number };

const perSecond = 200;
/** As many connections as a Worker may wait for at once. */
const most = 6;

/** One client for all requests of the isolate, as in production. */
let client: Client | null = null;
const followers = new Set<(line: EdgeLine) => void>();
const tellAll = (line: EdgeLine) => {
  for (const tell of followers) tell(line);
};

function clientOf(env: EdgeEnv): Client {
  client ??= connect(staleKv(env.ROUTES), env.GROUP, {
    token: (node) => env.DATA_TOKENS[node] ?? "",
    authority: {
      fetch: (request) => {
        const headers = { authorization: `Bearer ${env.READ_TOKEN}` };
        return env.PICKET.fetch(new Request(request, { headers }));
      },
    },
    onSwitch: (_, { primary, epoch }) => {
      tellAll({ kind: "switched", to: primary?.id ?? "nobody", epoch });
    },
    logger: {
      debug: (_, fields) => tellAll({ kind: "failed", why: String(fields?.reason) }),
    },
  });
  return client;
}

export default {
  async fetch(request: Request, env: EdgeEnv): Promise<Response> {
    if (new URL(request.url).pathname === "/write") return streamed(clientOf(env));
    const redis = clientOf(env);
    const written = await redis.scard(key);
    const { primary, epoch } = await redis.route();
    return Response.json({ written, node: primary?.id, epoch });
  },
};

function streamed(redis: Client): Response {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const out = writable.getWriter();
  const text = new TextEncoder();
  let here = true;
  const tell = (line: EdgeLine) => {
    out.write(text.encode(`${JSON.stringify(line)}\n`)).catch(() => {
      here = false;
    });
  };
  followers.add(tell);
  void writeNumbers(redis, tell, () => here).finally(() => followers.delete(tell));
  // Encoded as it is: otherwise the lines would wait to be compressed together.
  const headers = { "content-type": "application/x-ndjson", "content-encoding": "identity" };
  return new Response(readable, { headers });
}

async function writeNumbers(redis: Client, tell: (line: EdgeLine) => void, here: () => boolean) {
  const flying = new Set<Promise<void>>();
  let dueAtMs = Date.now();
  for (let n = 1; here(); n += 1) {
    while (flying.size >= most) await Promise.race(flying);
    const flight = writeOne(redis, n, tell).finally(() => flying.delete(flight));
    flying.add(flight);
    // A late tick is made up for, an outage is not.
    dueAtMs = Math.max(dueAtMs + 1000 / perSecond, Date.now() - 50);
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueAtMs - Date.now())));
  }
}

async function writeOne(redis: Client, n: number, tell: (line: EdgeLine) => void): Promise<void> {
  try {
    const added = await redis.with({ idempotent: true }).sadd(key, n);
    // 0: an earlier try had arrived after all.
    if (added === 0 || added === 1) tell({ kind: "acked", n });
    else tell({ kind: "gave-up", n, why: `answered ${String(added)}` });
  } catch (error) {
    tell({ kind: "gave-up", n, why: wordOf(error) });
  }
}

/** The SDK's messages end with the command: only the first words are told. */
function wordOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  return error.name === "UpstashError" ? (error.message.split(/[:,]/)[0] ?? "") : error.name;
}
