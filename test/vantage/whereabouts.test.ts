/** Where a vantage really runs: asked once an hour, beside everything else, and never believed beyond what it says. */
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Fetch } from "../../worker/relay/request.ts";
import { regionOf } from "../../worker/vantage/colos.ts";
import { createWhereabouts } from "../../worker/vantage/whereabouts.ts";

const trace = (colo: string) =>
  `fl=1\nh=www.cloudflare.com\nip=192.0.2.1\ncolo=${colo}\ntls=TLSv1.3\n`;
const nowhere = { colo: null, region: null };

afterEach(() => {
  vi.useRealTimers();
});

/** A page that says what the test sets. */
function page(first: string) {
  const said = { text: first, status: 200, asked: 0 };
  const send: Fetch = async () => {
    said.asked += 1;
    return new Response(said.text, { status: said.status });
  };
  return { said, place: createWhereabouts("https://trace.test", send) };
}

describe("whereabouts", () => {
  it("are not known at first, and then for an hour", async () => {
    vi.useFakeTimers({ now: 1_000_000 });
    const { said, place } = page(trace("FRA"));
    place.refresh();
    place.refresh();
    expect(place.known()).toEqual(nowhere);
    await vi.advanceTimersByTimeAsync(3_599_000);
    place.refresh();
    expect(place.known()).toEqual({ colo: "FRA", region: "weur" });
    expect(said.asked).toBe(1);
    said.text = trace("ZZZ");
    await vi.advanceTimersByTimeAsync(1000);
    place.refresh();
    await vi.advanceTimersByTimeAsync(0);
    expect(place.known()).toEqual({ colo: "ZZZ", region: null });
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([
    ["another page", { text: "<html>colo=fra</html>" }],
    ["a refusal", { text: trace("FRA"), status: 403 }],
    ["an endless page", { text: `${"x".repeat(5000)}\n${trace("FRA")}` }],
  ])("%s says nothing, and is asked again after five minutes", async (_, wrong) => {
    vi.useFakeTimers({ now: 1_000_000 });
    const { said, place } = page("");
    Object.assign(said, wrong);
    place.refresh();
    await vi.advanceTimersByTimeAsync(299_000);
    place.refresh();
    expect(place.known()).toEqual(nowhere);
    expect(said.asked).toBe(1);
    await vi.advanceTimersByTimeAsync(1000);
    place.refresh();
    expect(said.asked).toBe(2);
  });

  it("a page that hangs is given up after two seconds, and holds up nobody", async () => {
    vi.useFakeTimers({ now: 1_000_000 });
    const place = createWhereabouts("https://trace.test", () => new Promise(() => undefined));
    place.refresh();
    await vi.advanceTimersByTimeAsync(2000);
    expect(place.known()).toEqual(nowhere);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("without an address nobody is asked", () => {
    const place = createWhereabouts("", () => Promise.reject(new Error("asked")));
    place.refresh();
    expect(place.known()).toEqual(nowhere);
  });
});

it("a data centre lies in one region, and one between two in none", () => {
  const colos = ["SJC", "IAD", "LHR", "WAW", "NRT", "SYD", "GRU", "JNB", "DXB"];
  expect(colos.map(regionOf)).toEqual([
    "wnam",
    "enam",
    "weur",
    "eeur",
    "apac",
    "oc",
    "sam",
    "afr",
    "me",
  ]);
  expect(["DFW", "VIE", "ARN", "toString", ""].map(regionOf)).toEqual(Array(5).fill(null));
});
