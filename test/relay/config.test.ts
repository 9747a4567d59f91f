import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseSettings } from "../../worker/relay/config.ts";
import { dataToken, relayDefaults, temporaryFolder } from "./support.ts";

const right = {
  id: "r",
  listen: { host: "127.0.0.1", port: 0 },
  state_file: "/tmp/state.json",
  control_tokens: ["a-control-token-1"],
  data_tokens: ["a-data-token-1234"],
  nodes: [{ id: "a", host: "127.0.0.1", port: 6379 }],
};
const [node] = right.nodes;

const parse = (more: object) => parseSettings(JSON.stringify({ ...right, ...more }));
const accepted = (more: object) => {
  const parsed = parse(more);
  return parsed.kind === "settings" ? parsed.settings : parsed.complaints;
};

test("what is not given has its default", () => {
  expect(accepted({})).toEqual({
    id: "r",
    listen: { host: "127.0.0.1", port: 0 },
    stateFile: "/tmp/state.json",
    ...relayDefaults,
    controlTokens: ["a-control-token-1"],
    dataTokens: [dataToken("a-data-token-1234")],
    nodes: [{ id: "a", host: "127.0.0.1", port: 6379, tls: null, username: null, password: null }],
  });
});

test("what is given is taken", () => {
  const rotated = ["a-control-token-2", "a-control-token-1"];
  const reader = { token: "a-reader-token-123", read_only: true, key_prefix: "shop:" };
  expect(
    accepted({
      control_tokens: rotated,
      data_tokens: [...right.data_tokens, { ...reader, expires: "2026-12-31T23:59:59+01:00" }],
      limits: { hold_ms: 0 },
      pool: { connections: 1, waiting: 0 },
      nodes: [node, { id: "b", socket: "/run/redis.sock", username: "u", password: "p" }],
      groups: [{ name: "cache", url: "https://picket.example.com/" }],
    }),
  ).toMatchObject({
    controlTokens: rotated,
    dataTokens: [
      dataToken("a-data-token-1234"),
      dataToken("a-reader-token-123", {
        readOnly: true,
        keyPrefix: "shop:",
        expiresAtMs: Date.UTC(2026, 11, 31, 22, 59, 59),
      }),
    ],
    limits: { ...relayDefaults.limits, holdMs: 0 },
    pool: { connections: 1, waiting: 0 },
    nodes: [{}, { id: "b", socket: "/run/redis.sock", username: "u", password: "p" }],
    groups: [{ name: "cache", url: "https://picket.example.com" }],
  });
});

test("a secret may stand in the environment or in a file", async () => {
  const path = join(await temporaryFolder(), "token");
  await writeFile(path, "from-a-file-1234567\n");
  process.env.PICKET_TEST_TOKEN = "from-the-environment";
  try {
    expect(
      accepted({
        control_tokens: [{ file: path }],
        data_tokens: [{ env: "PICKET_TEST_TOKEN" }, { token: { env: "PICKET_TEST_TOKEN_2" } }],
      }),
    ).toEqual([
      "data_tokens.1.token: given an object, allowed: a variable that is set; PICKET_TEST_TOKEN_2 is not",
    ]);
    expect(
      accepted({
        control_tokens: [{ file: path }],
        data_tokens: [{ env: "PICKET_TEST_TOKEN" }],
        nodes: [{ ...node, password: { file: path } }],
      }),
    ).toMatchObject({
      controlTokens: ["from-a-file-1234567"],
      dataTokens: [{ token: "from-the-environment" }],
      nodes: [{ password: "from-a-file-1234567" }],
    });
  } finally {
    delete process.env.PICKET_TEST_TOKEN;
  }
});

const { control_tokens: _, ...noControl } = right;
const TOKEN = "allowed: 16 to 512 printable characters without spaces";
const WAYS = 'allowed: a string, {"env": "NAME"} or {"file": "/path"}';

test.each<[given: unknown, complaint: string]>([
  [null, "the file: given null, allowed: an object"],
  ["text", "the file: given a string, allowed: an object"],
  [
    { ...right, listen: { host: "h", port: 70_000 } },
    "listen.port: given 70000, allowed: a whole number from 0 to 65535",
  ],
  [
    { ...right, node_timeout_ms: "1s" },
    'node_timeout_ms: given "1s", allowed: a whole number from 10 to 30000',
  ],
  [
    { ...right, command_ttl_ms: 1.5 },
    "command_ttl_ms: given 1.5, allowed: a whole number from 100 to 60000",
  ],
  [
    { ...right, limits: { max_pipeline: 0 } },
    "limits.max_pipeline: given 0, allowed: a whole number from 1 to 10000",
  ],
  [{ ...right, pool: 7 }, "pool: given a number, allowed: an object"],
  [{ ...right, nodes: [] }, "nodes: given a list, allowed: 1 to 256 nodes"],
  [
    { ...right, nodes: [node, node] },
    "nodes: given a list, allowed: nodes that differ from each other",
  ],
  [
    { ...right, nodes: [{ ...node, port: 0 }] },
    "nodes.0.port: given 0, allowed: a whole number from 1 to 65535",
  ],
  [
    { ...right, nodes: [{ ...node, id: "a/b" }] },
    'nodes.0.id: given "a/b", allowed: 1 to 64 letters, digits, dots, dashes or underscores',
  ],
  [
    { ...right, nodes: [{ ...node, username: "u" }] },
    "nodes.0.password: given null, allowed: a password beside a username",
  ],
  [
    { ...right, nodes: [{ id: "a", host: "h" }] },
    "nodes.0: given an object, allowed: host and port (with tls or without), or socket alone",
  ],
  [
    { ...right, nodes: [{ ...node, socket: "/run/redis.sock" }] },
    "nodes.0: given an object, allowed: host and port (with tls or without), or socket alone",
  ],
  [
    { ...right, nodes: [{ ...node, tls: { ca_file: "/nowhere/ca.pem" } }] },
    'nodes.0.tls.ca_file: given "/nowhere/ca.pem", allowed: a file that can be read; /nowhere/ca.pem: ENOENT',
  ],
  [
    { ...right, nodes: [{ ...node, tls: { ca_file: "/etc/hostname" } }] },
    "nodes.0.tls: given an object, allowed: certificates and a key that belong together, in PEM",
  ],
  [
    { ...right, control_tokens: ["short"] },
    `control_tokens.0: given a secret of 5 characters, ${TOKEN}`,
  ],
  [
    { ...right, control_tokens: ["1", "2", "3"].map((each) => `control-token-no-${each}`) },
    "control_tokens: given a list, allowed: 1 to 2 control tokens",
  ],
  [{ ...right, control_tokens: [7] }, `control_tokens.0: given a number, ${WAYS}`],
  [
    { ...right, metrics_token: { env: "A", file: "/b" } },
    `metrics_token: given an object, ${WAYS}`,
  ],
  [
    { ...right, data_tokens: [{ token: "a-data-token-1234", expires: "soon" }] },
    'data_tokens.0.expires: given "soon", allowed: a time as in 2026-12-31T23:59:59Z, or null',
  ],
  [
    { ...right, data_tokens: right.control_tokens },
    "data_tokens: given a list, allowed: tokens that are no control tokens",
  ],
  [
    { ...right, metrics_token: "a-data-token-1234" },
    "metrics_token: given a secret of 17 characters, allowed: a token that is no control or data token",
  ],
  [
    { ...right, data_tokens: [{ token: "a-data-token-1234", expires: "2026-02-31T00:00:00Z" }] },
    'data_tokens.0.expires: given "2026-02-31T00:00:00Z", allowed: a time as in 2026-12-31T23:59:59Z, or null',
  ],
  [
    { ...right, groups: [{ name: "g", url: "https://user:hush@h/?token=hush" }] },
    'groups.0.url: given "https://…@h/?…", allowed: an http or https address without credentials, query or fragment',
  ],
  [noControl, "control_tokens: given nothing, allowed: a value"],
  [
    { ...right, contorl_tokens: ["x"] },
    "contorl_tokens: unknown setting, allowed: only those of docs/relay.md",
  ],
])("%j is refused", (given, complaint) => {
  expect(parseSettings(JSON.stringify(given))).toEqual({ kind: "wrong", complaints: [complaint] });
});

test("every complaint at once", () => {
  const parsed = parse({ id: "", state_file: 7 });
  expect(parsed.kind === "wrong" && parsed.complaints).toHaveLength(2);
});

test.each([
  JSON.stringify({ ...right, data_tokens: ["the-very-secret token"] }),
  JSON.stringify({ ...right, control_tokens: [{ env: "the-very-secret" }] }),
  JSON.stringify({ ...right, control_tokens: [{ file: "the-very-secret" }] }),
  JSON.stringify({ ...right, "the-very-secret": 1 }).replace('"the-very', '"x":"the-very'),
  JSON.stringify({ ...right, typo_token: "the-very-secret" }),
  JSON.stringify({ ...right, nodes: [{ ...node, password: ["the-very-secret"] }] }),
  JSON.stringify({
    ...right,
    lease: [
      { group: "g", node: "a", peers: [{ id: "b", url: "http://b", token: "the-very-secret!\n" }] },
    ],
  }),
  JSON.stringify({ ...right, control_tokens: "the-very-secret-token" }),
  JSON.stringify({ ...right, data_tokens: "the-very-secret-token" }),
  JSON.stringify({ ...right, nodes: [{ ...node, tls: { key_file: "the-very-secret-pem" } }] }),
  `{"control_tokens":"the-very-secret" "x":1}`,
  `{"control_tokens":the-very-secret}`,
])("no complaint shows a secret: %#", (json) => {
  const parsed = parseSettings(json);
  expect(parsed.kind).toBe("wrong");
  expect(JSON.stringify(parsed)).not.toContain("the-very-secret");
});
