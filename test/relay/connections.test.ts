/** Every way in which a relay reaches a Redis, and every fault of its own settings, by name. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { freePort, startRedis } from "../../scripts/redis-server.ts";
import { openSession } from "../../worker/redis/session.ts";
import { parseSettings, type RelayNodeConfig } from "../../worker/relay/config.ts";
import { type Relay, startRelay } from "../../worker/relay/serve.ts";
import { until } from "../support/wait.ts";
import {
  app,
  ask,
  DATA,
  facts,
  nodeAt,
  online,
  post,
  redis,
  relayOver,
  settingsFor,
  tell,
  temporaryFolder,
  verb,
} from "./support.ts";

const NAME = "redis.example.test";
const run = promisify(execFile);
const openssl = await run("openssl", ["version"]).then(
  () => true,
  () => false,
);

/** A node as the configuration file gives it. */
async function node(given: object): Promise<RelayNodeConfig> {
  const parsed = parseSettings(
    JSON.stringify({
      ...{ id: "r", listen: { host: "127.0.0.1", port: 0 }, state_file: "/nowhere" },
      ...{ control_tokens: ["control-token-of-x"], data_tokens: ["data-token-of-the-x"] },
      nodes: [{ id: "a", ...given }],
    }),
  );
  if (parsed.kind === "wrong") throw new Error(parsed.complaints.join("; "));
  const [only] = parsed.settings.nodes;
  if (only === undefined) throw new Error("no node");
  return only;
}

const relayTo = async (given: object) =>
  relayOver(await settingsFor([await node(given)], { nodeTimeoutMs: 20_000 }));

const set = (relay: Relay) =>
  post(relay, "/nodes/a", ["SET", "k", "v"], { authorization: `Bearer ${DATA}` });

/** What Redis or the relay said, to one write. */
const outcome = async (relay: Relay) => {
  const { body } = await set(relay);
  const { result, error } = body as { result?: string; error?: string };
  return result ?? error;
};

// Only openssl makes certificates here, and it is not everywhere.
describe.skipIf(!openssl)("TLS (needs openssl to make certificates)", () => {
  /** An authority, and two certificates of it, in a temporary folder. */
  async function certificates() {
    const folder = await temporaryFolder();
    const file = (name: string) => join(folder, name);
    const make = (name: string, ...more: readonly string[]) =>
      run("openssl", [
        ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
        ...["-days", "2", "-keyout", file(`${name}.key`), "-out", file(`${name}.pem`)],
        ...["-subj", `/CN=${name}`, ...more],
      ]);
    await make("ca");
    const signed = ["-CA", file("ca.pem"), "-CAkey", file("ca.key")];
    await make("server", ...signed, "-addext", `subjectAltName=DNS:${NAME}`);
    await make("client", ...signed);
    return file;
  }

  async function tlsRedis() {
    const file = await certificates();
    const port = await freePort();
    const server = await redis({
      args: [
        ...["--tls-port", String(port), "--tls-auth-clients", "yes"],
        ...["--tls-cert-file", file("server.pem"), "--tls-key-file", file("server.key")],
        ...["--tls-ca-cert-file", file("ca.pem")],
      ],
    });
    const tls = {
      ca_file: file("ca.pem"),
      cert_file: file("client.pem"),
      key_file: file("client.key"),
      server_name: NAME,
    };
    return { plain: server, at: { host: "127.0.0.1", port }, tls };
  }

  test("a private authority and a client's certificate: commands, waiting and looks", async () => {
    const { at, tls, plain } = await tlsRedis();
    const relay = await relayTo({ ...at, tls });
    expect(await outcome(relay)).toBe("OK");
    expect(await facts(relay, "a")).toMatchObject({ role: "primary" });
    const waiting = app(relay).exec(["BLPOP", "queue", "20"]);
    await ask(plain, ["RPUSH", "queue", "x"]);
    expect(await waiting).toEqual(["queue", "x"]);
  });

  test("G12 a fault of TLS is named, and nothing was executed", async () => {
    const { at, tls, plain } = await tlsRedis();
    const { ca_file, server_name, ...client } = tls;
    for (const [given, error] of [
      [{ ...at, tls: { ...client, server_name } }, /^NODE_TLS .*not executed$/],
      [{ ...at, tls: { ...tls, server_name: "other.example.test" } }, /^NODE_TLS .*not executed$/],
      // The server's alert comes after the handshake here, and its reset may overtake it.
      [{ ...at, tls: { ca_file, server_name } }, /^NODE_(TLS|CLOSED) .*not executed$/],
      [at, /^NODE_CLOSED .*not executed$/],
    ] as const) {
      expect([given, await outcome(await relayTo(given))]).toEqual([
        given,
        expect.stringMatching(error),
      ]);
    }
    expect(await ask(plain, ["DBSIZE"])).toEqual(["0"]);
  });
});

test("a unix socket; one that nobody made is refused", async () => {
  const path = join(await temporaryFolder(), "redis.sock");
  await redis({ args: ["--unixsocket", path] });
  expect(await outcome(await relayTo({ socket: path }))).toBe("OK");
  expect(await outcome(await relayTo({ socket: `${path}2` }))).toMatch(/^NODE_REFUSED /);
});

test("G12 a name that nobody knows, a wrong password, a user who is not there", async () => {
  const server = await redis({ args: ["--requirepass", "right-secret"] });
  const at = { host: server.host, port: server.port };
  for (const [given, error] of [
    [{ host: "no..such..name", port: 6379 }, /^NODE_DNS /],
    [{ ...at, password: "wrong-secret" }, /^NODE_AUTH .*not executed$/],
    [{ ...at, username: "nobody", password: "wrong-secret" }, /^NODE_AUTH .*not executed$/],
    [at, /^NODE_AUTH NOAUTH/],
    [{ ...at, password: "right-secret" }, /^OK$/],
  ] as const) {
    const said = await outcome(await relayTo(given));
    expect(said).toMatch(error);
    expect(said).not.toContain("-secret");
  }
});

test("an ACL user: what Redis allows it, and Redis's own word for the rest", async () => {
  const server = await redis();
  const user = ["ACL", "SETUSER", "app", "on", ">app-secret", "~k*", "+@read", "+@write"];
  await ask(server, user);
  const { host, port } = server;
  const relay = await relayTo({ host, port, username: "app", password: "app-secret" });
  expect(await outcome(relay)).toBe("OK");
  const refused = await post(relay, "/nodes/a", ["SET", "other", "v"], {
    authorization: `Bearer ${DATA}`,
  });
  expect(refused).toMatchObject({ status: 400, body: { error: expect.stringMatching(/^NOPERM/) } });
});

test("S03.1 X29 a password changed at run time: whoever was told it connects again", async () => {
  const server = await startRedis({ args: ["--requirepass", "first-secret"] });
  onTestFinished(() => server.stop());
  const at = (password: string) => node({ host: server.host, port: server.port, password });
  const settings = await settingsFor([await at("first-secret")], { nodeTimeoutMs: 20_000 });
  const [told, untold] = [await relayOver(settings), await startRelay(settings)];
  onTestFinished(() => untold.close());
  expect([await outcome(told), await outcome(untold)]).toEqual(["OK", "OK"]);

  const asOperator = async (password: string, command: readonly string[]) => {
    const session = openSession(await at(password), 20_000);
    expect(await session.run([command], { deadlineMs: 20_000 })).toMatchObject({ kind: "replies" });
    session.close();
  };
  await asOperator("first-secret", ["CONFIG", "SET", "requirepass", "second-secret"]);
  // Who is connected stays so: a password is asked for at the beginning.
  expect([await outcome(told), await outcome(untold)]).toEqual(["OK", "OK"]);
  await asOperator("second-secret", ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
  const reason = /^NODE_AUTH WRONGPASS/;
  await until("both are turned away", async () =>
    [await outcome(told), await outcome(untold)].every((each) => reason.test(each ?? "")),
  );
  expect(told.reload({ ...settings, nodes: [await at("second-secret")] })).toEqual([]);
  expect(await outcome(told)).toBe("OK");
  expect(await outcome(untold)).toMatch(reason);
});

test("G23 a relay reaches a node by an address of its own; replicas are given another", async () => {
  const args = ["--bind", "127.0.0.1", "127.0.0.2"];
  const [a, b] = [await redis({ args }), await redis({ args })];
  // The relay knows both by 127.0.0.2; b is to follow a at 127.0.0.1.
  const there = { host: "127.0.0.2" };
  const relay = await relayOver(
    await settingsFor([nodeAt("a", { ...a, ...there }), nodeAt("b", { ...b, ...there })]),
  );
  await tell(relay);
  const follow = { host: "127.0.0.1", port: a.port };
  const body = { epoch: 1, primary: "a", follow, minReplicas: 0, bootSealed: false };
  expect(await verb(relay, "b/demote", body)).toMatchObject({ body: { outcome: "done" } });
  await online(a, b);
  expect(await facts(relay, "b")).toMatchObject({ role: "replica", replicaOf: follow });
});

test("with min_replicas, a primary that lost its replica stops within its lag", async () => {
  const a = await redis({ args: ["--min-replicas-max-lag", "1"] });
  const b = await redis({ args: ["--replicaof", a.host, String(a.port)] });
  const relay = await relayOver(await settingsFor([nodeAt("a", a), nodeAt("b", b)]));
  await tell(relay);
  await online(a, b);
  const body = { epoch: 1, primary: "a", minReplicas: 1, bootSealed: false };
  expect(await verb(relay, "a/unseal", body)).toMatchObject({ body: { outcome: "done" } });
  expect(await outcome(relay)).toBe("OK");
  await b.kill("SIGSTOP");
  await until("no write is taken", async () => /^NOREPLICAS/.test((await outcome(relay)) ?? ""), {
    withinMs: 30_000,
  });
  await b.kill("SIGCONT");
  await until("writes are taken again", async () => (await outcome(relay)) === "OK", {
    withinMs: 30_000,
  });
});
