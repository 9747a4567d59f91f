import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { route53 } from "../../worker/publish/dns/route53.ts";
import { dnsPublishers } from "../../worker/publish/dns.ts";
import { dnsContract, gate, type Held, NAME, READERS, ZONE } from "../contract/dns.ts";
import { routeTo, timeoutMs } from "../contract/publisher.ts";
import { query } from "../support/dns.ts";
import { type Route53, startRoute53 } from "../support/route53.ts";
import type { Set53 } from "../support/route53-changes.ts";
import type { Policy } from "../support/route53-policy.ts";
import { element, errorXml } from "../support/route53-xml.ts";

const accessKeyId = "AKIAIOSFODNN7EXAMPLE";
const secretAccessKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

type Over = Partial<{ key: string; secret: string; zoneId: string; apiUrl: string }>;

const providerOf = (api: Route53, over: Over = {}, fetch?: ReturnType<typeof gate>["fetcher"]) =>
  route53(
    {
      provider: "route53",
      zoneId: over.zoneId ?? api.zoneId,
      accessKeyIdSecret: "R53_KEY",
      secretAccessKeySecret: "R53_SECRET",
      apiUrl: over.apiUrl ?? api.apiUrl,
      ttlS: 60,
    },
    {
      secret: (name) =>
        name === "R53_KEY" ? (over.key ?? accessKeyId) : (over.secret ?? secretAccessKey),
      ...(fetch === undefined ? {} : { fetch }),
    },
  );

/** Its names are of example.com, the stand-in's of example.test. */
function policyOfDocs() {
  const docs = readFileSync(join(import.meta.dirname, "../../docs/dns.md"), "utf8");
  const text = /```json\n([^`]+)```/.exec(docs)?.[1] ?? "";
  return JSON.parse(text.replaceAll("example.com", ZONE)) as {
    Statement: Policy["Statement"][number][];
  };
}

const refusal = (code: string, message: string, status = 400) =>
  new Response(errorXml(code, message), { status });

dnsContract("Route 53", async () => {
  let nowMs = 0;
  // A second passes with every request: no test of the contract is about five in one.
  const now = () => {
    nowMs += 1000;
    return nowMs;
  };
  const api = await startRoute53({ zone: ZONE, accessKeyId, secretAccessKey, now });
  const plain = (name: string) => name.replace(/\.$/, "");
  const heldOf = (name: string): Held[] => {
    const marks = api.sets().find((each) => each.name === `_picket.${name}.`)?.values ?? [];
    const mark = marks[0]?.replaceAll('"', "") ?? null;
    return api
      .sets()
      .filter((each) => each.name === `${name}.`)
      .flatMap(({ type, ttlS, values }) =>
        values.map((value) => ({
          type,
          content: plain(value),
          ttlS,
          mark: /^(A|AAAA|CNAME)$/.test(type) ? mark : null,
        })),
      );
  };
  return {
    dnsPort: api.dnsPort,
    provider: ({ fetch }, { key, zone, address }) =>
      providerOf(
        api,
        {
          ...(key === undefined ? {} : { secret: "not-the-secret" }),
          ...(zone === undefined ? {} : { zoneId: "Z0000000000000" }),
          ...(address === undefined ? {} : { apiUrl: address }),
        },
        fetch,
      ),
    secrets: [secretAccessKey, accessKeyId, "not-the-secret"],
    put: async (name, records) => {
      const sets = new Map<string, Set53>();
      for (const { type, content, ttlS } of records) {
        const values = [...(sets.get(type)?.values ?? []), content];
        sets.set(type, { name: `${name}.`, type, ttlS, values });
      }
      const mark = records.find((each) => each.mark !== null)?.mark;
      const marked: Set53[] =
        mark === undefined
          ? []
          : [{ name: `_picket.${name}.`, type: "TXT", ttlS: 60, values: [`"${mark}"`] }];
      const others = api
        .sets()
        .filter((each) => each.name !== `${name}.` && each.name !== `_picket.${name}.`);
      api.put([...others, ...sets.values(), ...marked]);
    },
    held: async (name) => heldOf(name),
    names: async () =>
      api
        .sets()
        .filter(({ type }) => /^(A|AAAA|CNAME)$/.test(type))
        .map(({ name }) => plain(name)),
    throttled: () => refusal("Throttling", "Rate exceeded"),
    refused: () => refusal("InvalidInput", "no"),
    accepted: () =>
      new Response(
        element("ChangeResourceRecordSetsResponse", [
          element("ChangeInfo", [element("Id", "/change/C1"), element("Status", "INSYNC")]),
        ]),
      ),
    says: {
      key: /secret access key is not that of the access key.*wrangler secret put R53_SECRET/,
      zone: /no hosted zone Z0000000000000: set dns\.zone_id/,
    },
    close: api.close,
  };
});

describe("Route 53's own ways", () => {
  let api: Route53;
  let nowMs = 0;
  let policy: { Statement: Policy["Statement"][number][] };
  beforeEach(async () => {
    nowMs = 0;
    policy = policyOfDocs();
    const now = () => nowMs;
    const pendingMs = 60_000;
    const zoneId = "Z2FDTNDATAQYW2";
    const keys = { accessKeyId, secretAccessKey };
    api = await startRoute53({ ...keys, zone: ZONE, zoneId, now, pendingMs, policy });
  });
  afterEach(() => api.close());

  const publish = (over: Over = {}, more: object = {}, route = routeTo("192.0.2.1", 7)) => {
    nowMs += 1000;
    const [dns] = dnsPublishers(() => providerOf(api, over), { ttlS: 60, replicaHostname: null });
    return dns?.publish(route, { timeoutMs, ...more });
  };

  it("waits until a change is on all servers, and asks for it by its receipt", async () => {
    const taken = await publish();
    expect(taken).toMatchObject({
      kind: "unknown",
      retryAfterMs: 5000,
      receipt: expect.stringMatching(/^C[0-9A-F]{20}$/),
    });
    expect((await query(api.dnsPort, NAME, "A")).answers).toEqual([]);
    const { receipt } = taken ?? {};
    expect(await publish({}, { receipt })).toEqual(taken);
    nowMs += 60_000;
    expect((await query(api.dnsPort, NAME, "A")).answers).toMatchObject([{ data: "192.0.2.1" }]);
    const done = { kind: "done", detail: `${NAME} A 192.0.2.1, ttl 60` };
    expect(await publish({}, { receipt })).toEqual(done);
    // It is no news to somebody who asks without, nor after Route 53 has forgotten it.
    expect(await publish()).toEqual(done);
    expect(await publish({}, { receipt: "C0" })).toEqual(done);
  });

  it("does not wait for a change that is overtaken", async () => {
    const first = await publish();
    const second = await publish({}, { receipt: first?.receipt }, routeTo("192.0.2.2", 8));
    expect(second?.receipt).toMatch(/^C/);
    expect(second?.receipt).not.toBe(first?.receipt);
    expect(api.sets()).toMatchObject([
      { type: "A", values: ["192.0.2.2"] },
      { name: `_picket.${NAME}.`, values: ['"picket:cache epoch=8"'] },
    ]);
  });

  it("does not hold up a slow look for it", async () => {
    await publish();
    api.put([]);
    const set = await publish({}, { beat: "repair" });
    expect(set).toMatchObject({ kind: "done", drift: "no record" });
    expect(set).not.toHaveProperty("receipt");
  });

  it("of two that saw the same, hears one", async () => {
    await publish();
    const way = gate();
    const [late] = dnsPublishers(() => providerOf(api, {}, way.fetcher), {
      ttlS: 60,
      replicaHostname: null,
    });
    way.onWrite(async () => {
      await publish({}, {}, routeTo("192.0.2.9", 9));
      nowMs += 1000;
      return null;
    });
    const result = await late?.publish(routeTo("192.0.2.8", 8), { timeoutMs });
    expect(result).toMatchObject({ kind: "refused" });
    expect(result?.detail).toContain("of epoch 9, this route of 8");
    expect(api.sets()[0]).toMatchObject({ values: ["192.0.2.9"] });
  });

  it("finds its mark behind many other names", async () => {
    await publish();
    const crowd = Array.from({ length: 150 }, (_, n) => ({
      name: `${n}.${NAME}.`,
      type: "A",
      ttlS: 60,
      values: ["198.51.100.1"],
    }));
    api.put([...api.sets(), ...crowd]);
    expect(await publish()).toMatchObject({ kind: "done" });
  });

  it("leaves an alias and weighted records alone, whatever stands beside them", async () => {
    const mark = `_picket.${NAME}.`;
    const marked = { name: mark, type: "TXT", ttlS: 60, values: ['"picket:cache epoch=1"'] };
    const a = { name: `${NAME}.`, type: "A", ttlS: 60 };
    api.put([{ ...a, values: [], alias: "lb.example.net." }, marked]);
    expect((await publish())?.detail).toContain("not Picket's (A lb.example.net)");
    api.put([{ ...a, values: ["192.0.2.7"], setIdentifier: "blue" }, marked]);
    expect((await publish())?.detail).toContain("not Picket's (A 192.0.2.7)");
  });

  it("is told to wait by five requests a second, and by a change under way", async () => {
    const way = gate();
    const [dns] = dnsPublishers(() => providerOf(api, {}, way.fetcher), {
      ttlS: 60,
      replicaHostname: null,
    });
    const words = "The request was rejected because Route 53 was still processing a prior request.";
    way.onWrite(() => refusal("PriorRequestNotComplete", words));
    const route = routeTo("192.0.2.1", 1);
    expect(await dns?.publish(route, { timeoutMs })).toMatchObject({
      kind: "failed",
      retryAfterMs: 2000,
      detail: expect.stringContaining("PriorRequestNotComplete"),
    });
    // No second passes here.
    for (let n = 0; n < 4; n += 1) await dns?.publish(route, { timeoutMs, beat: "report" });
    expect(await dns?.publish(route, { timeoutMs })).toMatchObject({
      kind: "failed",
      retryAfterMs: 1000,
      detail: expect.stringMatching(/5 requests a second.*Throttling Rate exceeded/),
    });
    nowMs += 1000;
    expect((await dns?.publish(route, { timeoutMs }))?.receipt).toMatch(/^C/);
  });

  it("needs no more than the policy of docs/dns.md, which allows no other name", async () => {
    const of = (replicaHostname: string) =>
      dnsPublishers(() => providerOf(api), { ttlS: 60, replicaHostname })[1];
    nowMs += 1000;
    expect((await of(READERS)?.publish(routeTo("192.0.2.1", 1), { timeoutMs }))?.receipt).toMatch(
      /^C/,
    );
    nowMs += 1000;
    const other = await of(`other.${ZONE}`)?.publish(routeTo("192.0.2.1", 1), { timeoutMs });
    expect(other?.detail).toContain("let the IAM user do route53:ChangeResourceRecordSets");
  });

  it.each(["ListResourceRecordSets", "ChangeResourceRecordSets", "GetChange"])(
    "names the IAM action that is missing: %s",
    async (action) => {
      const first = action === "GetChange" ? await publish() : undefined;
      policy.Statement = policy.Statement.filter(({ Action }) => Action !== `route53:${action}`);
      const result = await publish({}, { receipt: first?.receipt });
      expect(result?.kind).toBe("failed");
      expect(result?.detail).toContain(`let the IAM user do route53:${action}`);
    },
  );

  it("tells a key that AWS does not know from a secret that does not fit", async () => {
    const key = await publish({ key: "AKIAANOTHEREXAMPLE99" });
    expect(key?.detail).toContain("wrangler secret put R53_KEY");
    expect(key?.detail).toContain("InvalidClientTokenId");
    const malformed = await publish({ key: "AKIA\nEXAMPLE" });
    expect(malformed).toEqual({
      kind: "failed",
      detail: "the access key is malformed: set it anew: wrangler secret put R53_KEY",
    });
    const secret = await publish({ secret: "another" });
    expect(secret?.detail).toContain("wrangler secret put R53_SECRET");
    expect(secret?.detail).toContain("SignatureDoesNotMatch");
  });

  it.each([
    ["<html>", "failed"],
    ["<ListResourceRecordSetsResponse/>", "failed"],
    ["", "failed"],
  ])("understands what is no answer: %j", async (body, kind) => {
    const fetch = async () => new Response(body, { status: 200 });
    const [dns] = dnsPublishers(() => providerOf(api, {}, fetch), {
      ttlS: 60,
      replicaHostname: null,
    });
    expect((await dns?.publish(routeTo("192.0.2.1", 1), { timeoutMs }))?.kind).toBe(kind);
  });
});
