/**
 * The rules of this repository that a machine can check; part of `npm run check`.
 *
 * Promises: every breach is one line, `file:line: what: why`; a rule is one function in a list.
 * Must never: change a file, or complain about one that git ignores.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { clientImports, importRanks, rawBindings } from "./tidy/imports.ts";
import { type Complaint, type File, type Rule, read } from "./tidy/source.ts";
import * as words from "./tidy/words.ts";

export type { Complaint };

const rules: readonly Rule[] = [
  importRanks,
  clientImports,
  rawBindings,
  words.corePurity,
  words.leftovers,
  words.focusedTests,
  words.fileLength,
  words.headComment,
  words.rpcPrivate,
  words.machinePlaces,
];

/** What the top level holds besides hidden files and lock files. */
const topLevel = new Set([
  ...["worker", "scripts", "test", "docs", "wrangler.toml", "package.json", "tsconfig.json"],
  ...["README.md", "CHANGELOG.md", "LICENSE"],
]);

const largestFile = 1_000_000;

/** Every complaint about the repository at `root`, ordered by file and line. */
export function tidy(root: string): Complaint[] {
  const paths = list(root);
  const complaints = [
    ...strangers(paths),
    ...paths.flatMap((path) => {
      const file = load(root, path);
      if (file === null) return [];
      const source = read(file);
      return rules.flatMap((rule) => rule(source));
    }),
  ];
  return complaints.sort((a, b) => a.path.localeCompare(b.path) || a.line - b.line);
}

function strangers(paths: readonly string[]): Complaint[] {
  const names = new Set(paths.map((path) => path.split("/")[0] ?? path));
  const why = `the top level holds ${[...topLevel].join(", ")}, hidden files and lock files`;
  return [...names]
    .filter((name) => !topLevel.has(name) && !name.startsWith(".") && !/-lock\.|\.lock$/.test(name))
    .map((path) => ({ path, line: 1, what: "does not belong here", why }));
}

/** What git keeps or would keep; every file where there is no git. */
function list(root: string): string[] {
  if (existsSync(join(root, ".git"))) {
    const args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    const out = execFileSync("git", args, { cwd: root, encoding: "utf8", maxBuffer: 1 << 26 });
    return [...new Set(out.split("\0"))].filter((path) => path !== "");
  }
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((path) => !path.split("/").includes("node_modules"));
}

/** Null for what is not text, is too large to be read by people, or was deleted just now. */
function load(root: string, path: string): File | null {
  const file = join(root, path);
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats === undefined || !stats.isFile() || stats.size > largestFile) return null;
  const text = readFileSync(file, "utf8");
  return text.includes("\0") ? null : { path, text };
}

if (import.meta.main) {
  const complaints = tidy(join(import.meta.dirname, ".."));
  for (const { path, line, what, why } of complaints)
    console.log(`${path}:${line}: ${what}: ${why}`);
  if (complaints.length > 0) process.exitCode = 1;
}
