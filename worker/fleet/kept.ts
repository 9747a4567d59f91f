/**
 * The kept configuration as a document: what the Fleet writes, and reads after any older version wrote it.
 *
 * Promises: a setting that the document does not know yet gets its default; a version that this code does
 * not know is refused by name. Must never: judge whether a configuration is right.
 */
import { parseConfig } from "../core/config.ts";
import type { GroupConfig } from "../core/types.ts";
import type { Brake, Kept } from "../env.ts";

type Document = {
  readonly v: number;
  readonly groups: readonly GroupConfig[];
  /** Since version 2. */
  readonly brake?: Brake;
};

export const keptJson = (groups: readonly GroupConfig[], brake: Brake): string =>
  JSON.stringify({ v: 2, groups, brake } satisfies Document);

export function readKept(json: string, atMs: number): Kept {
  const { v, groups, brake }: Document = JSON.parse(json);
  if (v !== 1 && v !== 2)
    return {
      kind: "unreadable",
      problem: `the kept configuration has version ${v}, this code reads 1 and 2: deploy a right one`,
    };
  const defaults = defaultsNow();
  return {
    kind: "kept",
    groups: groups.map((group) => ({
      ...defaults.group,
      ...group,
      nodes: group.nodes.map((node) => ({ ...defaults.group.nodes[0], ...node })),
    })),
    brake: { ...defaults.brake, ...brake },
    atMs,
  };
}

/** What the smallest configuration becomes: every default, from the one place that knows them. */
function defaultsNow(): { readonly group: GroupConfig; readonly brake: Brake } {
  const secrets = { control_token_secret: "X", data_token_secret: "X" };
  const smallest = {
    name: "x",
    relays: [{ id: "x", url: "https://x.invalid", ...secrets }],
    nodes: [{ id: "x", host: "x.invalid" }],
  };
  const parsed = parseConfig({ GROUPS: [smallest] }, () => true);
  const group = parsed.ok ? parsed.groups[0] : undefined;
  if (!parsed.ok || group === undefined) throw new Error("the smallest configuration is not right");
  return { group, brake: parsed.brake };
}
