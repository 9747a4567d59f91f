/**
 * Who may import whom inside worker/: strictly downward, siblings never each other.
 *
 * Promises: type-only imports count too; a folder that is not in the ranks is a complaint.
 * Must never: look outside worker/.
 */
import { dirname, join } from "node:path/posix";
import { type Complaint, everyMatch, type Import, type Rule, type Source } from "./source.ts";

/** From the top down; those in one row are siblings. Redraw docs/design.md with it. */
const ranks: readonly (readonly string[])[] = [
  ["index"],
  ["api"],
  ["group", "fleet"],
  ["vantage"],
  ["probe", "act", "publish"],
  ["relay"],
  ["redis"],
  ["env", "client"],
  ["core"],
];

const order = ranks.map((row) => row.join(", ")).join(" > ");

/** The folder or top file of worker/ that a path belongs to; null outside worker/. */
function unitOf(path: string): string | null {
  const parts = path.split("/");
  if (parts[0] !== "worker") return null;
  return (parts[1] ?? "").replace(/\.tsx?$/, "");
}

const rankOf = (unit: string) => ranks.findIndex((row) => row.includes(unit));

const complaint = (source: Source, each: Import, why: string): Complaint => ({
  path: source.path,
  line: each.line,
  what: `imports "${each.from}"`,
  why,
});

export const importRanks: Rule = (source) => {
  const unit = unitOf(source.path);
  if (unit === null) return [];
  if (rankOf(unit) < 0) {
    const why = `worker/ holds ${order}`;
    return [{ path: source.path, line: 1, what: `worker/${unit} has no rank`, why }];
  }
  return source.imports.flatMap((each) => {
    if (!each.from.startsWith(".")) return [];
    const target = unitOf(join(dirname(source.path), each.from));
    if (target === null) return complaint(source, each, "worker/ imports nothing outside worker/");
    if (target === unit || rankOf(target) > rankOf(unit)) return [];
    const up = rankOf(target) < rankOf(unit);
    return complaint(
      source,
      each,
      `${up ? "imports run downward" : "siblings stay apart"}: ${order}`,
    );
  });
};

/** What the client shares with the Worker: the route, which of several databases is used, and a check of them. */
const shared = ["worker/core/route.ts", "worker/core/steering.ts", "worker/core/lag-aware.ts"];

/** The client is copied into apps: nothing else of the Worker may come with it. */
export const clientImports: Rule = (source) => {
  if (unitOf(source.path) !== "client") return [];
  return source.imports
    .filter(({ from }) => {
      if (!from.startsWith(".")) return !/^@upstash\/redis(\/|$)/.test(from);
      const target = join(dirname(source.path), from);
      return !shared.includes(target) && unitOf(target) !== "client";
    })
    .map((each) =>
      complaint(
        source,
        each,
        "client/ imports core/route, core/steering, core/lag-aware, @upstash/redis and itself only",
      ),
    );
};

/** Bindings become typed and checked in one place. */
export const rawBindings: Rule = (source) => {
  if (unitOf(source.path) === null || source.path === "worker/env.ts") return [];
  const why = "worker/env.ts is the only reader of raw bindings";
  const imported = source.imports
    .filter((each) => each.from === "cloudflare:workers" && /\benv\b|\*/.test(each.clause))
    .map((each) => complaint(source, each, why));
  const read = everyMatch(source, /(?<!process\.)\benv(\??\.\s*[A-Z]\w*|\[)/g, (found) => ({
    what: `reads ${found}`,
    why,
  }));
  return [...imported, ...read];
};
