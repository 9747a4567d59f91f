/**
 * What it costs, as tables in Markdown and as data.
 *
 * Promises: pure; a configuration that was not counted is named so, and not guessed.
 */
import { accountOf, together } from "./account.ts";
import { groupsForFree, invoice, listOf, listPrice, METERS, type Usage } from "./bill.ts";
import { countedFor, MINUTES, type Month, monthOf, type Shape } from "./month.ts";
import type { Own, OwnGroup } from "./own.ts";
import { peersOf } from "./peers.ts";
import { loadBalancing, PLAN, prices, route53 } from "./prices.ts";
import type { Counted } from "./tally.ts";

const usual: Shape = {
  fencing: "none",
  intervalMs: 1000,
  quiet: false,
  relays: 3,
  regions: 0,
  leaseMs: 3000,
  invocationLogs: false,
};
const NODES = 3;
const fencings = ["none", "sealed", "lease"] as const;
type Pace = { readonly name: string; readonly shape: Partial<Shape> };
const awake: readonly Pace[] = [
  { name: "1 s", shape: { intervalMs: 1000 } },
  { name: "5 s", shape: { intervalMs: 5000 } },
  { name: "10 s", shape: { intervalMs: 10_000 } },
  { name: "60 s, cron alone", shape: { intervalMs: 60_000 } },
];
const paces: readonly Pace[] = [{ name: "quiet", shape: { quiet: true } }, ...awake];
const many = [1, 10, 100];
/** A month of a quiet group without fencing, beyond the plan's fee. */
const GOAL = 0.05;

export const dollars = (value: number): string =>
  `$${value.toFixed(value > 0 && value < 0.1 ? 3 : 2)}`;
const row = (...cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;
const table = (head: readonly string[], rows: readonly (readonly (string | number)[])[]) => [
  row(...head),
  row(...head.map(() => "---")),
  ...rows.map((cells) => row(...cells)),
];
const count = (value: number) => Math.round(value).toLocaleString("en-US");

const monthFor = (all: readonly Counted[], shape: Shape): Month | null => {
  const counted = countedFor(all, shape);
  return counted === null ? null : monthOf(counted, shape);
};

/** The group alone, at list prices. */
const cell = (all: readonly Counted[], shape: Shape) => {
  const month = monthFor(all, shape);
  return month === null ? "not counted" : dollars(listPrice(month.group));
};

type Goal = { readonly what: string; readonly holds: boolean };

export function goalOf(all: readonly Counted[], regions: number): Goal {
  const month = monthFor(all, { ...usual, quiet: true, regions });
  const kind = `a quiet group without fencing, with ${regions} vantages`;
  if (month === null) return { what: `${kind}: not counted`, holds: false };
  const cost = listPrice(month.group);
  const what = `${kind}: ${dollars(cost)} a month, at most ${dollars(GOAL)}`;
  return { what, holds: cost <= GOAL };
}

/** By meter: how many, and what they cost. */
function breakdown(all: readonly Counted[], shapes: readonly [string, Partial<Shape>][]) {
  const months = shapes.map(([name, shape]) => ({
    name,
    month: monthFor(all, { ...usual, ...shape }),
  }));
  const [first] = months;
  const usages: readonly (readonly [string, Usage])[] = [
    ...months.flatMap(({ name, month }) => (month === null ? [] : [[name, month.group] as const])),
    ...(first?.month ? [["all groups together", first.month.worker] as const] : []),
  ];
  const lines = METERS.map((meter) => [
    prices[meter].what,
    ...usages.map(([, usage]) => `${count(usage[meter])}: ${dollars(listOf(usage, meter))}`),
  ]);
  const total = ["together", ...usages.map(([, usage]) => dollars(listPrice(usage)))];
  return table(["a month", ...usages.map(([name]) => name)], [...lines, total]);
}

function invoices(all: readonly Counted[]): readonly string[] {
  const kinds = (["none", "lease"] as const).flatMap((fencing) =>
    [0, 3].flatMap((regions) => paces.map((pace) => ({ ...pace, fencing, regions }))),
  );
  const lines = kinds.map(({ name, shape, fencing, regions }) => {
    const month = monthFor(all, { ...usual, ...shape, fencing, regions });
    const said = `${name}; ${fencing}; ${regions} vantages`;
    if (month === null) return [said, ...many.map(() => "not counted"), "not counted"];
    const bills = many.map((groups) => dollars(invoice(together(month, groups))));
    return [said, ...bills, groupsForFree((groups) => together(month, groups))];
  });
  const head = [
    "looks; fencing",
    ...many.map((groups) => (groups === 1 ? "1 group" : `${groups} groups`)),
  ];
  return table([...head, "groups that the Free plan carries"], lines);
}

const peerLines = (endpoints: number) =>
  table(
    ["for the same endpoints", "looks every", "a month", ""],
    peersOf(endpoints).map((peer) => [
      peer.what,
      `${peer.everyS} s`,
      dollars(peer.dollars),
      peer.notes,
    ]),
  );

const sources = [
  `Prices: ${PLAN.name}, $${PLAN.dollars} a month: ${PLAN.source} (${PLAN.readOn}); ${route53.source} (${route53.readOn}); Load Balancing: ${loadBalancing.source} (${loadBalancing.readOn}).`,
];

export function allTables(all: readonly Counted[]): readonly string[] {
  const columns = fencings.flatMap((fencing) => [0, 3].map((regions) => ({ fencing, regions })));
  const head = columns.map(({ fencing, regions }) => `${fencing}, ${regions} vantages`);
  return [
    `### A group of ${NODES} nodes and ${usual.relays} relays for 30 days, at list prices: what each further group costs, beyond the plan's $${PLAN.dollars}`,
    "",
    ...table(
      ["looks", ...head],
      paces.map(({ name, shape }) => [
        name,
        ...columns.map((column) => cell(all, { ...usual, ...shape, ...column })),
      ]),
    ),
    "",
    "### What it is made of, without fencing; without vantages but where they are named",
    "",
    ...breakdown(all, [
      ["quiet", { quiet: true }],
      ["quiet, 3 vantages", { quiet: true, regions: 3 }],
      ...awake.map(({ name, shape }): [string, Partial<Shape>] => [name, shape]),
    ]),
    "",
    "### The invoice of an account that runs nothing else, plan included; every million that was begun is billed whole",
    "",
    ...invoices(all),
    "",
    "### What others ask for",
    "",
    ...peerLines(NODES),
    "",
    ...sources,
    "",
    "| the goal | |",
    "| --- | --- |",
    ...[0, 3]
      .map((regions) => goalOf(all, regions))
      .map(({ what, holds }) => row(what, holds ? "holds" : "does NOT hold")),
  ];
}

const [begin, end] = ["<!-- counted -->", "<!-- /counted -->"];

/** docs/cost.md with these tables between its markers. */
export function withTables(text: string, all: readonly Counted[]): string {
  const [head = "", rest = ""] = text.split(begin);
  const tail = rest.split(end)[1];
  if (tail === undefined) throw new Error("docs/cost.md has no markers for the tables");
  return [head, begin, "\n\n", allTables(all).join("\n"), "\n\n", end, tail].join("");
}

type Priced = OwnGroup & {
  readonly list: number | null;
  /** The same while it is not quiet: something is wrong, or its relays are not connected. */
  readonly listAwake: number | null;
};

export type Estimate = {
  readonly groups: readonly Priced[];
  readonly shared: number;
  readonly invoice: number | null;
};

const priceOf = (month: Month | null) => (month === null ? null : listPrice(month.group));

export function estimate(all: readonly Counted[], groups: readonly OwnGroup[]): Estimate {
  const months = groups.map(({ shape }) => monthFor(all, shape));
  const members = groups.flatMap(({ regions }, at) => {
    const month = months[at] ?? null;
    return month === null ? [] : [{ month, regions }];
  });
  const { shared, whole } = accountOf(members);
  return {
    groups: groups.map((group, at) => ({
      ...group,
      list: priceOf(months[at] ?? null),
      listAwake: priceOf(monthFor(all, { ...group.shape, quiet: false })),
    })),
    shared: listPrice(shared),
    invoice: members.length === groups.length ? invoice(whole) : null,
  };
}

const told = (value: number | null) => (value === null ? "not counted" : dollars(value));

export function estimateTable(all: readonly Counted[], own: Own & { ok: true }): readonly string[] {
  const { groups, shared, invoice: bill } = estimate(all, own.groups);
  const nodes = own.groups.reduce((total, group) => total + group.nodes, 0);
  return [
    ...table(
      ["group", "fencing", "looks every", "relays", "vantages", "a month, quiet", "awake"],
      groups.map(({ name, shape, list, listAwake }) => [
        name,
        shape.fencing,
        `${shape.intervalMs / 1000} s`,
        shape.relays,
        shape.regions,
        shape.quiet ? told(list) : "is never quiet",
        told(listAwake),
      ]),
    ),
    "",
    "quiet: its relays are connected and each sees every node up. awake: always as while something is wrong.",
    `Cron, the Fleet and the clocks of vantages: ${dollars(shared)}, once for all groups.`,
    `The invoice, if nothing else runs in the account: ${told(bill)}, of it $${PLAN.dollars} for the plan.`,
    "",
    ...peerLines(nodes),
    "",
    ...sources,
    `Of ${count(MINUTES)} minutes; what was counted, and how: docs/cost.md.`,
  ];
}
