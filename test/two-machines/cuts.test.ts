/**
 * Two machines and no third, with links that are really cut: what becomes of the writes. Each test is a row of
 * the table in docs/benchmarks.md.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { whyNoBoxes } from "../../scripts/netns/boxes.ts";
import { type Outcome, rows } from "../../scripts/netns/rows.ts";
import { modes, startTwoMachines, type TwoMachines } from "../../scripts/netns/two-machines.ts";

const why = whyNoBoxes();
/** Each waits for a failover, for a machine that comes back, and for a replica to be filled. */
const patienceMs = 150_000;
/**
 * Long: a relay that a busy machine keeps waiting for a quarter of it has its node sealed by the guard, and while
 * the edge is away nobody opens it again.
 */
const leaseMs = 10_000;

// Where there can be boxes, there is nothing to say.
describe.skipIf(why === null)("two machines", () => {
  // The reason is told with the test.
  it("cannot be tried here", (test) => test.skip(why ?? ""));
});

// Namespaces and links need root, Linux and iproute2.
describe.skipIf(why !== null).each(modes)("two machines, fencing %s", (mode) => {
  let world: TwoMachines;
  beforeAll(async () => {
    world = await startTwoMachines(mode, { lease_ms: leaseMs });
  }, patienceMs);
  afterAll(() => world?.stop());

  const outcomeOf = async (id: string): Promise<Outcome> => {
    const row = rows.find((each) => each.id === id);
    if (row === undefined) throw new Error(`there is no row ${id}`);
    return row.run(world);
  };
  const noSwitch = { failedOver: false, lost: 0, byBoth: 0 };

  it(
    "X1 the primary's box is lost: the other takes over with the edge as witness; it returns, and follows",
    async () => {
      const { failedOver, byBoth, said } = await outcomeOf("box-lost");
      expect(failedOver).toBe(true);
      expect(said).toContain("+switch-master");
      // A client that stayed is answered by what comes back, unless that boots sealed.
      if (mode !== "none") expect(byBoth).toBe(0);
    },
    patienceMs,
  );

  it(
    "X7 the link between the boxes is cut: nobody is promoted, clients that reach the primary go on, nothing is lost",
    async () => {
      const outcome = await outcomeOf("link-cut");
      expect(outcome).toMatchObject(noSwitch);
      expect(outcome.said).not.toContain("+odown");
      expect(outcome.during.beside).toBeGreaterThan(0);
    },
    patienceMs,
  );

  it(
    "X5 the primary's box is cut off from everything: the other takes over; what it acknowledged alone is lost, and told; under lease nothing is acknowledged by both",
    async () => {
      const { failedOver, byBoth, lost, said } = await outcomeOf("box-cut-off");
      expect(failedOver).toBe(true);
      expect(said).toContain("+lost-writes");
      if (mode === "lease") return expect(byBoth).toBe(0);
      // Neither of the others promises more: only a lease ends by itself.
      expect(byBoth).toBeGreaterThan(0);
      expect(lost).toBeGreaterThanOrEqual(byBoth);
    },
    patienceMs,
  );

  it(
    "the edge is away: clients in both boxes go on, nobody is promoted, nothing is lost",
    async () => {
      const outcome = await outcomeOf("edge-away");
      expect(outcome).toMatchObject(noSwitch);
      // No more than what was on the way.
      expect(outcome.during.edge).toBeLessThan(20);
    },
    patienceMs,
  );

  it(
    "X1 the edge is away and the primary dies: nobody decides; when the edge is back the other takes over, and the old one follows",
    async () => {
      const { failedOver, byBoth, during, said } = await outcomeOf("edge-away-primary-dies");
      expect(failedOver).toBe(true);
      expect(said.filter((name) => name === "+switch-master")).toHaveLength(1);
      // It dies as the cut begins: no more than what was on the way.
      expect(during.edge).toBeLessThan(20);
      // A client that stayed is answered by what comes back, unless that boots sealed.
      if (mode !== "none") expect(byBoth).toBe(0);
    },
    patienceMs,
  );

  it(
    "X6 the edge cannot reach the primary's box, the other box can: nobody is promoted, nothing is lost",
    async () => {
      const outcome = await outcomeOf("edge-cannot-see");
      expect(outcome).toMatchObject(noSwitch);
      expect(outcome.said).not.toContain("+odown");
    },
    patienceMs,
  );
});
