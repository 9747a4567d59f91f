import { expect, test } from "vitest";
import { parseSettings } from "../../worker/relay/config.ts";

const right = {
  id: "r",
  listen: { host: "127.0.0.1", port: 0 },
  state_file: "/tmp/state.json",
  control_token: "a-control-token-1",
  data_token: "a-data-token-1234",
  nodes: [{ id: "a", host: "127.0.0.1", port: 6379 }],
};

test("what is not given has its default", () => {
  expect(parseSettings(JSON.stringify(right))).toEqual({
    kind: "settings",
    settings: {
      id: "r",
      listen: { host: "127.0.0.1", port: 0 },
      stateFile: "/tmp/state.json",
      controlToken: "a-control-token-1",
      dataToken: "a-data-token-1234",
      commandTtlMs: 2000,
      nodeTimeoutMs: 1000,
      nodes: [{ id: "a", host: "127.0.0.1", port: 6379, username: null, password: null }],
    },
  });
});

const { control_token: _, ...noControl } = right;
const [node] = right.nodes;

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
  [{ ...right, nodes: [] }, "nodes: given a list, allowed: 1 to 64 nodes"],
  [{ ...right, nodes: [node, node] }, "nodes: given a list, allowed: nodes with different ids"],
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
    { ...right, control_token: "short" },
    "control_token: given a secret of 5 characters, allowed: 16 to 512 printable characters without spaces",
  ],
  [
    { ...right, data_token: right.control_token },
    "data_token: given a secret of 17 characters, allowed: a token other than control_token",
  ],
  [noControl, "control_token: given nothing, allowed: a value"],
  [
    { ...right, contorl_token: "x" },
    "contorl_token: unknown setting, allowed: only those of docs/relay.md",
  ],
])("%j is refused", (given, complaint) => {
  const parsed = parseSettings(JSON.stringify(given));
  expect(parsed).toEqual({ kind: "wrong", complaints: [complaint] });
});

test("every complaint at once", () => {
  const parsed = parseSettings(JSON.stringify({ ...right, id: "", state_file: 7 }));
  expect(parsed.kind === "wrong" && parsed.complaints).toHaveLength(2);
});

test.each([
  JSON.stringify({ ...right, data_token: "the-very-secret token" }),
  JSON.stringify({ ...right, "the-very-secret": 1 }).replace('"the-very', '"x":"the-very'),
  JSON.stringify({ ...right, typo_token: "the-very-secret" }),
  JSON.stringify({ ...right, nodes: [{ ...node, password: ["the-very-secret"] }] }),
  `{"control_token":"the-very-secret" "x":1}`,
  `{"control_token":the-very-secret}`,
])("no complaint shows a secret: %#", (json) => {
  const parsed = parseSettings(json);
  expect(parsed.kind).toBe("wrong");
  expect(JSON.stringify(parsed)).not.toContain("the-very-secret");
});
