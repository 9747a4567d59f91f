/** Looks by HTTP on workerd: a check of somebody's own, and Redis Software's availability request. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { freePort } from "../../scripts/redis-server.ts";
import type { ProbeConfig } from "../../worker/core/configured.ts";
import { restBase } from "../../worker/core/lag-aware.ts";
import { patientMs, probeContract } from "../contract/probe.ts";
import { certificateIn } from "../support/certificates.ts";
import { type Cluster, type Database, startCluster } from "../support/redis-software.ts";
import { tcpServer } from "../support/tcp.ts";
import { type Runtime, startResolver, startRuntime } from "./tcp-runtime.ts";

const PASSWORD = "the-password-of-a-check";
const USER = { name: "picket@example.com", password: PASSWORD };
let runtime: Runtime;
let health: { readonly port: number; close(): Promise<void> };
let cluster: Cluster;

type Custom = Extract<ProbeConfig, { transport: "custom" }>;
type LagAware = Extract<ProbeConfig, { transport: "lag-aware" }>;
type Given = {
  readonly password?: string;
  readonly timeoutMs?: number;
  readonly resolver?: string;
};

const asks = (probe: ProbeConfig, given: Given = {}) =>
  runtime.look({
    ...{ probe, timeoutMs: given.timeoutMs ?? patientMs, secret: given.password ?? PASSWORD },
    ...(given.resolver === undefined ? {} : { resolver: given.resolver }),
  });

const check = (url: string, over: Partial<Custom> = {}, given: Given = {}) =>
  asks(
    {
      ...{ transport: "custom", url, expectStatus: 200, expectBody: null },
      ...{ timeoutMs: 0, username: null, passwordSecret: null },
      ...over,
    },
    given,
  );

const lag = (host: string, over: Partial<LagAware> = {}, given: Given = {}) =>
  asks(
    {
      ...{ transport: "lag-aware", url: cluster.url, host, lagToleranceMs: 5000 },
      ...{ timeoutMs: 0, username: USER.name, passwordSecret: "CLUSTER" },
      ...over,
    },
    given,
  );

/** `/<status>` answers with it, `/auth` wants the password, `/large` has its last word after 64 KiB. */
async function startHealth() {
  const basic = `Basic ${Buffer.from(`${USER.name}:${PASSWORD}`).toString("base64")}`;
  const server = createServer(({ url = "/", headers }, response) => {
    const status = Number(url.slice(1)) || 200;
    if (url === "/auth" && headers.authorization !== basic)
      return void response.writeHead(401).end();
    if (status >= 300 && status < 400) response.setHeader("location", "/");
    response.writeHead(status);
    if (status === 204) return void response.end();
    response.end(url === "/large" ? `${"x".repeat(64 << 10)}healthy` : `it is healthy at ${url}`);
  });
  const port = await listening(server);
  return { port, close: () => closed(server) };
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  return (server.address() as AddressInfo).port;
}
const closed = (server: Server) =>
  new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });

beforeAll(async () => {
  [runtime, health, cluster] = await Promise.all([
    startRuntime(),
    startHealth(),
    startCluster(USER),
  ]);
});
afterAll(async () => {
  await runtime?.close();
  await Promise.all([health?.close(), cluster?.close()]);
});

describe("custom", () => {
  const at = (path: string) => `http://127.0.0.1:${health.port}${path}`;

  it("the status, and the text where one is wanted", async () => {
    expect(await check(at("/"))).toEqual({
      class: "up",
      detail: "HTTP 200",
      facts: null,
      relay: null,
    });
    expect(await check(at("/204"), { expectStatus: 204 })).toMatchObject({ class: "up" });
    expect(await check(at("/401"), { expectStatus: 401 })).toMatchObject({ class: "up" });
    expect(await check(at("/"), { expectBody: "is healthy" })).toMatchObject({ class: "up" });
    expect(await check(at("/"), { expectBody: "is ill" })).toMatchObject({
      class: "unavailable",
      detail: "HTTP 200, without the text that it should hold",
    });
    expect(await check(at("/large"), { expectBody: "xxx" })).toMatchObject({ class: "up" });
    expect(await check(at("/large"), { expectBody: "healthy" })).toMatchObject({
      class: "unavailable",
    });
  });

  it.each([
    ["/500", "unavailable", "HTTP 500, not 200"],
    ["/503", "unavailable", "HTTP 503, not 200"],
    ["/404", "unavailable", "HTTP 404, not 200"],
    ["/204", "unavailable", "HTTP 204, not 200"],
    ["/401", "auth", "HTTP 401: not let in"],
    ["/403", "auth", "HTTP 403: not let in"],
    ["/429", "policy", "HTTP 429: asked too often"],
    ["/302", "malformed", "HTTP 302: a redirect is not followed"],
    ["/520", "closed", "HTTP 520: no answer that is one"],
    ["/521", "refused", "HTTP 521: nothing listens there"],
    ["/522", "timeout", "HTTP 522: no answer"],
    ["/525", "tls", "HTTP 525: no TLS handshake, or a bad certificate"],
    ["/530", "dns", "HTTP 530: its host name does not resolve"],
  ])("%s is %s", async (path, kind, detail) => {
    expect(await check(at(path))).toEqual({ class: kind, detail, facts: null, relay: null });
  });

  it("C23 G12 basic authentication", async () => {
    const as = { username: USER.name, passwordSecret: "CHECK" };
    expect(await check(at("/auth"), as)).toMatchObject({ class: "up" });
    const wrong = await check(at("/auth"), as, { password: "another" });
    expect(wrong).toMatchObject({ class: "auth" });
  });

  it("C24 its own time is shorter than that of the look", async () => {
    const port = await tcpServer();
    const found = await check(`http://127.0.0.1:${port}/`, { timeoutMs: 200 });
    expect(found).toMatchObject({ class: "timeout", detail: "no answer within 200 ms" });
  });

  it("C22 G12 why there was no answer: refused, no such name, a bad certificate, no TLS there", async () => {
    const dir = await mkdtemp(join(tmpdir(), "picket-https-"));
    onTestFinished(() => rm(dir, { recursive: true, force: true }));
    const { key, cert } = await certificateIn(dir);
    const secure = createSecureServer({ key: await readFile(key), cert: await readFile(cert) });
    const port = await listening(secure);
    onTestFinished(() => closed(secure));
    const resolver = await startResolver({ localhost: "127.0.0.1" });
    onTestFinished(() => resolver.close());
    const nobody = await freePort();
    const given = { resolver: resolver.url };
    const seen = async (url: string) => (await check(url, {}, given)).class;
    expect(await seen(`https://localhost:${nobody}/`)).toBe("refused");
    expect(await seen(`https://127.0.0.1:${nobody}/`)).toBe("refused");
    expect(await seen(`https://name.invalid:${nobody}/`)).toBe("dns");
    expect(await seen(`https://localhost:${port}/`)).toBe("tls");
    expect(await seen(`https://127.0.0.1:${health.port}/`)).toBe("tls");
  });
});

describe("lag-aware", () => {
  let database: Database;
  beforeEach(() => {
    // Another number and name each time: what the Worker remembers is of no use here.
    const uid = (cluster.databases.at(-1)?.uid ?? 0) + 1;
    database = {
      ...{ uid, host: `redis-${uid}.cluster.example.com`, addr: [`192.0.2.${uid}`] },
      ...{ lagMs: 0, state: "available" },
    };
    cluster.databases.push(database);
    cluster.quorum = true;
    cluster.asked.length = 0;
  });

  it("C25 lag over the tolerance, the database gone bad, its endpoint, no quorum: unavailable by name", async () => {
    const { host } = database;
    expect(await lag(host)).toMatchObject({ class: "up", detail: "available", facts: null });
    const badly = async (code: string) => {
      const found = await lag(host);
      expect(found).toMatchObject({ class: "unavailable", facts: null });
      expect(found.detail).toMatch(new RegExp(`^HTTP 503 ${code}: .`));
    };
    database.lagMs = 5001;
    await badly("bdb_unavailable");
    expect(await lag(host, { lagToleranceMs: 6000 })).toMatchObject({ class: "up" });
    database.lagMs = 5000;
    expect(await lag(host)).toMatchObject({ class: "up" });
    database.state = "unavailable";
    await badly("bdb_unavailable");
    database.state = "endpoint-unavailable";
    await badly("bdb_endpoint_unavailable");
    cluster.quorum = false;
    await badly("no_quorum");
    // The number was asked for once.
    expect(cluster.asked.filter((path) => path.startsWith("/v1/bdbs?"))).toHaveLength(1);
    expect(cluster.asked[1]).toBe(
      `/v1/bdbs/${database.uid}/availability?extend_check=lag&availability_lag_tolerance_ms=5000`,
    );
  });

  it("C25 a database that the cluster does not know is a setting's fault; its number is asked for anew", async () => {
    expect(await lag("elsewhere.example.com")).toMatchObject({
      class: "policy",
      detail: "db not found: no database has the endpoint elsewhere.example.com",
    });
    const { host, uid } = database;
    const [addr = ""] = database.addr;
    expect(await lag(addr)).toMatchObject({ class: "up" });
    expect(await lag(host)).toMatchObject({ class: "up" });
    cluster.databases.pop();
    expect(await lag(host)).toMatchObject({
      class: "policy",
      detail: expect.stringContaining("db_not_found"),
    });
    cluster.databases.push({ ...database, uid: uid + 1 });
    expect(await lag(host)).toMatchObject({ class: "up" });
    expect(cluster.asked.at(-1)).toContain(`/v1/bdbs/${uid + 1}/availability`);
  });

  it("C23 a user that the cluster does not let in", async () => {
    const found = await lag(database.host, {}, { password: "another-password" });
    expect(found).toMatchObject({ class: "auth" });
    expect(await lag(database.host)).toMatchObject({ class: "up" });
  });

  it("a cluster that quotes what was sent, whole or cut off: no detail shows it", async () => {
    const quoting = createServer(({ headers }, response) => {
      const sent = headers.authorization ?? "";
      const description = `${PASSWORD} ${PASSWORD.slice(0, 10)} ${sent} ${sent.slice(0, -5)}`;
      response.writeHead(400).end(JSON.stringify({ error_code: "bad_header", description }));
    });
    const url = `http://127.0.0.1:${await listening(quoting)}`;
    onTestFinished(() => closed(quoting));
    const { detail } = await lag("a.example.com", { url });
    expect(detail).toBe("HTTP 400 bad_header: *** *** Basic *** Basic ***");
  });

  it("C24 each request by itself is bounded", async () => {
    const port = await tcpServer();
    const url = `http://127.0.0.1:${port}`;
    expect(await lag("a.example.com", { url, timeoutMs: 200 })).toMatchObject({ class: "timeout" });
  });

  it("a list that is none, and one without end", async () => {
    const answers = async (body: string) => {
      const server = createServer((_, response) => void response.end(body));
      onTestFinished(() => closed(server));
      return lag("a.example.com", { url: `http://127.0.0.1:${await listening(server)}` });
    };
    for (const body of ["{}", "null", "", "<html></html>", `["${"a".repeat(2 << 20)}"]`])
      expect(await answers(body)).toMatchObject({ class: "malformed" });
    expect(
      await answers('[null, 1, {"uid":{}, "endpoints":[null, {"dns_name":7}]}]'),
    ).toMatchObject({
      class: "policy",
    });
  });

  it.each([
    ["https://cluster.example.com", "https://cluster.example.com:9443"],
    ["https://cluster.example.com/", "https://cluster.example.com:9443"],
    ["https://cluster.example.com:443", "https://cluster.example.com"],
    ["https://[2001:db8::1]:9444/", "https://[2001:db8::1]:9444"],
    ["https://[2001:db8::1]", "https://[2001:db8::1]:9443"],
  ])("%s is asked at %s", (url, origin) => {
    expect(restBase(url).origin).toBe(origin);
  });
});

/** fetch has one word for what comes before an answer. */
const lost = ["closed", "malformed"] as const;
const early = {
  "says HTTP 400 at once": [...lost, "unavailable"],
  "answers one line without end": lost,
  "says hello as SSH does": lost,
  "speaks TLS on a plain port": lost,
  "speaks RESP where HTTP is expected": lost,
  "answers bytes that mean nothing": lost,
} as const;

probeContract("custom", async () => ({
  look: ({ port, secret, timeoutMs }) =>
    check(
      `http://127.0.0.1:${port}/auth`,
      { expectBody: "is healthy", username: USER.name, passwordSecret: "CHECK" },
      { password: secret, timeoutMs },
    ),
  healthy: { port: health.port, secret: PASSWORD },
  speaks: "http",
  // Any body but the right one says that the node is not to be used.
  classes: { ...early, "answers without end": ["unavailable"], "speaks HTTP": ["unavailable"] },
  close: async () => {},
}));

probeContract("lag-aware", async () => {
  const port = await freePort();
  const own = await startCluster(USER, port);
  own.databases.push({
    ...{ uid: 1, host: "a.example.com", addr: [] },
    lagMs: 0,
    state: "available",
  });
  return {
    look: ({ port: to, secret, timeoutMs }) =>
      lag("a.example.com", { url: `http://127.0.0.1:${to}` }, { password: secret, timeoutMs }),
    healthy: { port, secret: PASSWORD },
    speaks: "http",
    classes: early,
    close: () => own.close(),
  };
});
