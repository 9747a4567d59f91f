/**
 * An app of the same account, as a Worker of its own: it reads the authoritative route through a service binding
 * to Picket's entrypoint `Routes`, and has no token.
 *
 * GET /rpc/:group; GET /crowd/:group?count=1000 asks so often at once; any other path goes to Picket as it is.
 */
import type { Route } from "../../worker/core/route.ts";
import type { Answer } from "../../worker/env.ts";

type Env = {
  readonly PICKET: Fetcher & { route(group: string): Promise<Answer<Route>> };
};

export default {
  async fetch(request, { PICKET }) {
    const { pathname, searchParams } = new URL(request.url);
    const [, what, group = ""] = pathname.split("/");
    if (what === "rpc") return Response.json(await PICKET.route(group));
    if (what !== "crowd") return await PICKET.fetch(request);
    const ask = async () => {
      const answer = await PICKET.fetch(`https://picket/v1/groups/${group}/route`);
      return { status: answer.status, body: await answer.json() };
    };
    const crowd = Array.from({ length: Number(searchParams.get("count")) }, ask);
    return Response.json(await Promise.all(crowd));
  },
} satisfies ExportedHandler<Env>;
