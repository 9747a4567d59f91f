/** What Route 53 lets a change batch do to the record sets of a zone, and in which words it refuses. */
import { isIPv4, isIPv6 } from "node:net";

/** As the API has it: names with a dot at the end, values as they are written. */
export type Set53 = {
  readonly name: string;
  readonly type: string;
  readonly ttlS: number;
  readonly values: readonly string[];
  readonly alias?: string;
  readonly setIdentifier?: string;
};
export type Sets = readonly Set53[];
export type Change53 = { readonly action: "CREATE" | "DELETE" | "UPSERT"; readonly set: Set53 };
export type Applied =
  | { readonly ok: true; readonly sets: Sets }
  | { readonly ok: false; readonly input?: true; readonly message: string };

/** By name, its labels turned round, then by type. */
export function sortSets(sets: Sets): Sets {
  const key = (name: string) => name.split(".").reverse().join(".");
  const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  return [...sets].sort((a, b) => order(key(a.name), key(b.name)) || order(a.type, b.type));
}

/** Whole or not at all. */
export function applyChanges(zone: string, sets: Sets, changes: readonly Change53[]): Applied {
  let current = sets;
  const messages: string[] = [];
  for (const { action, set: given } of changes) {
    if (!["CREATE", "DELETE", "UPSERT"].includes(action)) return wrong(`Value '${action}'`);
    const name = `${given.name.toLowerCase().replace(/\.$/, "")}.`;
    const set = { ...given, name };
    if (!(Number.isInteger(set.ttlS) && set.ttlS >= 0 && set.ttlS <= 2_147_483_647))
      return wrong(`Value '${set.ttlS}' at 'resourceRecordSet.tTL'`);
    const message = complaint(zone, current, action, set);
    if (message !== null) {
      messages.push(message);
      continue;
    }
    const others = current.filter((each) => !(each.name === name && each.type === set.type));
    current = action === "DELETE" ? others : [...others, set];
  }
  if (messages.length > 0) return { ok: false, message: `[${messages.join(", ")}]` };
  return { ok: true, sets: sortSets(current) };
}

const wrong = (what: string): Applied => ({
  ok: false,
  input: true,
  message: `1 validation error detected: ${what} failed to satisfy constraint`,
});

function complaint(
  zone: string,
  sets: Sets,
  action: Change53["action"],
  set: Set53,
): string | null {
  const { name, type, values } = set;
  const here = sets.filter((each) => each.name === name);
  const same = here.find((each) => each.type === type);
  if (action === "DELETE") {
    const tried = `Tried to delete resource record set [name='${name}', type='${type}']`;
    if (same === undefined) return `${tried} but it was not found`;
    const matches =
      same.alias === undefined &&
      same.ttlS === set.ttlS &&
      [...same.values].sort().join("\n") === [...values].sort().join("\n");
    return matches ? null : `${tried} but the values provided do not match the current values`;
  }
  if (name !== `${zone}.` && !name.endsWith(`.${zone}.`))
    return `RRSet with DNS name ${name} is not permitted in zone ${zone}.`;
  if (action === "CREATE" && same !== undefined)
    return `Tried to create resource record set [name='${name}', type='${type}'] but it already exists`;
  if (here.some((each) => each.setIdentifier !== undefined))
    return `RRSet with DNS name ${name}, type ${type} cannot be created as a non-weighted set beside weighted ones`;
  if (type === "CNAME" && here.some((each) => each.type !== "CNAME"))
    return `RRSet of type CNAME with DNS name ${name} is not permitted as it conflicts with other records with the same DNS name in zone ${zone}.`;
  if (type !== "CNAME" && here.some((each) => each.type === "CNAME"))
    return `RRSet of type ${type} with DNS name ${name} is not permitted because a conflicting RRSet of type CNAME with the same DNS name already exists in zone ${zone}.`;
  if (new Set(values).size !== values.length) return `Duplicate Resource Record: '${values}'`;
  if (type === "CNAME" && values.length !== 1) return "CNAME with several values";
  const bad = values.find((value) => !isValue(type, value));
  return bad === undefined
    ? null
    : `Invalid Resource Record: 'FATAL problem: Invalid${type} (Value is not valid) encountered with '${bad}''`;
}

function isValue(type: string, value: string): boolean {
  if (type === "A") return isIPv4(value);
  if (type === "AAAA") return isIPv6(value);
  if (type === "TXT") return /^"[^"]{0,255}"$/.test(value);
  return /^[a-z0-9_.-]+$/i.test(value) && !isIPv4(value);
}
