/** What a relay makes of its own looks: what is news, when to look again, and what is a first sight. */
import { describe, expect, it } from "vitest";
import {
  beatMs,
  blank,
  type Gaze,
  isFirstSight,
  lookMs,
  lookOf,
  type Plan,
  type Seen,
  type Step,
  take,
} from "../../../worker/relay/watch/gaze.ts";
import { isStranger } from "../../../worker/relay/watch/stranger.ts";
import { facts } from "../../support/builders.ts";

const plan: Plan = {
  checkIntervalMs: 1000,
  probeTimeoutMs: 1000,
  retryMs: 100,
  maxFailures: 3,
  downAfterMs: 3000,
};

const up = facts({ role: "primary", runId: "r1" });
const seen = (change: Partial<Seen> = {}): Seen => {
  const kind = change.class ?? "up";
  const said = kind === "up" || kind === "loading" || kind === "switching" ? up : null;
  return { class: kind, detail: "", facts: said, askedAtMs: 0, atMs: 0, ...change };
};
const at = (ms: number, kind: Seen["class"], change: Partial<Seen> = {}) =>
  seen({ class: kind, askedAtMs: ms, atMs: ms + 1, ...change });

/** One look after another. */
function follow(...looks: readonly Seen[]): readonly Step[] {
  let gaze: Gaze = blank;
  return looks.map((look) => {
    const step = take(gaze, look, plan);
    gaze = step.gaze;
    return step;
  });
}
const news = (...looks: readonly Seen[]) => follow(...looks).map((step) => step.news);

describe("news", () => {
  it("the first look, and then nothing while nothing changes", () => {
    const older = { facts: { ...up, offset: 1, keys: 2 } };
    expect(news(at(0, "up"), at(750, "up", older), at(1500, "up"))).toEqual([true, false, false]);
  });

  it("silence is no refusal: a row of both is told after max_failures refused ones, or when it has lasted", () => {
    const silent = [at(0, "up"), at(10, "timeout"), at(1010, "timeout"), at(2010, "refused")];
    expect(news(...silent)).toEqual([true, false, false, false]);
    const told = lookOf("a", follow(...silent).at(-1)?.gaze ?? blank, 2020);
    expect(told).toMatchObject({ class: "refused", looks: 3, refusals: 1, badForMs: 2001 });
    expect(news(...silent, at(2110, "refused"), at(2210, "refused")).at(-1)).toBe(true);
    expect(news(...silent, at(3010, "timeout")).at(-1)).toBe(true);
  });

  it("what it last said of itself is told with its death, and not while it speaks", () => {
    const gone = follow(at(0, "up"), at(10, "refused"), at(110, "refused")).at(-1)?.gaze ?? blank;
    expect(lookOf("a", gone, 500)).toMatchObject({
      facts: null,
      before: { facts: up, agoMs: 500 },
    });
    const here = follow(at(0, "up")).at(-1)?.gaze ?? blank;
    expect(lookOf("a", here, 500)).toMatchObject({ facts: up, before: null });
    expect(lookOf("a", blank, 500)).toBeNull();
    const never = follow(at(0, "refused")).at(-1)?.gaze ?? blank;
    expect(lookOf("a", never, 500)).toMatchObject({ facts: null, before: null });
  });

  it("refused: told when it was asked max_failures times, once, and again when it is back", () => {
    const looks = [at(0, "up"), at(10, "refused"), at(110, "refused"), at(210, "refused")];
    expect(news(...looks, at(310, "refused"), at(410, "up"))).toEqual([
      ...[true, false, false, true],
      ...[false, true],
    ]);
    const steps = follow(...looks);
    expect(steps.map(({ nextMs }) => nextMs)).toEqual([750, 100, 100, 100]);
    expect(steps.at(-1)?.gaze.bad).toEqual({ looks: 3, refusals: 3, sinceMs: 10 });
  });

  it("a blip is none: refused once or twice", () => {
    expect(news(at(0, "up"), at(10, "refused"), at(110, "refused"), at(210, "up"))).toEqual([
      ...[true, false, false, false],
    ]);
  });

  it("silence: told when it has lasted for down_after_ms, counted from the first question", () => {
    const silent = (ms: number) => at(ms, "timeout", { atMs: ms + 1000 });
    const steps = follow(at(0, "up"), silent(750), silent(1750), silent(2750));
    expect(steps.map((step) => step.news)).toEqual([true, false, false, true]);
    // The next question follows at once: the last one has waited for long enough.
    expect(steps.map(({ nextMs }) => nextMs)).toEqual([750, 0, 0, 0]);
    expect(steps.at(-1)?.gaze.bad).toEqual({ looks: 3, refusals: 0, sinceMs: 750 });
  });

  it("silence that lasts, seen in too few looks, is none yet; MISCONF counts as silence does", () => {
    expect(news(at(0, "up"), at(10, "timeout", { atMs: 4000 }))).toEqual([true, false]);
    const misconf = (ms: number) => at(ms, "misconf");
    expect(news(misconf(0), misconf(1500), misconf(2998), misconf(3000))).toEqual([
      ...[false, false, false, true],
    ]);
  });

  it.each([
    ["role", { role: "replica" }],
    ["run id", { runId: "r2" }],
    ["link", { linkUp: !up.linkUp }],
    ["whom it follows", { replicaOf: { host: "x", port: 1 } }],
    ["a hand-over", { switching: true }],
    ["a seal", { minReplicasToWrite: 1_000_000 }],
  ] as const)("a change of %s", (_, change) => {
    expect(news(at(0, "up"), at(750, "up", { facts: { ...up, ...change } }))).toEqual([true, true]);
  });

  it("loading, and up again; a fault that is no death", () => {
    expect(news(at(0, "up"), at(1, "loading"), at(2, "up"), at(3, "auth"), at(4, "auth"))).toEqual([
      ...[true, true, true, true, false],
    ]);
  });

  it("a dropped connection says nothing, and ends no row of refusals", () => {
    const steps = follow(at(0, "up"), at(1, "refused"), at(2, "closed"), at(3, "refused"));
    expect(steps.map((step) => step.news)).toEqual([true, false, false, false]);
    expect(steps.at(-1)?.gaze.bad?.looks).toBe(2);
  });
});

it("how often, and how long a look waits: silence is known soon after down_after_ms", () => {
  expect([beatMs(plan), lookMs(plan)]).toEqual([750, 1000]);
  const sharp = { ...plan, downAfterMs: 1000 };
  expect([beatMs(sharp), lookMs(sharp)]).toEqual([250, 334]);
  expect(lookMs(sharp) * sharp.maxFailures).toBeGreaterThanOrEqual(sharp.downAfterMs);
  expect(beatMs({ ...plan, checkIntervalMs: 100 })).toBe(100);
  expect(beatMs({ ...plan, downAfterMs: 100 })).toBe(50);
});

it("a first sight: never seen, back after a bad look, or another process", () => {
  const known = take(blank, seen(), plan).gaze;
  expect(isFirstSight(blank, seen())).toBe(true);
  expect(isFirstSight(known, seen())).toBe(false);
  expect(isFirstSight(known, seen({ facts: { ...up, runId: "r2" } }))).toBe(true);
  const away = take(known, at(1, "refused"), plan).gaze;
  expect(isFirstSight(away, seen())).toBe(true);
  expect(isFirstSight(away, at(2, "refused"))).toBe(false);
});

describe("a stranger", () => {
  const watch = { strangers: ["a"], epoch: 5 };
  const held = (epoch: number, primary: string | null = null) => ({ epoch, primary });
  it("is nobody whom the journal names", () => {
    expect(isStranger("a", up, watch, held(5, "a"))).toBe(false);
    expect(isStranger("a", up, watch, held(5, "b"))).toBe(true);
  });
  it("is whom the group calls one, at an epoch that is not behind", () => {
    expect(isStranger("a", up, watch, held(5))).toBe(true);
    expect(isStranger("a", up, watch, null)).toBe(true);
    expect(isStranger("b", up, watch, held(5))).toBe(false);
    expect(isStranger("a", up, watch, held(6))).toBe(false);
  });
  it("is none while it follows, hands over, or is sealed already", () => {
    expect(isStranger("a", { ...up, role: "replica" }, watch, held(5))).toBe(false);
    expect(isStranger("a", { ...up, switching: true }, watch, held(5))).toBe(false);
    expect(isStranger("a", { ...up, minReplicasToWrite: 1_000_000 }, watch, held(5))).toBe(false);
  });
});
