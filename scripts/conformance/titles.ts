/**
 * The titles of tests and scenarios, and the ids at their heads, without running anything.
 *
 * Promises: `test.each` and its like give one title a row, where the table stands in the file; a range
 * ("S00.8 to S00.12", "W1..W10") is all that lies in it.
 * Must never: take an id from the middle of a clause: there it is only mentioned.
 */
import { type File, read } from "../tidy/source.ts";

export type Titled = { readonly path: string; readonly title: string };

/** Every title in a test file; of a scenario its first comment. */
export function titlesOf({ path, text }: File): readonly Titled[] {
  const titles = path.endsWith(".txt")
    ? [/^# *(.+)/.exec(text)?.[1] ?? ""]
    : testTitles(text, read({ path, text }).code);
  return titles.filter((title) => title !== "").map((title) => ({ path, title }));
}

/** `code` is `text` with comments and the insides of strings blanked, so brackets are brackets. */
function testTitles(text: string, code: string): readonly string[] {
  const titles: string[] = [];
  for (const found of code.matchAll(/\b(?:test|it|describe)(\.each)?(?:\.\w+)*\s*\(/g)) {
    let at = found.index + found[0].length;
    let rows: readonly (readonly string[])[] | null = null;
    if (found[1] !== undefined) {
      const end = closing(code, at);
      rows = rowsOf(text, code, at, end);
      at = code.indexOf("(", end + 1) + 1;
    }
    const title = stringAt(text, code, at);
    if (title === null) continue;
    if (rows === null || rows.length === 0) titles.push(title);
    else titles.push(...rows.map((row) => filled(title, row)));
  }
  return titles;
}

/** The rows of a table: what stands there, or in the constant of that name. Only words are told apart. */
function rowsOf(text: string, code: string, from: number, to: number): string[][] {
  const name = /^\s*(\w+)\s*,?\s*$/.exec(code.slice(from, to))?.[1];
  const start = name === undefined ? listAt(code, from) : constant(code, name, from);
  if (start === -1) return [];
  return parts(code, start + 1).map(([first, last]) => {
    const row = firstOf(code, first);
    if (code[row] !== "[") return [stringAt(text, code, first) ?? "…"];
    return parts(code.slice(0, last), row + 1).map(([cell, end]) => {
      return stringAt(text, code, cell) ?? plain(text.slice(cell, end));
    });
  });
}

const listAt = (code: string, from: number) =>
  code[firstOf(code, from)] === "[" ? firstOf(code, from) : -1;

/** Where the list begins of the last constant of that name before `from`. */
function constant(code: string, name: string, from: number): number {
  const declared = new RegExp(`\\bconst ${name}\\b[^=]*=\\s*\\[`, "g");
  const last = [...code.slice(0, from).matchAll(declared)].at(-1);
  return last === undefined ? -1 : last.index + last[0].length - 1;
}

/** A number or a word is its own text; anything else has none. */
const plain = (source: string) => (/^\s*[\w.]+\s*$/.test(source) ? source.trim() : "…");

/** Begin and end of each element of the list that opens just before `from`. */
function parts(code: string, from: number): readonly (readonly [number, number])[] {
  const found: [number, number][] = [];
  const end = closing(code, from);
  let start = from;
  let depth = 0;
  for (let at = from; at <= end; at += 1) {
    const char = code[at] ?? "";
    if (at === end || (char === "," && depth === 0)) {
      if (code.slice(start, at).trim() !== "") found.push([start, at]);
      start = at + 1;
    } else if ("([{".includes(char)) depth += 1;
    else if (")]}".includes(char)) depth -= 1;
  }
  return found;
}

/** Where the bracket ends that opened just before `from`. */
function closing(code: string, from: number): number {
  let depth = 1;
  for (let at = from; at < code.length; at += 1) {
    const char = code[at] ?? "";
    if ("([{".includes(char)) depth += 1;
    if (")]}".includes(char)) depth -= 1;
    if (depth === 0) return at;
  }
  return code.length;
}

const firstOf = (code: string, from: number) => from + code.slice(from).search(/\S|$/);

/** The string that begins at `from`; null: something else does. */
function stringAt(text: string, code: string, from: number): string | null {
  const start = firstOf(code, from);
  const quote = code[start] ?? "";
  if (!["'", '"', "`"].includes(quote)) return null;
  const end = code.indexOf(quote, start + 1);
  return text.slice(start + 1, end).replaceAll(/\\(.)/g, "$1");
}

/** As the test runner fills a title in. */
function filled(title: string, row: readonly string[]): string {
  const rest = row.values();
  return title.replaceAll(/%[sidfjo]/g, (mark) => rest.next().value ?? mark);
}

const ID =
  /^([A-Z]\d+(?:\.\d+)?)(?:\s*(?:to|\.\.)\s*([A-Z]\d+(?:\.\d+)?))?(?:\s*(?:,|\/|and\b)\s*|\s+|(?=:|$))/;

/** The ids at the head of a title and of its clauses ("S00.9 …; F1 …"), ranges spelled out. */
export const idsOf = (title: string): readonly string[] => title.split(/;\s+/).flatMap(idsAtHead);

function idsAtHead(clause: string): readonly string[] {
  const ids: string[] = [];
  let rest = clause;
  for (let found = ID.exec(rest); found !== null; found = ID.exec(rest)) {
    const [whole, first = "", last] = found;
    ids.push(...(last === undefined ? [first] : range(first, last)));
    rest = rest.slice(whole.length);
  }
  return ids;
}

function range(first: string, last: string): readonly string[] {
  const [, head = "", from = ""] = /^(.*?)(\d+)$/.exec(first) ?? [];
  const [, sameHead, to = ""] = /^(.*?)(\d+)$/.exec(last) ?? [];
  if (head !== sameHead || Number(to) < Number(from)) return [first, last];
  const count = Number(to) - Number(from) + 1;
  return Array.from({ length: count }, (_, at) => `${head}${Number(from) + at}`);
}
