/**
 * G18: the DNS provider fails while a failover is under way. The promotion does not wait for it, and the
 * record is right once the provider is.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must, type Scene, startScene } from "../support/stack.ts";

const hosts: Record<string, string> = { a: "127.0.0.21", b: "127.0.0.22", c: "127.0.0.23" };

describe("the DNS provider fails", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene({ hostOf: (id) => must(hosts[id], id) });
    await resolvesTo("a");
    // Nothing is under way that could meet the fault instead.
    await scene.published();
  });
  afterAll(() => scene?.stop());

  const resolvesTo = (id: string) =>
    scene.eventually(`the DNS answer ${hosts[id]}`, async () => {
      const [answer, ...rest] = await scene.resolved();
      return answer === hosts[id] && rest.length === 0;
    });

  const published = (mark: number) =>
    scene.eventually("+published dns", async () =>
      (await scene.events(mark)).find(
        ({ name, data }) => name === "+published" && data.publisher === "dns",
      ),
    );

  /** A failover that is carried through, and served, though the record could not be written at first. */
  const failOver = async (from: string, to: string) => {
    const mark = await scene.mark();
    await scene.api("/v1/groups/cache/failover", { body: { to } });
    const failed = await scene.event("-publish-failed", mark);
    await scene.steady(to);
    await scene.event("+failover-end", mark);
    expect(await scene.data(to, "SET", "k", "v")).toEqual({ result: "OK" });
    await scene.eventually("KV", async () => (await scene.kvRoute())?.primary?.id === to);
    await resolvesTo(to);
    expect((await published(mark)).seq).toBeGreaterThan(failed.seq);
    expect((await scene.view()).publishers.dns).toMatchObject({ failures: 0, problem: null });
    expect(from).not.toBe(to);
  };

  it("G18 5xx without an envelope: retried, then right", async () => {
    scene.cloudflare.faults.failNext(1, { status: 502, body: "<html>bad gateway</html>" });
    await failOver("a", "b");
  });

  it("G18 429 with Retry-After: not before that, then right", async () => {
    const fault = { success: false, errors: [{ code: 971, message: "slow down" }], result: null };
    scene.cloudflare.faults.failNext(1, {
      status: 429,
      body: fault,
      headers: { "retry-after": "2" },
    });
    const before = scene.cloudflare.arrivedAtMs().length;
    await failOver("b", "c");
    const [refused = 0, next = 0] = scene.cloudflare.arrivedAtMs().slice(before);
    expect(next - refused).toBeGreaterThanOrEqual(2000);
  });

  it("G18 the provider hangs: the failover goes on, and the record follows once it answers", async () => {
    scene.cloudflare.faults.hang();
    const mark = await scene.mark();
    await scene.api("/v1/groups/cache/failover", { body: { to: "a" } });
    await scene.steady("a");
    expect(await scene.resolved()).toEqual([hosts.c]);
    expect(await scene.data("a", "SET", "k", "v")).toEqual({ result: "OK" });
    scene.cloudflare.faults.hang(false);
    await resolvesTo("a");
    const names = (await scene.events(mark)).map(({ name }) => name);
    expect(names.indexOf("-publish-failed")).toBeGreaterThan(names.indexOf("+failover-end"));
  });
});
