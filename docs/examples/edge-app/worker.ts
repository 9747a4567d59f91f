/**
 * Counts visitors, at whichever Redis is primary at the moment.
 *
 * POST /visitors/ada   adds one      GET /visitors   how many there are
 */
import { waitUntil } from "cloudflare:workers";
import { type Client, connect } from "picket/client";

type Env = {
  readonly ROUTES: KVNamespace;
  readonly PICKET: Fetcher;
  readonly [secret: `REDIS_TOKEN_${string}`]: string;
};

/** One client for all requests of the isolate: it remembers the route. */
let redis: Client | undefined;

const redisOf = (env: Env): Client =>
  connect(env.ROUTES, "cache", {
    authority: env.PICKET,
    waitUntil,
    token: (node) => env[`REDIS_TOKEN_${node.toUpperCase()}`] ?? "",
    onSwitch: (from, to) => console.log(`${from.primary?.id} gave way to ${to.primary?.id}`),
  });

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    redis ??= redisOf(env);
    const [, list, name] = new URL(request.url).pathname.split("/");
    if (list !== "visitors") return new Response("not here", { status: 404 });
    try {
      if (request.method !== "POST" || !name)
        return Response.json({ visitors: await redis.scard("visitors") });
      // Adding a member twice is as good as once, so it may be sent again when its outcome is unknown.
      await redis.with({ idempotent: true }).sadd("visitors", name);
      return Response.json({ welcome: name });
    } catch (error) {
      // OutcomeUnknownError, NoRouteError, or what Redis said until the time was over: nothing was confirmed, and
      // the caller may come again. Messages of the SDK hold the command, so only the name is told.
      return Response.json({ error: (error as Error).name }, { status: 503 });
    }
  },
};
