/** The contract of probes, over the Upstash REST protocol: a node's own address, one behind a relay, a relay's own look. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { freePort, startRedis } from "../../scripts/redis-server.ts";
import type { Found } from "../../worker/core/looking.ts";
import { lookThrough } from "../../worker/probe/relayed.ts";
import { lookOverRest, upstash } from "../../worker/probe/upstash.ts";
import { startRelay } from "../../worker/relay/serve.ts";
import { type LookAt, type ProbeBench, patientMs, probeContract } from "../contract/probe.ts";
import { dataToken, relayDefaults } from "../relay/support.ts";
import { type Runtime, startRuntime } from "./tcp-runtime.ts";

const CONTROL = "control-token-of-the-contract";
const DATA = "data-token-of-the-contract";

async function bench(
  secret: string,
  look: (at: LookAt & { readonly url: string }) => Promise<Found>,
  more: Partial<ProbeBench>,
): Promise<ProbeBench> {
  const dir = await mkdtemp(join(tmpdir(), "picket-probe-"));
  const redis = await startRedis();
  const port = await freePort();
  const node = { id: "a", host: redis.host, port: redis.port, username: null, password: null };
  const relay = await startRelay({
    ...{ id: "r", listen: { host: "127.0.0.1", port }, stateFile: join(dir, "state.json") },
    ...{
      ...relayDefaults,
      nodeTimeoutMs: patientMs,
      controlTokens: [CONTROL],
      dataTokens: [dataToken(DATA)],
    },
    nodes: [node],
  });
  return {
    look: (at) => look({ ...at, url: `http://127.0.0.1:${at.port}` }),
    healthy: { port, secret },
    speaks: "http",
    // fetch keeps what it may need again.
    keeps: true,
    ...more,
    close: async () => {
      await relay.close();
      await redis.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

probeContract("upstash, a node's own address", () =>
  bench(
    DATA,
    ({ url, secret, timeoutMs }) =>
      upstash(
        { transport: "upstash", url: `${url}/nodes/a`, tokenSecret: "TOKEN" },
        { timeoutMs, secret: (name) => (name === "TOKEN" ? secret : "") },
      ),
    { classes: { "says HTTP 400 at once": ["malformed", "closed"] } },
  ),
);

/** What is no HTTP is a lost connection there: that counts towards nothing either. */
const lost = ["closed"] as const;
const unread: ProbeBench["classes"] = {
  "answers one line without end": lost,
  // Before it was asked: what the runtime meets first, the answer or the end of the connection.
  "says HTTP 400 at once": ["closed", "malformed"],
  "says hello as SSH does": lost,
  "speaks TLS on a plain port": lost,
  "speaks RESP where HTTP is expected": lost,
  "answers bytes that mean nothing": lost,
};

/** As a region looks: by the runtime's own fetch, which does not say why a connection was lost. */
let runtime: Runtime;
beforeAll(async () => {
  runtime = await startRuntime();
});
afterAll(() => runtime?.close());

probeContract("upstash on workerd, a node's own address", () =>
  bench(
    DATA,
    ({ url, secret, timeoutMs }) => {
      const probe = { transport: "upstash", url: `${url}/nodes/a`, tokenSecret: "TOKEN" } as const;
      return runtime.look({ probe, timeoutMs, secret });
    },
    { classes: unread },
  ),
);

/** Whatever happens on the way to a relay says nothing of its nodes. */
const away = ["relay-unreachable"] as const;
const behindRelay: Partial<ProbeBench> = {
  classes: {
    refused: away,
    "is silent": away,
    "hangs up at once": away,
    "hangs up when asked": away,
    "begins an answer and stops": away,
    "answers a byte at a time": away,
    "answers one line without end": away,
    "says HTTP 400 at once": [...away, "malformed"],
    "says hello as SSH does": away,
    "speaks TLS on a plain port": away,
    "speaks RESP where HTTP is expected": away,
    "answers bytes that mean nothing": away,
  },
};

probeContract("upstash, a node behind a relay", () =>
  bench(
    CONTROL,
    ({ url, secret, timeoutMs }) =>
      lookOverRest({ group: "cache", url: `${url}/nodes/a`, token: secret }, { timeoutMs }),
    behindRelay,
  ),
);

probeContract("a relay's own look", () =>
  bench(
    CONTROL,
    async ({ url, secret, timeoutMs }) => {
      const found = await lookThrough({ group: "cache", url, token: secret }, ["a"], { timeoutMs });
      const { agoMs: _, ...look } = found.get("a") ?? { agoMs: 0 };
      return look as Found;
    },
    behindRelay,
  ),
);
