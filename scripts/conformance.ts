/**
 * docs/conformance.md: which test answers for which scenario. `npm run conformance` writes it; with `--check` it
 * is compared, and every scenario must have a test, an analogue or a reason.
 *
 * Promises: reads titles only; a complaint is one line that says what to do.
 * Must never: run a test, or believe an id that is not in the list.
 */
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sections } from "./conformance/ids.ts";
import { analogues, notPorted, onRealRedis } from "./conformance/notes.ts";
import { idsOf, type Titled, titlesOf } from "./conformance/titles.ts";

const root = join(import.meta.dirname, "..");
const page = "docs/conformance.md";

const real = /^test\/(e2e|relay|two-machines)\/|^test\/scripts\/demo\.test/;

/** Every title under `test/`, in the order of the files. */
export function allTitles(folder: string): readonly Titled[] {
  const files = globSync(["test/**/*.test.ts", "test/scenarios/*.txt"], { cwd: folder }).sort();
  return files.flatMap((path) =>
    titlesOf({ path, text: readFileSync(join(folder, path), "utf8") }),
  );
}

type Answer = { readonly tests: readonly Titled[]; readonly here: string | null };

/** What answers for an id. */
function answerFor(
  id: string,
  byId: ReadonlyMap<string, readonly Titled[]>,
  all: readonly Titled[],
): Answer {
  const analogue = analogues[id];
  const stands = (analogue?.tests ?? []).flatMap(([path, title]) => {
    const first = all.find((each) => each.path === path && each.title.startsWith(title));
    return first === undefined ? [] : [first];
  });
  return { tests: [...(byId.get(id) ?? []), ...stands], here: analogue?.here ?? null };
}

function index(all: readonly Titled[]): ReadonlyMap<string, readonly Titled[]> {
  const byId = new Map<string, Titled[]>();
  for (const titled of all)
    for (const id of new Set(idsOf(titled.title))) byId.set(id, [...(byId.get(id) ?? []), titled]);
  return byId;
}

/** Everything that is wrong about ids, tests and notes. */
export function complaints(all: readonly Titled[]): readonly string[] {
  const byId = index(all);
  const known = new Set(sections.flatMap(({ rows }) => rows.map(({ id }) => id)));
  const letters = new Set([...known].map((id) => id[0]));
  const said: string[] = [];
  for (const [id, tests] of byId)
    if (letters.has(id[0]) && !known.has(id))
      said.push(
        `${tests[0]?.path}: there is no scenario ${id}: scripts/conformance/ids.ts has them all`,
      );
  for (const id of [...Object.keys(notPorted), ...Object.keys(analogues), ...onRealRedis])
    if (!known.has(id)) said.push(`scripts/conformance/notes.ts: there is no scenario ${id}`);
  for (const [id, { tests }] of Object.entries(analogues))
    for (const [path, title] of tests)
      if (!all.some((each) => each.path === path && each.title.startsWith(title)))
        said.push(
          `scripts/conformance/notes.ts: ${id}: ${path} has no test that begins "${title}"`,
        );
  for (const id of known) {
    const { tests } = answerFor(id, byId, all);
    const reason = notPorted[id];
    if (tests.length === 0 && reason === undefined)
      said.push(
        `${id} has no test: begin a title with it, or say why not in scripts/conformance/notes.ts`,
      );
    if (tests.length > 0 && reason !== undefined)
      said.push(`${id} is tested: take its reason out of scripts/conformance/notes.ts`);
    if (tests.length > 0 && onRealRedis.includes(id) && !tests.some(({ path }) => real.test(path)))
      said.push(
        `${id} has no test on real Redis: one under test/e2e, test/relay or test/two-machines`,
      );
  }
  return said;
}

/** The page. */
export function render(all: readonly Titled[]): string {
  const byId = index(all);
  const rows = sections.flatMap((section) => section.rows);
  const answers = new Map(rows.map(({ id }) => [id, answerFor(id, byId, all)]));
  const tested = rows.filter(({ id }) => (answers.get(id)?.tests.length ?? 0) > 0);
  const onReal = tested.filter(({ id }) =>
    answers.get(id)?.tests.some(({ path }) => real.test(path)),
  );
  const tables = sections.map(({ title, source, rows }) => {
    const lines = rows.map(({ id, what }) => {
      const answer = answers.get(id) ?? { tests: [], here: null };
      return `| ${id} | ${cell(what)} | ${where(id, answer)} |`;
    });
    const head = ["| id | scenario | where it is tested |", "| --- | --- | --- |"];
    return `## ${title}\n\nFrom ${source}.\n\n${[...head, ...lines].join("\n")}\n`;
  });
  return `# Conformance

What others test, promise, or went wrong at, and the test that answers for it here. Written by
\`npm run conformance\` from the titles of the tests and scripts/conformance/; do not edit.

${rows.length} scenarios: ${tested.length} tested, ${onReal.length} of them on real redis-servers (**real**);
${rows.length - tested.length} not ported, each with its reason. "Here:" is how a scenario reads in Picket where it has
another shape. Titles are of tests, or of scenarios (test/scenarios), which are played with real judgement and a
world of paper.

${tables.join("\n")}`;
}

function where(id: string, { tests, here }: Answer): string {
  if (tests.length === 0) return `not ported: ${cell(notPorted[id] ?? "no reason")}`;
  const byPath = Map.groupBy(tests, ({ path }) => path);
  const lines = [...byPath].map(([path, titled]) => {
    const mark = real.test(path) ? "**real** " : "";
    return `${mark}\`${path.replace(/^test\//, "")}\`: ${titled.map(({ title }) => cell(title)).join(" · ")}`;
  });
  return [...(here === null ? [] : [`Here: ${cell(here)}.`]), ...lines].join("<br>");
}

const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("<", "&lt;");

if (import.meta.main) {
  const all = allTitles(root);
  const text = render(all);
  if (!process.argv.includes("--check")) writeFileSync(join(root, page), text);
  else {
    const said = [...complaints(all)];
    if (text !== readFileSync(join(root, page), "utf8"))
      said.push(`${page} is not what the tests say: npm run conformance`);
    for (const line of said) console.error(line);
    if (said.length > 0) process.exitCode = 1;
  }
}
