/**
 * The routing table's schema, for whoever checks with schemas: the relay's body of a push, docs/route.schema.json.
 *
 * Promises: what it takes, `parseRoute` takes, and nothing else; a test compares them.
 * Must never: be imported by the client, which would carry a library along for one object.
 */
import * as v from "valibot";

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const endpoint = {
  id: v.string(),
  host: v.string(),
  port: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65535)),
  tls: v.boolean(),
  /** Upstash REST address of the node; null where no relay serves it. */
  rest: v.nullable(v.string()),
};

export const RouteSchema = v.object({
  v: v.literal(1),
  group: v.string(),
  mode: v.picklist(["replication", "active-active"]),
  epoch: count,
  rev: count,
  state: v.picklist(["up", "failing-over", "down"]),
  hostname: v.nullable(v.string()),
  /** The last known primary; null only before the first one was settled. */
  primary: v.nullable(v.object(endpoint)),
  replicas: v.array(v.object({ ...endpoint, readWeight: v.number() })),
  updatedAt: v.string(),
});
