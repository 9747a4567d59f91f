/**
 * The REST interface of a Redis Software cluster, as far as it is asked whether a database is available.
 *
 * As its reference documents it: basic authentication, `GET /v1/bdbs` with `fields`, and
 * `GET /v1/bdbs/<uid>/availability` with `extend_check=lag`; errors are JSON with `error_code` and `description`.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type Database = {
  readonly uid: number;
  readonly host: string;
  readonly addr: readonly string[];
  /** Behind its peers, in milliseconds. */
  lagMs: number;
  state: "available" | "unavailable" | "endpoint-unavailable";
};

export type Cluster = {
  readonly url: string;
  readonly databases: Database[];
  /** Paths that were asked for, with their queries. */
  readonly asked: string[];
  quorum: boolean;
  close(): Promise<void>;
};

/** Tolerated where the request does not say it. */
const USUAL_TOLERANCE_MS = 100;

export async function startCluster(
  user: { readonly name: string; readonly password: string },
  port = 0,
): Promise<Cluster> {
  const basic = Buffer.from(`${user.name}:${user.password}`).toString("base64");
  const server = createServer((request, response) => answer(request, response));
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://cluster");
    cluster.asked.push(`${pathname}${new URL(request.url ?? "", "http://cluster").search}`);
    const end = (status: number, body: unknown) => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    };
    const fails = (status: number, code: string, description: string) =>
      end(status, { error_code: code, description });
    if (request.headers.authorization !== `Basic ${basic}`)
      return fails(401, "unauthorized", "wrong user or password");
    if (pathname === "/v1/bdbs") return end(200, cluster.databases.map(listed(searchParams)));
    const uid = /^\/v1\/bdbs\/(\d+)\/availability$/.exec(pathname)?.[1];
    if (uid === undefined) return fails(404, "not_found", "no such path");
    if (!cluster.quorum) return fails(503, "no_quorum", "no quorum in the cluster");
    const database = cluster.databases.find((each) => String(each.uid) === uid);
    if (database === undefined) return fails(404, "db_not_found", "Database does not exist");
    if (database.state === "unavailable") return fails(503, "bdb_unavailable", "not available");
    if (database.state === "endpoint-unavailable")
      return fails(503, "bdb_endpoint_unavailable", "Local database endpoint is not available");
    const tolerated = Number(
      searchParams.get("availability_lag_tolerance_ms") ?? USUAL_TOLERANCE_MS,
    );
    if (searchParams.get("extend_check") === "lag" && database.lagMs > tolerated)
      return fails(503, "bdb_unavailable", `its lag is over ${tolerated} ms`);
    response.writeHead(200).end();
  }

  const cluster: Cluster = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    databases: [],
    asked: [],
    quorum: true,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return cluster;
}

const listed = (query: URLSearchParams) => (database: Database) => {
  const { uid, host, addr } = database;
  const all = {
    ...{ uid, name: `db-${uid}`, memory_size: 1 << 30, status: "active" },
    endpoints: [{ uid: `${uid}:1`, dns_name: host, addr, port: 12_000 + uid }],
  };
  const fields = query.get("fields")?.split(",");
  return Object.fromEntries(
    Object.entries(all).filter(([name]) => fields === undefined || fields.includes(name)),
  );
};
