import { safeParse } from "valibot";
import { expect, onTestFinished, test, vi } from "vitest";
import { startRedis } from "../../scripts/redis-server.ts";
import { parseInfo } from "../../worker/redis/info.ts";
import { openSession } from "../../worker/redis/session.ts";
import { facts } from "../../worker/relay/look-protocol.ts";

type Server = { host: string; port: number };

async function infoOf({ host, port }: Server): Promise<string> {
  const session = openSession({ host, port, username: null, password: null }, 2000);
  try {
    const answer = await session.run([["INFO"]], { deadlineMs: 2000 });
    return answer.kind === "replies" ? String(answer.replies[0]) : "";
  } finally {
    session.close();
  }
}

test("a real primary and its real replica say who they are", async () => {
  const primary = await startRedis();
  onTestFinished(() => primary.stop());
  const args = ["--replicaof", primary.host, String(primary.port), "--replica-priority", "7"];
  const replica = await startRedis({ args: [...args, "--repl-diskless-sync-delay", "0"] });
  onTestFinished(() => replica.stop());
  const linked = await vi.waitFor(
    async () => {
      const facts = parseInfo(await infoOf(replica), "0");
      expect(facts).toMatchObject({ linkUp: true });
      return facts;
    },
    { timeout: 20_000, interval: 50 },
  );
  const leading = parseInfo(await infoOf(primary), 3);

  expect(leading).toMatchObject({
    role: "primary",
    replicaOf: null,
    linkUp: false,
    linkDownMs: null,
    loading: false,
    syncing: false,
    switching: false,
    connectedReplicas: 1,
    lastIoMs: null,
    replicationId2: null,
    secondOffset: null,
    keys: 0,
    minReplicasToWrite: 3,
  });
  expect(leading?.runId).toMatch(/^[0-9a-f]{40}$/);
  expect(linked).toMatchObject({
    role: "replica",
    replicaOf: { host: primary.host, port: primary.port },
    linkDownMs: 0,
    lastIoMs: expect.any(Number),
    priority: 7,
    replicationId: leading?.replicationId,
    minReplicasToWrite: 0,
  });

  await primary.kill();
  const cut = await vi.waitFor(
    async () => {
      const facts = parseInfo(await infoOf(replica), null);
      expect(facts).toMatchObject({ linkUp: false });
      return facts;
    },
    { timeout: 20_000, interval: 50 },
  );
  expect(cut?.linkDownMs).toBeTypeOf("number");
  expect(cut?.minReplicasToWrite).toBeNull();
});

const replica = [
  "run_id:abc",
  "role:slave",
  "master_host:10.0.0.1",
  "master_port:6379",
  "master_link_status:down",
  "master_link_down_since_seconds:-1",
  "master_sync_in_progress:1",
  "slave_repl_offset:42",
  "db0:keys=3,expires=0,avg_ttl=0",
  "db11:keys=4,expires=1,avg_ttl=5",
];

test.each([
  ["LF and CRLF are the same", replica.join("\n"), { offset: 42, keys: 7 }],
  ["never up since start: nobody knows for how long", replica.join("\r\n"), { linkDownMs: null }],
  [
    "down for a while",
    `${replica.join("\n")}\nmaster_link_down_since_seconds:9`,
    { linkDownMs: 9000 },
  ],
  ["when it last heard", `${replica.join("\n")}\nmaster_last_io_seconds_ago:3`, { lastIoMs: 3000 }],
  [
    "never heard since it started",
    `${replica.join("\n")}\nmaster_last_io_seconds_ago:-1`,
    { lastIoMs: null },
  ],
  ["a Redis that says nothing of histories", replica.join("\n"), { replicationId2: null }],
  ["syncing", replica.join("\n"), { syncing: true }],
  ["loading in the background", `${replica.join("\n")}\nasync_loading:1`, { loading: true }],
  ["its other name", `${replica.join("\n")}\nreplica_priority:0`, { priority: 0 }],
  [
    "a FAILOVER",
    "run_id:a\nrole:master\nmaster_failover_state:waiting-for-sync",
    { switching: true },
  ],
  ["an offset that is none", "run_id:a\nrole:master\nmaster_repl_offset:x", { offset: 0 }],
])("%s", (_, text, wanted) => {
  expect(parseInfo(text, null)).toMatchObject(wanted);
});

test.each([
  ["nothing", ""],
  ["HTML", "<html>run_id: role:</html>"],
  ["no role", "run_id:abc"],
  ["no run id", "role:master"],
  ["an empty run id", "run_id:\r\nrole:master"],
  ["a Sentinel", "run_id:abc\nrole:sentinel"],
  ["a run id that no Redis has", `run_id:${"a".repeat(65)}\nrole:master`],
  ["too far down", `${"#\n".repeat(200_000)}run_id:abc\nrole:master`],
])("%s is no INFO of a Redis", (_, text) => {
  expect(parseInfo(text, null)).toBeNull();
});

test("a link that never was has no age, also as Redis before 7 tells it", () => {
  const info = (seconds: string) =>
    `run_id:r\r\nrole:slave\r\nmaster_link_status:down\r\nmaster_link_down_since_seconds:${seconds}\r\n`;
  expect(parseInfo(info("12"), null)).toMatchObject({ linkDownMs: 12_000 });
  expect(parseInfo(info("-1"), null)).toMatchObject({ linkDownMs: null });
  expect(parseInfo(info("1795264137"), null)).toMatchObject({ linkDownMs: null });
});

test("whatever a server says of itself, a relay may send it and a Group reads it", () => {
  const long = (chars: number) => "x".repeat(chars);
  const strange = [
    ...["run_id:abc", "role:master", `master_replid:${long(65)}`, `master_replid2:${long(300)}`],
    ...[`slave0:ip=${long(254)},port=1,state=online`, "slave1:ip=b,port=2,state=online"],
    ...["connected_slaves:2", "master_repl_offset:9999999999999999", "db0:keys=9999999999999999"],
  ];
  const primary = parseInfo(strange.join("\n"), "9999999999999999");
  expect(primary).toMatchObject({
    replicationId: long(64),
    replicationId2: long(64),
    replicas: [{ host: "b", port: 2 }],
  });
  const follows = ["run_id:abc", "role:slave", `master_host:${long(254)}`, "master_port:1"];
  const replica = parseInfo(follows.join("\n"), null);
  expect(replica).toMatchObject({ replicaOf: null });
  for (const found of [primary, replica]) expect(safeParse(facts, found).success).toBe(true);
});
