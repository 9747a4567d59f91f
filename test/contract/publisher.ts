/**
 * What every publisher promises, whatever it writes to. A publisher's own test brings a bench.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Route } from "../../worker/core/route.ts";
import type { Publisher } from "../../worker/publish/publisher.ts";

/** Longer than any machine is slow: nothing here waits for it but what hangs, and that is asked to end sooner. */
export const timeoutMs = 20_000;

export type PublisherBench = {
  readonly publisher: Publisher;
  /** What the destination holds for the route's group now: the primary's host and the epoch. */
  readonly held: () => Promise<{ readonly host: string; readonly epoch: number } | null>;
  /** The next write fails, plainly. */
  readonly failNextWrite: () => void;
  /** The next write is answered with 429. */
  readonly throttleNextWrite: () => void;
  /** Nothing is answered from now on, or answered again. */
  readonly hang: (on: boolean) => void;
  readonly writes: () => number;
  /** Writes nothing when it is already right. */
  readonly skipsRight: boolean;
  readonly close: () => Promise<void>;
};

/** A route of the group `cache`, whose name is cache.example.test. */
export function routeTo(host: string, epoch: number, over: Partial<Route> = {}): Route {
  return {
    v: 1,
    group: "cache",
    mode: "replication",
    epoch,
    rev: 1,
    state: "up",
    hostname: "cache.example.test",
    primary: { id: "a", host, port: 6379, tls: false, rest: null },
    replicas: [],
    updatedAt: "2026-11-20T12:00:00.000Z",
    ...over,
  };
}

export function publisherContract(name: string, start: () => Promise<PublisherBench>): void {
  describe(`publisher ${name}`, () => {
    let bench: PublisherBench;
    beforeAll(async () => {
      bench = await start();
    });
    afterAll(() => bench.close());
    const publish = (route: Route, ms = timeoutMs) =>
      bench.publisher.publish(route, { timeoutMs: ms });

    it("publishes to a destination that holds nothing", async () => {
      expect(await publish(routeTo("192.0.2.1", 1))).toMatchObject({ kind: "done" });
      expect(await bench.held()).toEqual({ host: "192.0.2.1", epoch: 1 });
    });

    it("publishes the same again", async () => {
      const before = bench.writes();
      expect(await publish(routeTo("192.0.2.1", 1))).toMatchObject({ kind: "done" });
      expect(await bench.held()).toEqual({ host: "192.0.2.1", epoch: 1 });
      if (bench.skipsRight) expect(bench.writes()).toBe(before);
    });

    it("overwrites with a higher epoch", async () => {
      expect(await publish(routeTo("192.0.2.2", 2))).toMatchObject({ kind: "done" });
      expect(await bench.held()).toEqual({ host: "192.0.2.2", epoch: 2 });
    });

    it("fails as data, and succeeds when asked again", async () => {
      bench.failNextWrite();
      const failed = await publish(routeTo("192.0.2.3", 3));
      expect(failed.kind).toBe("failed");
      expect(failed.detail).not.toBe("");
      expect(await bench.held()).toEqual({ host: "192.0.2.2", epoch: 2 });
      expect(await publish(routeTo("192.0.2.3", 3))).toMatchObject({ kind: "done" });
      expect(await bench.held()).toEqual({ host: "192.0.2.3", epoch: 3 });
    });

    it("says how long it was asked to wait", async () => {
      bench.throttleNextWrite();
      const { kind, retryAfterMs } = await publish(routeTo("192.0.2.4", 4));
      expect(kind).toBe("failed");
      expect(retryAfterMs).toBeGreaterThan(0);
    });

    it("ends at its deadline", async () => {
      bench.hang(true);
      // Nothing else would end it.
      const { kind } = await publish(routeTo("192.0.2.5", 5), 150);
      expect(["unknown", "failed"]).toContain(kind);
      bench.hang(false);
      expect(await publish(routeTo("192.0.2.5", 5))).toMatchObject({ kind: "done" });
    });

    it("does nothing within no time", async () => {
      const before = await bench.held();
      expect((await publish(routeTo("192.0.2.6", 6), 0)).kind).not.toBe("done");
      if (bench.skipsRight) expect(await bench.held()).toEqual(before);
    });
  });
}
