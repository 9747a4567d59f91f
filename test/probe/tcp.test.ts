/** TCP and TLS looks of a Worker, on workerd, at real Redis servers and at servers that are none. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { freePort, type RedisProcess, startRedis } from "../../scripts/redis-server.ts";
import type { Found } from "../../worker/core/looking.ts";
import { upstash } from "../../worker/probe/upstash.ts";
import { startRelay } from "../../worker/relay/serve.ts";
import { patientMs, probeContract } from "../contract/probe.ts";
import { dataToken, relayDefaults } from "../relay/support.ts";
import { type Certificate, certificateIn } from "../support/certificates.ts";
import { tcpServer } from "../support/tcp.ts";
import { until } from "../support/wait.ts";
import { type Runtime, startResolver, startRuntime } from "./tcp-runtime.ts";

const PASSWORD = "a-password-of-the-probe";
const SHORT_MS = 400;
let runtime: Runtime;
let dir: string;
/** By an authority that the runtime trusts, as if it were a public one, and by one that it does not know. */
let trusted: Certificate;
let unknown: Certificate;
let plain: RedisProcess;
let secure: RedisProcess;
let strange: RedisProcess;
let tlsPort: number;
let strangePort: number;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "picket-tls-"));
  trusted = await certificateIn(join(dir, "trusted"));
  unknown = await certificateIn(join(dir, "unknown"));
  tlsPort = await freePort();
  strangePort = await freePort();
  [runtime, plain, secure, strange] = await Promise.all([
    startRuntime(trusted.ca),
    startRedis({
      args: [
        ...["--user", "probe", "on", `>${PASSWORD}`, "+ping", "+info"],
        ...["--user", "watcher", "on", `>${PASSWORD}`, "+ping", "+info", "+config|get"],
        ...["--user", "mute", "on", `>${PASSWORD}`, "+ping"],
        ...["--user", "nobody", "on", `>${PASSWORD}`],
      ],
    }),
    startRedis({ args: [...overTls(tlsPort, trusted), "--requirepass", PASSWORD] }),
    startRedis({ args: overTls(strangePort, unknown) }),
  ]);
});
afterAll(async () => {
  await runtime?.close();
  await Promise.all([plain?.stop(), secure?.stop(), strange?.stop()]);
  await rm(dir, { recursive: true, force: true });
});

const overTls = (port: number, { ca, cert, key }: Certificate) => [
  ...["--tls-port", String(port), "--tls-auth-clients", "no"],
  ...["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", ca],
];

type At = {
  readonly host?: string;
  readonly tls?: boolean;
  readonly user?: string | null;
  readonly password?: string | null;
  readonly timeoutMs?: number;
  readonly resolver?: string;
};

function look(port: number, at: At = {}): Promise<Found> {
  const { host = "127.0.0.1", tls = false, user = null, password = null } = at;
  const passwordSecret = password === null ? null : "PASSWORD";
  return runtime.look({
    probe: { transport: "tcp", host, port, tls, username: user, passwordSecret },
    timeoutMs: at.timeoutMs ?? patientMs,
    secret: password ?? "",
    ...(at.resolver === undefined ? {} : { resolver: at.resolver }),
  });
}

/** What a slow machine may not see at once: until then it is one of the others. */
async function sees(
  expected: Found["class"],
  again: () => Promise<Found>,
  meanwhile: readonly Found["class"][] = ["timeout"],
): Promise<void> {
  const all: string[] = [];
  await until(expected, async () => {
    all.push((await again()).class);
    return all.at(-1) === expected;
  });
  expect(
    all.filter((seen) => seen !== expected && !meanwhile.some((each) => each === seen)),
  ).toEqual([]);
}

describe("tcp", () => {
  it("a Redis without a password tells all", async () => {
    expect(await look(plain.port)).toMatchObject({
      ...{ class: "up", detail: "PONG", relay: null },
      facts: { role: "primary", minReplicasToWrite: 0 },
    });
  });

  it("an ACL user: PING decides, and facts are as much as it may see", async () => {
    const as = (user: string) => look(plain.port, { user, password: PASSWORD });
    expect(await as("watcher")).toMatchObject({ class: "up", facts: { minReplicasToWrite: 0 } });
    expect(await as("probe")).toMatchObject({ class: "up", facts: { minReplicasToWrite: null } });
    expect(await as("mute")).toMatchObject({ class: "up", facts: null });
    expect(await as("nobody")).toMatchObject({ class: "auth" });
  });

  it("C23 G12 a wrong password, and none: the fault's own class", async () => {
    const wrong = await look(plain.port, { user: "probe", password: "not-this-one" });
    expect(wrong).toMatchObject({ class: "auth", detail: expect.stringMatching(/^WRONGPASS/) });
    const needless = await look(plain.port, { password: PASSWORD });
    expect(needless).toMatchObject({ class: "auth", facts: null });
    expect(needless.detail).not.toContain(PASSWORD);
  });

  it("a password that the server quotes, cut off: no detail shows it", async () => {
    const redis = await startRedis({ args: ["--rename-command", "AUTH", ""] });
    onTestFinished(() => redis.stop());
    const password = `${"p".repeat(60)}SECRET${"q".repeat(70)}`;
    const { detail } = await look(redis.port, { user: "u", password });
    expect(detail).toBe("ERR unknown command 'AUTH', with args beginning with: 'u' '***'");
  });

  it("a Sentinel answers PING too", async () => {
    const inside = ["bash", "-c", 'exec "$0" "$@" --sentinel'];
    const sentinel = await startRedis({ inside });
    onTestFinished(() => sentinel.stop());
    expect(await look(sentinel.port)).toMatchObject({
      ...{ class: "malformed", detail: "a Sentinel, not a Redis", facts: null },
    });
  });

  it("G12 too many clients is policy: a server answered", async () => {
    const port = await tcpServer(
      (socket) => void socket.end("-ERR max number of clients reached\r\n"),
    );
    expect(await look(port)).toMatchObject({ class: "policy" });
  });

  it.each(["LOADING", "BUSY", "MISCONF"])("%s by its word", async (word) => {
    const port = await tcpServer((socket) =>
      socket.once("data", () => void socket.write(`-${word} says the server\r\n`.repeat(3))),
    );
    expect(await look(port)).toMatchObject({ class: word.toLowerCase(), facts: null });
  });

  it("C22 G12 a name that does not resolve, and one of which nobody knows: never refused", async () => {
    const resolver = await startResolver({ localhost: "127.0.0.1" });
    onTestFinished(() => resolver.close());
    const port = await freePort();
    const there = await look(port, { host: "name.invalid", resolver: resolver.url });
    expect(there).toMatchObject({ class: "dns", detail: "its host name does not resolve" });
    const unknown = await look(port, { host: "name.invalid" });
    expect(unknown).toMatchObject({ class: "dns", detail: expect.stringContaining("not known") });
    const known = await look(port, { host: "localhost", resolver: resolver.url });
    expect(known).toMatchObject({ class: "refused" });
    expect(resolver.asked()).toContain("localhost");
    // An address needs no resolver.
    expect(await look(port)).toMatchObject({ class: "refused" });
    expect(await look(port, { tls: true })).toMatchObject({ class: "refused" });
  });

  it("C22 a resolver that hangs: its silence is not the node's", async () => {
    const hangs = await tcpServer();
    const resolver = `http://127.0.0.1:${hangs}`;
    const at = { host: "name.invalid", resolver, timeoutMs: SHORT_MS };
    const port = await freePort();
    await sees("dns", () => look(port, at));
  });

  it("C24 a Redis that is stopped is silence, over TLS too, and up again once it runs", async () => {
    await plain.kill("SIGSTOP");
    const timeoutMs = SHORT_MS;
    expect(await look(plain.port, { timeoutMs })).toMatchObject({ class: "timeout", facts: null });
    // No handshake, and no answer without one either.
    expect(await look(plain.port, { tls: true, timeoutMs })).toMatchObject({ class: "timeout" });
    await plain.kill("SIGCONT");
    expect(await look(plain.port)).toMatchObject({ class: "up" });
  });

  it("who is dropped unasked where Redis has answered meets silence; elsewhere a drop is a drop", async () => {
    const port = await freePort();
    const redis = await startRedis({ port });
    expect(await look(port)).toMatchObject({ class: "up" });
    await redis.stop();
    expect(await look(port)).toMatchObject({ class: "refused" });
    let asked = false;
    const server = createServer((socket) => {
      socket.on("error", () => {});
      if (asked) socket.once("data", () => socket.destroy());
      else socket.destroy();
    });
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", () => resolve()));
    onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
    await sees("timeout", () => look(port), ["closed"]);
    expect(await look(port, { user: "other", password: "p" })).toMatchObject({ class: "closed" });
    asked = true;
    expect(await look(port)).toMatchObject({ class: "closed" });
  });
});

describe("tls", () => {
  it("a Redis with a certificate that verifies, with its password", async () => {
    for (const host of ["localhost", "127.0.0.1"]) {
      const found = await look(tlsPort, { tls: true, host, password: PASSWORD });
      expect(found).toMatchObject({ class: "up", facts: { role: "primary" } });
    }
    expect(await look(tlsPort, { tls: true })).toMatchObject({ class: "auth" });
    expect(await look(tlsPort, { tls: true, password: "no" })).toMatchObject({ class: "auth" });
  });

  it("C24 it stops, is killed, and returns", async () => {
    const at = { tls: true, password: PASSWORD };
    await secure.kill("SIGSTOP");
    const stopped = await look(tlsPort, { ...at, timeoutMs: SHORT_MS });
    expect(stopped).toMatchObject({ class: "timeout" });
    await secure.kill("SIGCONT");
    await secure.kill("SIGKILL");
    expect(await look(tlsPort, at)).toMatchObject({ class: "refused" });
    await secure.start();
    expect(await look(tlsPort, at)).toMatchObject({ class: "up" });
  });

  it("G12 a certificate of a private authority is a fault of its own; through a relay that knows it, up", async () => {
    expect(await look(strange.port)).toMatchObject({ class: "up" });
    for (const host of ["127.0.0.1", "localhost"])
      expect(await look(strangePort, { tls: true, host })).toMatchObject({
        class: "tls",
        facts: null,
      });
    const token = "a-data-token-of-the-relay";
    const relay = await startRelay({
      ...{ id: "a", listen: { host: "127.0.0.1", port: 0 }, stateFile: join(dir, "state.json") },
      ...{ ...relayDefaults, controlTokens: ["a-control-token"], dataTokens: [dataToken(token)] },
      nodes: [
        {
          ...{ id: "a", host: "127.0.0.1", port: strangePort, username: null, password: null },
          tls: { ca: await readFile(unknown.ca, "utf8"), cert: null, key: null, serverName: null },
        },
      ],
    });
    onTestFinished(() => relay.close());
    const through = await upstash(
      { transport: "upstash", url: `${relay.url}/nodes/a`, tokenSecret: "TOKEN" },
      { timeoutMs: patientMs, secret: () => token },
    );
    expect(through).toMatchObject({ class: "up", facts: { role: "primary" } });
  });

  it("G12 TLS to a Redis that speaks plain, and plain to one that speaks TLS", async () => {
    // Half of the time is left to find out that it answers without.
    await sees("tls", () => look(plain.port, { tls: true, timeoutMs: 1000 }));
    expect(await look(strangePort)).toMatchObject({ class: "closed", facts: null });
  });

  it("who drops connections unasked where Redis has answered over TLS meets silence; elsewhere it is no TLS", async () => {
    const at = { tls: true, password: PASSWORD };
    let away = false;
    const port = await tcpServer((socket) => {
      if (away) return void socket.destroy();
      throughTo(tlsPort, socket);
    });
    expect(await look(port, at)).toMatchObject({ class: "up" });
    away = true;
    // On a slow machine the drop may be heard of late.
    await sees("timeout", () => look(port, at), ["tls"]);
    expect(await look(port, { tls: true })).toMatchObject({ class: "tls" });
    away = false;
    expect(await look(port, at)).toMatchObject({ class: "up" });
  });

  it.each([
    ["another name", { names: "DNS:other.example.com" }],
    ["a time that is over", { days: -1 }],
  ])("G12 a certificate of %s", async (what, wanted) => {
    const given = { ...wanted, by: trusted };
    const port = await tlsServer(await certificateIn(join(dir, what.replaceAll(" ", "-")), given));
    expect(await look(port, { tls: true })).toMatchObject({ class: "tls" });
  });

  it("G12 TLS to who speaks HTTP or SSH, and to who has a handshake and no more", async () => {
    const http = await tcpServer((socket) =>
      socket.once("data", () => void socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")),
    );
    const ssh = await tcpServer((socket) => void socket.write("SSH-2.0-OpenSSH_9.7\r\n"));
    for (const port of [http, ssh])
      expect(await look(port, { tls: true })).toMatchObject({ class: "tls" });
    const hangsUp = await tlsServer(trusted);
    expect(await look(hangsUp, { tls: true })).toMatchObject({ class: "closed" });
  });
});

it("TLS handshakes that hang cannot be ended: not every look begins one, until they have ended", async () => {
  const sockets = new Set<Socket>();
  let begun = 0;
  const port = await tcpServer((socket) => {
    // What is asked without TLS, after half of the time, is not what this is about.
    socket.once("data", (bytes) => {
      if (bytes[0] !== 0x16) return;
      begun += 1;
      sockets.add(socket);
    });
  });
  const silence = () => look(port, { tls: true, timeoutMs: 100 });
  for (let n = 0; n < 8; n += 1) expect(await silence()).toMatchObject({ class: "timeout" });
  expect(begun).toBeLessThan(8);
  for (const socket of sockets) socket.destroy();
  const before = begun;
  await until("a new one is begun", async () => {
    await silence();
    return begun > before;
  });
});

it("while handshakes hang, who is there and could not be asked is not called silent", async () => {
  const hung = new Set<Socket>();
  let hangs = true;
  const port = await tcpServer((socket) => {
    socket.once("data", (bytes) => {
      if (hangs) return void hung.add(socket);
      throughTo(tlsPort, socket).write(bytes);
    });
  });
  const at = { tls: true, password: PASSWORD, timeoutMs: 1000 };
  const silent = await Promise.all(
    Array.from({ length: 6 }, () => look(port, { ...at, timeoutMs: SHORT_MS })),
  );
  expect(new Set(silent.map((each) => each.class))).toEqual(new Set(["timeout"]));
  hangs = false;
  await sees("relay-unreachable", () => look(port, at));
  for (const socket of hung) socket.destroy();
  await sees("up", () => look(port, at), ["timeout", "relay-unreachable"]);
});

/** As a load balancer does. */
function throughTo(port: number, socket: Socket): Socket {
  const behind = connect(port, "127.0.0.1").on("error", () => socket.destroy());
  socket.pipe(behind).pipe(socket);
  return behind;
}

/** Has a handshake with whoever comes, and hangs up. */
async function tlsServer(files: Certificate): Promise<number> {
  const [key, cert] = await Promise.all([readFile(files.key), readFile(files.cert)]);
  const server = createTlsServer(
    { key, cert },
    (socket) =>
      void socket
        .on("error", () => {})
        .resume()
        .end(),
  );
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

probeContract("tcp", async () => ({
  look: ({ port, secret, timeoutMs }) => look(port, { user: "probe", password: secret, timeoutMs }),
  healthy: { port: plain.port, secret: PASSWORD },
  speaks: "resp",
  skips: { "speaks RESP where HTTP is expected": "it speaks RESP" },
  close: async () => {},
}));

/** Whoever has no TLS handshake, and is there, has a fault of that name, whatever else it says. */
const noTls = ["tls"] as const;

probeContract("tcp over TLS", async () => ({
  look: ({ port, secret, timeoutMs }) => look(port, { tls: true, password: secret, timeoutMs }),
  healthy: { port: tlsPort, secret: PASSWORD },
  speaks: "resp",
  classes: {
    "hangs up at once": noTls,
    "hangs up when asked": noTls,
    // It waits for the rest of what would be a handshake, and then asks without.
    "begins an answer and stops": ["tls", "timeout"],
    "answers a byte at a time": ["tls", "timeout"],
    "answers without end": noTls,
    "answers one line without end": noTls,
    "speaks HTTP": noTls,
    "says HTTP 400 at once": noTls,
    "says hello as SSH does": noTls,
    "speaks TLS on a plain port": noTls,
    "speaks RESP where HTTP is expected": noTls,
    "answers bytes that mean nothing": noTls,
  },
  // The runtime does not end a handshake that is under way.
  keeps: true,
  close: async () => {},
}));
