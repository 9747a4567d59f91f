/** The simulated world keeps to what Redis really does, at the grain that matters. */
import { beforeEach, describe, expect, test } from "vitest";
import { buildWorld } from "../../scripts/sim/build.ts";
import { createChecks } from "../../scripts/sim/check/checks.ts";
import { after, newQueue, runUntil } from "../../scripts/sim/queue.ts";
import { randomFrom } from "../../scripts/sim/random.ts";
import { factsOf } from "../../scripts/sim/world/facts.ts";
import { abortHandover, startHandover } from "../../scripts/sim/world/handover.ts";
import { append, commonLength, newBranch, writesOf } from "../../scripts/sim/world/history.ts";
import { faultOn, isCut } from "../../scripts/sim/world/network.ts";
import { crash, hang, promote, run, start, thaw, write } from "../../scripts/sim/world/redis.ts";
import { breakLink, isPrimary, resumeStreams } from "../../scripts/sim/world/replication.ts";
import { type RedisNode, SEALED, type World } from "../../scripts/sim/world/types.ts";

let world: World;
let a: RedisNode;
let b: RedisNode;

/** A world in which nobody but the test acts: the Group and the clients are taken away. */
beforeEach(() => {
  world = buildWorld(6, createChecks(false), false);
  // What is on its way at the start has to arrive before nothing moves any more.
  pass(15);
  world.queue.heap.length = 0;
  world.instances.length = 0;
  [a, b] = world.nodes as [RedisNode, RedisNode];
  for (const node of world.nodes) Object.assign(node, { minReplicas: 0, syncHeld: false });
});

function pass(ms: number): void {
  runUntil(world.queue, world.queue.nowMs + ms);
}

const say = (node: RedisNode, id: number): string => {
  let answer = "nothing";
  write(world, node, id, (said) => {
    answer = said;
  });
  return answer;
};

describe("virtual time", () => {
  test("what is due at the same moment happens in the order it was planned", () => {
    const queue = newQueue();
    const seen: number[] = [];
    for (const [at, ms] of [5, 1, 5, 3, 5].entries()) after(queue, ms, () => seen.push(at));
    expect(runUntil(queue, 4)).toBe(2);
    expect(runUntil(queue, 100)).toBe(3);
    expect(seen).toEqual([1, 3, 0, 2, 4]);
    expect(queue.nowMs).toBe(100);
  });

  test("chance depends on the seed and the name alone", () => {
    const draw = (seed: number, name: string) => randomFrom(seed).fork(name).int(0, 1_000_000);
    expect(draw(1, "x")).toBe(draw(1, "x"));
    expect(draw(1, "x")).not.toBe(draw(1, "y"));
    expect(draw(1, "x")).not.toBe(draw(2, "x"));
  });
});

describe("data", () => {
  test("who goes on from the same place has its own writes, and what came before in common", () => {
    const root = newBranch(null, 10);
    const one = { branch: root, length: 10 };
    append(one, 1);
    const two = { ...one };
    append(one, 2);
    append(two, 3);
    expect(commonLength(one, two)).toBe(11);
    expect([...writesOf(one)].sort()).toEqual([1, 2]);
    expect([...writesOf(two)].sort()).toEqual([1, 3]);
    expect(commonLength(one, { branch: newBranch(null, 0), length: 0 })).toBe(0);
  });

  test("a replica has what its primary wrote, a moment later", () => {
    expect(say(a, 1)).toBe("ok");
    expect(b.length).toBe(a.length - 1);
    pass(10);
    expect(b.length).toBe(a.length);
    expect(say(b, 2)).toBe("readonly");
  });

  test("a promotion keeps the old history as its second one, and a partial resync is enough", () => {
    pass(10);
    promote(world, b);
    expect(factsOf(world, b)).toMatchObject({ role: "primary", replicationId2: "r0" });
    run(world, a, [["REPLICAOF", b.host, b.port]]);
    pass(50);
    expect(a.link.state).toBe("up");
    expect(a.replId).toBe(b.replId);
  });

  test("what only the old primary has is gone when it follows the new one", () => {
    pass(10);
    b.lagMs = 10_000;
    say(a, 1);
    promote(world, b);
    run(world, a, [["REPLICAOF", b.host, b.port]]);
    pass(10_000);
    expect(a.link.state).toBe("up");
    expect(a.length).toBe(b.length);
    expect(writesOf(a).has(1)).toBe(false);
  });

  test("an empty primary wipes its replicas, unless its synchronisations are held", () => {
    a.file = { ...a.file, minReplicas: SEALED, syncHeld: true };
    crash(world, a);
    start(world, a, { data: "empty" });
    pass(30_000);
    expect(b.length).toBeGreaterThan(0);
    expect(factsOf(world, b)).toMatchObject({ linkUp: false, syncing: true });
    expect(say(a, 1)).toBe("noreplicas");
    run(world, a, [["CONFIG", "SET", "repl-diskless-sync-delay", 5]]);
    pass(30_000);
    expect(b.length).toBe(0);
  });
});

describe("processes", () => {
  test("a stopped primary leaves its replica's link up for a minute", () => {
    hang(world, a);
    pass(50_000);
    expect(factsOf(world, b).linkUp).toBe(true);
    expect(factsOf(world, b).lastIoMs).toBeGreaterThanOrEqual(40_000);
  });

  test("a killed one drops it at once", () => {
    crash(world, a);
    pass(10);
    expect(factsOf(world, b).linkUp).toBe(false);
    pass(3000);
    expect(factsOf(world, b).linkDownMs).toBe(3000);
  });

  test("commands to a stopped process run when it wakes; to a dead one, never", () => {
    hang(world, a);
    let said = "nothing";
    write(world, a, 1, (answer) => {
      said = answer;
    });
    expect(said).toBe("nothing");
    thaw(world, a);
    expect(said).toBe("ok");
    hang(world, a);
    said = "nothing";
    write(world, a, 2, (answer) => {
      said = answer;
    });
    crash(world, a);
    expect(said).toBe("nothing");
  });

  test("a restart begins with what the file says, under another run id", () => {
    run(world, b, [["REPLICAOF", "NO", "ONE"]]);
    const { runId } = factsOf(world, b);
    crash(world, b);
    start(world, b, { data: "kept" });
    expect(isPrimary(b)).toBe(false);
    expect(factsOf(world, b).runId).not.toBe(runId);
    run(world, b, [
      ["REPLICAOF", "NO", "ONE"],
      ["CONFIG", "REWRITE"],
    ]);
    crash(world, b);
    start(world, b, { data: "kept" });
    expect(isPrimary(b)).toBe(true);
  });
});

describe("FAILOVER", () => {
  test("holds writes, hands over with nothing lost, and the old one follows", () => {
    say(a, 1);
    expect(startHandover(world, a, b.address, 1000, 7)).toBeNull();
    expect(say(a, 2)).toBe("nothing");
    pass(200);
    expect(isPrimary(b)).toBe(true);
    expect(a.link.state).toBe("up");
    expect(writesOf(b).has(1)).toBe(true);
  });

  test("gives up by itself while the replica does not come along, and takes writes again", () => {
    hang(world, b);
    startHandover(world, a, b.address, 500, 7);
    pass(1000);
    expect(a.handover).toBeNull();
    expect(say(a, 1)).toBe("ok");
  });

  test("its timeout does not bound the last phase: only an abort ends that", () => {
    b.deaf = true;
    startHandover(world, a, b.address, 500, 7);
    pass(20_000);
    expect(factsOf(world, a)).toMatchObject({ role: "replica", switching: true });
    abortHandover(world, a);
    expect(isPrimary(a)).toBe(true);
    expect(say(a, 1)).toBe("ok");
  });
});

describe("the network", () => {
  test("is cut one way for itself; a link outlives a short cut and is brought up to date", () => {
    faultOn(world, a.spot, b.spot).cuts += 1;
    expect(isCut(world, a.spot, b.spot)).toBe(true);
    expect(isCut(world, b.spot, a.spot)).toBe(false);
    say(a, 1);
    pass(5000);
    expect(factsOf(world, b).linkUp).toBe(true);
    expect(b.length).toBe(a.length - 1);
    faultOn(world, a.spot, b.spot).cuts -= 1;
    resumeStreams(world);
    pass(1000);
    expect(b.length).toBe(a.length);
  });

  test("a replica that was refused tries again each second", () => {
    a.refusesSync = true;
    breakLink(world, b);
    pass(5000);
    expect(b.link.state).toBe("down");
    a.refusesSync = false;
    pass(1100);
    expect(b.link.state).toBe("up");
  });
});
