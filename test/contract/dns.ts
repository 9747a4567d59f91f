/**
 * What every DNS provider promises, whatever its API is. A provider's own test brings a bench: the service, or
 * a stand-in as strict, and somebody else's hand in the same zone.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { freePort } from "../../scripts/redis-server.ts";
import type { Route } from "../../worker/core/route.ts";
import type { DnsProvider, Means } from "../../worker/publish/dns/provider.ts";
import { dnsPublishers } from "../../worker/publish/dns.ts";
import type { Publisher, PublishOptions, PublishResult } from "../../worker/publish/publisher.ts";
import type { Fetch } from "../../worker/relay/request.ts";
import { query } from "../support/dns.ts";
import { publisherContract, routeTo, timeoutMs } from "./publisher.ts";

export const ZONE = "example.test";
export const NAME = `cache.${ZONE}`;
export const READERS = `cache-ro.${ZONE}`;

export type Held = {
  readonly type: string;
  readonly content: string;
  readonly ttlS: number;
  /** Null: nobody's. */
  readonly mark: string | null;
};

/** What is wrong with the way in. */
export type Wrong = { readonly key?: true; readonly zone?: true; readonly address?: string };

export type DnsBench = {
  readonly dnsPort: number;
  readonly provider: (means: Pick<Means, "fetch">, wrong: Wrong) => DnsProvider;
  /** A CNAME may have TXT and MX beside it; elsewhere it stands alone. */
  readonly lenient?: true;
  /** Secrets that no detail may show. */
  readonly secrets: readonly string[];
  /** By somebody else's hand: all that the name has afterwards. */
  readonly put: (name: string, records: readonly Held[]) => Promise<void>;
  readonly held: (name: string) => Promise<readonly Held[]>;
  /** Every name of the zone that has A, AAAA or CNAME records. */
  readonly names: () => Promise<readonly string[]>;
  /** The service's answers to one request too many, and to one that it does not want. */
  readonly throttled: () => Response;
  readonly refused: () => Response;
  /** What it says when it has done what it was asked. */
  readonly accepted: () => Response;
  /** What a detail says when the key, or the zone, is wrong. */
  readonly says: { readonly key: RegExp; readonly zone: RegExp };
  readonly close: () => Promise<void>;
};

type OnWrite = () => Response | null | Promise<Response | null>;

/** The way between publisher and service: counted, and broken on demand. */
export function gate() {
  let next: OnWrite | null = null;
  let hanging = false;
  let writes = 0;
  let reads = 0;
  const fetcher: Fetch = async (url, init) => {
    if (hanging) return new Promise(() => {});
    if (init.method === "GET") {
      reads += 1;
      return fetch(url, init);
    }
    writes += 1;
    const instead = next;
    next = null;
    return (await instead?.()) ?? fetch(url, init);
  };
  return {
    fetcher,
    writes: () => writes,
    reads: () => reads,
    /** Before the next write; its answer, if any, takes the write's place. */
    onWrite: (act: OnWrite) => {
      next = act;
    },
    hang: (on: boolean) => {
      hanging = on;
    },
  };
}

type Sent = { readonly publisher: Publisher; readonly gate: ReturnType<typeof gate> };

function sender(bench: DnsBench, wrong: Wrong = {}, ttlS = 60): Record<"dns" | "readers", Sent> {
  const way = gate();
  const [dns, readers] = dnsPublishers(() => bench.provider({ fetch: way.fetcher }, wrong), {
    ttlS,
    replicaHostname: READERS,
  });
  if (dns === undefined || readers === undefined) throw new Error("two publishers");
  return { dns: { publisher: dns, gate: way }, readers: { publisher: readers, gate: way } };
}

const replica = (host: string) => ({
  id: host,
  host,
  port: 6379,
  tls: false,
  rest: null,
  readWeight: 1,
});
const readersTo = (...hosts: readonly string[]): Route =>
  routeTo("192.0.2.1", 1, { replicas: hosts.map(replica) });

export function dnsContract(name: string, start: () => Promise<DnsBench>): void {
  let bench: DnsBench;

  publisherContract(`dns ${name}`, async () => {
    const own = await start();
    const { dns } = sender(own);
    return {
      publisher: dns.publisher,
      held: async () => {
        const [record] = await own.held(NAME);
        if (record === undefined) return null;
        return { host: record.content, epoch: Number(record.mark?.split("=")[1]) };
      },
      failNextWrite: () => dns.gate.onWrite(own.refused),
      throttleNextWrite: () => dns.gate.onWrite(own.throttled),
      hang: dns.gate.hang,
      writes: dns.gate.writes,
      skipsRight: true,
      close: own.close,
    };
  });

  describe(`dns ${name}`, () => {
    beforeAll(async () => {
      bench = await start();
    });
    afterAll(() => bench?.close());
    beforeEach(async () => {
      await bench.put(NAME, []);
      await bench.put(READERS, []);
    });

    const publish = async (
      route: Route,
      over: Partial<PublishOptions> = {},
      sent: Sent = sender(bench).dns,
    ): Promise<PublishResult> => {
      const result = await sent.publisher.publish(route, { timeoutMs, ...over });
      for (const secret of bench.secrets) expect(JSON.stringify(result)).not.toContain(secret);
      return result;
    };
    const answers = async (type: string, of = NAME) =>
      (await query(bench.dnsPort, of, type)).answers.map((each) => `${each.type} ${each.data}`);
    const texts = async (of = NAME) =>
      (await bench.held(of)).map(({ type, content }) => `${type} ${content}`).sort();
    const nobodys = (type: string, content: string, ttlS = 60): Held => ({
      type,
      content,
      ttlS,
      mark: null,
    });

    it("is what a resolver sees, marked with group and epoch, and written once", async () => {
      const { dns } = sender(bench);
      const done = { kind: "done", detail: `${NAME} A 192.0.2.1, ttl 60` };
      expect(await publish(routeTo("192.0.2.1", 7), {}, dns)).toEqual(done);
      expect(await publish(routeTo("192.0.2.1", 7), {}, dns)).toEqual(done);
      expect(dns.gate.writes()).toBe(1);
      expect(await bench.held(NAME)).toEqual([
        { type: "A", content: "192.0.2.1", ttlS: 60, mark: "picket:cache epoch=7" },
      ]);
      const {
        answers: [answer],
      } = await query(bench.dnsPort, NAME, "A");
      expect(answer).toMatchObject({ type: "A", ttl: 60, data: "192.0.2.1" });
    });

    it("takes each type in turn, never two that contradict", async () => {
      const hosts = [
        ["192.0.2.1", "A 192.0.2.1"],
        ["192.0.2.2", "A 192.0.2.2"],
        ["Redis-A.Example.net.", "CNAME redis-a.example.net"],
        ["redis-b.example.net", "CNAME redis-b.example.net"],
        ["2001:0DB8:0:0::0001", "AAAA 2001:db8::1"],
        ["192.0.2.3", "A 192.0.2.3"],
      ] as const;
      for (const [epoch, [host, expected]] of hosts.entries()) {
        const { dns } = sender(bench);
        expect(await publish(routeTo(host, epoch + 1), {}, dns)).toMatchObject({ kind: "done" });
        expect(await texts()).toEqual([expected]);
        expect(await answers(expected.split(" ")[0] ?? "")).toEqual([expected]);
        // All of it in one change: there is no moment without a record.
        expect(dns.gate.writes()).toBe(1);
      }
    });

    it("has an answer at every moment of a switch of types", async () => {
      await publish(routeTo("192.0.2.1", 1));
      let switching = true;
      const asking = (async () => {
        const lengths = new Set<number>();
        while (switching) {
          lengths.add((await query(bench.dnsPort, NAME, "A", 20_000)).answers.length);
        }
        return lengths;
      })();
      for (let epoch = 2; epoch < 8; epoch += 1) {
        const host = epoch % 2 === 0 ? "redis-a.example.net" : "192.0.2.1";
        expect(await publish(routeTo(host, epoch))).toMatchObject({ kind: "done" });
      }
      switching = false;
      expect([...(await asking)]).toEqual([1]);
    });

    it("has a record for each replica that may be read, and the primary's when there is none", async () => {
      const { readers } = sender(bench);
      const steps: readonly [Route, readonly string[]][] = [
        [readersTo("192.0.2.2", "192.0.2.3"), ["A 192.0.2.2", "A 192.0.2.3"]],
        [readersTo("192.0.2.3", "192.0.2.4"), ["A 192.0.2.3", "A 192.0.2.4"]],
        [readersTo("192.0.2.3", "2001:db8::4"), ["A 192.0.2.3", "AAAA 2001:db8::4"]],
        [readersTo("192.0.2.3", "redis-c.example.net"), ["A 192.0.2.3"]],
        [readersTo("redis-c.example.net", "redis-b.example.net"), ["CNAME redis-b.example.net"]],
        [readersTo(), ["A 192.0.2.1"]],
      ];
      for (const [route, expected] of steps) {
        expect(await publish(route, {}, readers)).toMatchObject({ kind: "done" });
        expect(await texts(READERS)).toEqual(expected);
      }
      expect(await texts(NAME)).toEqual([]);
    });

    it("follows a TTL that was configured anew", async () => {
      await publish(routeTo("192.0.2.1", 1));
      expect(await publish(routeTo("192.0.2.1", 1), {}, sender(bench, {}, 300).dns)).toEqual({
        kind: "done",
        detail: `${NAME} A 192.0.2.1, ttl 300`,
      });
      expect(await bench.held(NAME)).toMatchObject([{ ttlS: 300 }]);
    });

    it("reports what was changed by hand, and leaves it", async () => {
      const route = routeTo("192.0.2.1", 3);
      await publish(route);
      const { dns } = sender(bench);
      const right = await publish(route, { beat: "report" }, dns);
      expect(right).toEqual({ kind: "done", detail: `${NAME} A 192.0.2.1, ttl 60` });
      const mark = "picket:cache epoch=3";
      await bench.put(NAME, [{ type: "A", content: "198.51.100.9", ttlS: 60, mark }]);
      expect(await publish(route, { beat: "report" }, dns)).toMatchObject({
        kind: "done",
        drift: "A 198.51.100.9",
      });
      await bench.put(NAME, []);
      expect(await publish(route, { beat: "report" }, dns)).toMatchObject({
        kind: "done",
        drift: "no record",
      });
      expect(dns.gate.writes()).toBe(0);
    });

    it("G18 sets right what was changed by hand, and says what stood there", async () => {
      const route = routeTo("192.0.2.1", 3);
      await publish(route);
      const mark = "picket:cache epoch=3";
      const changes: readonly [readonly Held[], string][] = [
        [[{ type: "A", content: "198.51.100.9", ttlS: 60, mark }], "A 198.51.100.9"],
        [[{ type: "A", content: "192.0.2.1", ttlS: 3600, mark }], "A 192.0.2.1 (ttl 3600)"],
        [[nobodys("A", "192.0.2.1")], "A 192.0.2.1 (unmarked)"],
        [[{ type: "CNAME", content: "x.example.net", ttlS: 60, mark }], "CNAME x.example.net"],
        [[], "no record"],
      ];
      for (const [records, drift] of changes) {
        await bench.put(NAME, records);
        const result = await publish(route, { beat: "repair" });
        expect(result).toEqual({ kind: "done", detail: `${NAME} A 192.0.2.1, ttl 60`, drift });
        expect(await bench.held(NAME)).toEqual([
          { type: "A", content: "192.0.2.1", ttlS: 60, mark },
        ]);
      }
      expect(await publish(route, { beat: "repair" })).not.toHaveProperty("drift");
    });

    it("leaves alone what is not Picket's, says so, and takes what is handed over", async () => {
      const { dns } = sender(bench);
      for (const foreign of [nobodys("A", "198.51.100.1"), nobodys("CNAME", "x.example.net")]) {
        await bench.put(NAME, [foreign]);
        const text = `${foreign.type} ${foreign.content}`;
        for (const beat of [undefined, "repair"] as const) {
          const over = beat === undefined ? {} : { beat };
          const { kind, detail } = await publish(routeTo("192.0.2.1", 7), over, dns);
          expect(kind).toBe("refused");
          expect(detail).toContain(`not Picket's (${text})`);
          expect(detail).toContain('"picket:cache epoch=0"');
        }
        expect(await texts()).toEqual([text]);
      }
      expect(dns.gate.writes()).toBe(0);
      const mark = "picket:cache epoch=0";
      await bench.put(NAME, [{ ...nobodys("A", "198.51.100.1"), mark }]);
      expect(await publish(routeTo("192.0.2.1", 7), {}, dns)).toMatchObject({ kind: "done" });
    });

    it("leaves other types of the name alone", async () => {
      const others = [nobodys("MX", "10 mail.example.net"), nobodys("TXT", '"note"')];
      await bench.put(NAME, others);
      expect(await publish(routeTo("192.0.2.1", 1))).toMatchObject({ kind: "done" });
      expect(await publish(routeTo("2001:db8::1", 2))).toMatchObject({ kind: "done" });
      expect(await texts()).toEqual(["AAAA 2001:db8::1", "MX 10 mail.example.net", 'TXT "note"']);
    });

    it("tells what stands in the way of a CNAME, and keeps the record that was there", async () => {
      await publish(routeTo("192.0.2.1", 1));
      const [a] = await bench.held(NAME);
      if (a === undefined) throw new Error("no record");
      await bench.put(NAME, [a, nobodys("TXT", '"note"')]);
      const { kind, detail } = await publish(routeTo("redis-a.example.net", 2));
      if (bench.lenient) {
        expect(kind).toBe("done");
        expect(await texts()).toEqual(["CNAME redis-a.example.net", 'TXT "note"']);
        return;
      }
      expect(kind).toBe("failed");
      expect(detail).toMatch(/a CNAME stands alone/);
      expect(await answers("A")).toEqual(["A 192.0.2.1"]);
      await bench.put(NAME, [a]);
      expect(await publish(routeTo("redis-a.example.net", 2))).toMatchObject({ kind: "done" });
    });

    it("does not take the name of another group", async () => {
      await publish(routeTo("192.0.2.2", 1, { group: "cache-2" }));
      const { kind, detail } = await publish(routeTo("192.0.2.1", 7));
      expect(kind).toBe("refused");
      expect(detail).toContain('another group ("picket:cache-2 epoch=1")');
      expect(await texts()).toEqual(["A 192.0.2.2"]);
    });

    it("never lowers the epoch", async () => {
      await publish(routeTo("192.0.2.2", 9));
      for (const beat of [undefined, "repair"] as const) {
        const result = await publish(routeTo("192.0.2.1", 8), beat === undefined ? {} : { beat });
        expect(result.kind).toBe("refused");
        expect(result.detail).toContain("of epoch 9, this route of 8");
      }
      expect(await texts()).toEqual(["A 192.0.2.2"]);
    });

    it("looks anew when the records go away between its look and its write", async () => {
      await publish(routeTo("192.0.2.1", 1));
      const { dns } = sender(bench);
      dns.gate.onWrite(() => bench.put(NAME, []).then(() => null));
      expect(await publish(routeTo("192.0.2.2", 2), {}, dns)).toMatchObject({ kind: "done" });
      expect(await texts()).toEqual(["A 192.0.2.2"]);
    });

    it("is done when only the answer to its write was lost", async () => {
      const { dns } = sender(bench);
      let written: Promise<unknown> = Promise.resolve();
      dns.gate.onWrite(() => {
        written = publish(routeTo("192.0.2.1", 1));
        return written.then(() => new Response("<html>", { status: 502 }));
      });
      expect(await publish(routeTo("192.0.2.1", 1), {}, dns)).toMatchObject({ kind: "done" });
    });

    it("does not believe a success that the records do not show", async () => {
      const { dns } = sender(bench);
      dns.gate.onWrite(bench.accepted);
      expect(await publish(routeTo("192.0.2.1", 1), {}, dns)).toMatchObject({
        kind: "unknown",
        detail: expect.stringContaining("reads back as no record"),
      });
    });

    it("does not know when a write failed without an answer that counts", async () => {
      const { dns } = sender(bench);
      dns.gate.onWrite(() => new Response("<html>", { status: 502 }));
      expect((await publish(routeTo("192.0.2.1", 1), {}, dns)).kind).toBe("unknown");
    });

    it("asks nothing more when it is told to wait", async () => {
      const { dns } = sender(bench);
      let asked = 0;
      dns.gate.onWrite(() => {
        asked = dns.gate.reads();
        return bench.throttled();
      });
      const { retryAfterMs } = await publish(routeTo("192.0.2.1", 1), {}, dns);
      expect(retryAfterMs).toBeGreaterThan(0);
      expect([dns.gate.reads(), dns.gate.writes()]).toEqual([asked, 1]);
    });

    it("says what to do about a key, a zone or an address that is wrong", async () => {
      const key = await publish(routeTo("192.0.2.1", 1), {}, sender(bench, { key: true }).dns);
      expect(key.kind).toBe("failed");
      expect(key.detail).toMatch(bench.says.key);
      const zone = await publish(routeTo("192.0.2.1", 1), {}, sender(bench, { zone: true }).dns);
      expect(["failed", "refused"]).toContain(zone.kind);
      expect(zone.detail).toMatch(bench.says.zone);
      const { dns } = sender(bench, { address: `http://127.0.0.1:${await freePort()}` });
      expect(await publish(routeTo("192.0.2.1", 1), {}, dns)).toMatchObject({
        kind: "unreachable",
        detail: expect.stringContaining("dns.api_url"),
      });
    });

    it("makes nothing of a name outside the zone, and says so", async () => {
      const route = routeTo("192.0.2.1", 1, { hostname: "cache.example.org" });
      const { kind, detail } = await publish(route);
      expect(["failed", "refused"]).toContain(kind);
      expect(detail).toMatch(/cache\.example\.org is outside|name is outside the zone/);
      expect(await bench.names()).toEqual([]);
    });

    it("has nothing to do without a name, or before the first primary", async () => {
      const { dns } = sender(bench);
      dns.gate.hang(true);
      expect((await publish(routeTo("192.0.2.1", 1, { hostname: null }), {}, dns)).kind).toBe(
        "done",
      );
      expect((await publish(routeTo("192.0.2.1", 1, { primary: null }), {}, dns)).kind).toBe(
        "done",
      );
    });
  });
}
