/**
 * Every rule of scripts/tidy.ts, broken one by one on small trees, and kept on a clean one.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { tidy } from "../../scripts/tidy.ts";

const made: string[] = [];
afterEach(() => {
  for (const root of made.splice(0)) rmSync(root, { recursive: true, force: true });
});

const head = "/** A file. */\n";

/** Complaints about a tree, as `path:line: what`. */
function complaints(files: Readonly<Record<string, string>>): string[] {
  const root = mkdtempSync(join(tmpdir(), "picket-tidy-"));
  made.push(root);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return tidy(root).map(({ path, line, what }) => `${path}:${line}: ${what}`);
}

const core = (body: string) => complaints({ "worker/core/a.ts": head + body });

describe("imports inside worker/ run strictly downward", () => {
  const cases: readonly (readonly [path: string, from: string, allowed: boolean])[] = [
    ["worker/index.ts", "./api/app.ts", true],
    ["worker/api/app.ts", "../group.ts", true],
    ["worker/group.ts", "./publish/kv.ts", true],
    ["worker/publish/dns/cloudflare.ts", "../publisher.ts", true],
    ["worker/probe/relayed.ts", "../relay/caller.ts", true],
    ["worker/relay/fence.ts", "../redis/session.ts", true],
    ["worker/redis/info.ts", "../core/types.ts", true],
    ["worker/env.ts", "./core/config.ts", true],
    ["worker/core/plan.ts", "./types.ts", true],
    ["worker/api/app.ts", "../index.ts", false],
    ["worker/group.ts", "./fleet.ts", false],
    ["worker/group.ts", "./api/app.ts", false],
    ["worker/probe/tcp.ts", "../act/relay.ts", false],
    ["worker/publish/kv.ts", "../vantage.ts", false],
    ["worker/redis/session.ts", "../relay/app.ts", false],
    ["worker/env.ts", "./client/index.ts", false],
    ["worker/core/plan.ts", "../env.ts", false],
    ["worker/group.ts", "../scripts/tidy.ts", false],
    ["worker/group.ts", "./unheard/of.ts", false],
  ];
  it.each(cases)("%s imports %s: %s", (path, from, allowed) => {
    const found = complaints({ [path]: `${head}import { x } from "${from}";\n` });
    expect(found).toEqual(allowed ? [] : [`${path}:2: imports "${from}"`]);
  });

  it.each([
    'import type { X } from "../api/app.ts";',
    'export * from "../api/app.ts";',
    'import "../api/app.ts";',
    'const x = await import("../api/app.ts");',
    'type X = import("../api/app.ts").X;',
    'import {\n  type A,\n} from "../api/app.ts";',
  ])("%s counts", (line) => {
    expect(complaints({ "worker/redis/a.ts": `${head}${line}\n` })).toHaveLength(1);
  });

  it("takes a word in a comment, a string or a template for what it is", () => {
    const text = `${head}// import { x } from "../index.ts";
const a = 'import { x } from "../index.ts"';
const b = \`\${a ? \`import "\${a}"\` : "}"} from "../index.ts"\`;
const c = a.replace(/["'\`]/g, b);
`;
    expect(complaints({ "worker/redis/a.ts": text })).toEqual([]);
  });

  it("knows every folder", () => {
    const found = complaints({ "worker/util/a.ts": head });
    expect(found).toEqual(["worker/util/a.ts:1: worker/util has no rank"]);
  });
});

describe("the client carries nothing of the Worker but the route", () => {
  it.each(["../core/route.ts", "./route.ts", "@upstash/redis/cloudflare"])("%s may", (from) => {
    expect(complaints({ "worker/client/index.ts": `${head}import "${from}";` })).toEqual([]);
  });
  it.each(["../core/types.ts", "hono", "node:fs"])("%s may not", (from) => {
    expect(complaints({ "worker/client/index.ts": `${head}import "${from}";` })).toHaveLength(1);
  });
});

describe("the core is pure", () => {
  it.each([
    "export async function f() {}",
    "const x = await y;",
    "const x = Date.now();",
    "const x = new Date();",
    "const x = Math.random();",
    "const x = performance.now();",
    "const x = crypto.randomUUID();",
    "setTimeout(f, 1);",
    "setInterval(f, 1);",
    "const x = fetch(y);",
    'console.log("x");',
    "const x = process.env;",
    `const x = \`\${Date.now()}\`;`,
    'import { x } from "node:crypto";',
    'import { Hono } from "hono";',
  ])("%s", (line) => {
    expect(core(`\n${line}\n`)).toHaveLength(1);
    expect(core(`\n${line}\n`)[0]).toMatch(/^worker\/core\/a\.ts:3: /);
  });

  it.each([
    "const x = new Date(saved.atMs).toISOString();",
    "// never await, never Date.now()",
    'const x = "fetch(y), await";',
    "const x = { process: 1, fetch: 2 }; use(x.process, x.fetch);",
    'import * as v from "valibot";',
  ])("%s is no breach", (line) => {
    expect(core(`${line}\n`)).toEqual([]);
  });
});

describe("raw bindings", () => {
  it.each([
    'import { env } from "cloudflare:workers";',
    'import * as all from "cloudflare:workers";',
    "const kv = env.ROUTES;",
    'const kv = this.env["ROUTES"];',
  ])("%s only in worker/env.ts", (line) => {
    expect(complaints({ "worker/group.ts": head + line })).toHaveLength(1);
    expect(complaints({ "worker/env.ts": head + line })).toEqual([]);
  });
  it("leaves the rest alone", () => {
    const text = `${head}import { DurableObject } from "cloudflare:workers";\nuse(env.groups, process.env.PATH);\n`;
    expect(complaints({ "worker/group.ts": text })).toEqual([]);
  });
});

describe("leftovers", () => {
  it.each(["TODO", "FIXME", "XXX", "HACK"])("%s in a comment or in prose", (mark) => {
    expect(complaints({ "worker/group.ts": `${head}// ${mark}: later\n` })).toEqual([
      `worker/group.ts:2: ${mark}`,
    ]);
    expect(complaints({ "docs/a.md": `# A\n\n${mark}\n` })).toEqual([`docs/a.md:3: ${mark}`]);
  });
  it("in a string it is data", () => {
    expect(complaints({ "worker/group.ts": `${head}const mark = "TODO";\n` })).toEqual([]);
  });

  it.each(["it.only", "describe.only", "test.only"])("%s", (call) => {
    const found = complaints({ "test/a.test.ts": `${call}("x", () => {});\n` });
    expect(found).toEqual([`test/a.test.ts:1: ${call}`]);
  });
  it("a skip needs its reason", () => {
    const skip = 'it.skip("x", () => {});\n';
    expect(complaints({ "test/a.test.ts": skip })).toEqual(["test/a.test.ts:1: it.skip"]);
    expect(complaints({ "test/a.test.ts": `// Needs root.\n${skip}` })).toEqual([]);
  });
});

describe("files", () => {
  it("have at most 300 lines in worker/ and scripts/", () => {
    const lines = (count: number) => head + "f();\n".repeat(count - 1);
    expect(complaints({ "scripts/a.ts": lines(300), "test/a.ts": lines(400) })).toEqual([]);
    expect(complaints({ "scripts/a.ts": lines(301) })).toEqual([
      "scripts/a.ts:301: 301 lines, 300 at most",
    ]);
  });
  it("start with a head comment, after the line that names the interpreter", () => {
    expect(complaints({ "scripts/a.ts": `#!/usr/bin/env node\n${head}f();\n` })).toEqual([]);
    expect(complaints({ "worker/group.ts": "f();\n" })).toEqual([
      "worker/group.ts:1: no head comment",
    ]);
  });
  it("hold no path of one machine", () => {
    for (const folder of ["home/ann", "Users/ann", "root/x", "work/main"]) {
      expect(complaints({ "docs/a.md": `see \`/${folder}\`\n` })).toHaveLength(1);
    }
    expect(complaints({ "docs/a.md": "https://example.com/home/x and ./work/x\n" })).toEqual([]);
  });
  it("name no package registry", () => {
    const host = "registry.npmjs";
    const lock = `{\n  "resolved": "https://npm.example.com/a.tgz"\n}\n`;
    expect(complaints({ "docs/a.md": `from ${host}.org\n` })).toHaveLength(1);
    expect(complaints({ "package-lock.json": lock })).toHaveLength(1);
    expect(complaints({ "docs/a.md": "https://www.npmjs.com/package/hono\n" })).toEqual([]);
  });
});

describe("classes that RPC reaches", () => {
  it.each(["DurableObject", "WorkerEntrypoint"])("%s has no TypeScript private", (base) => {
    const text = (word: string) => `${head}export class A extends ${base} {\n  ${word} x = 1;\n}\n`;
    expect(complaints({ "worker/group.ts": text("private") })).toEqual([
      "worker/group.ts:3: private by TypeScript only",
    ]);
    expect(complaints({ "worker/group.ts": text("readonly") })).toEqual([]);
  });
});

describe("the top level", () => {
  it("holds what the design lists, hidden files and lock files", () => {
    const kept = ["README.md", "LICENSE", ".gitignore", ".ci/run", "package-lock.json"];
    expect(complaints(Object.fromEntries(kept.map((path) => [path, "x\n"])))).toEqual([]);
    expect(complaints({ "notes.txt": "x\n", "src/a.ts": head })).toEqual([
      "notes.txt:1: does not belong here",
      "src:1: does not belong here",
    ]);
  });
});
