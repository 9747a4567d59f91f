/**
 * Rules about what a file says: purity of the core, leftovers, heads, lengths, private, paths.
 *
 * Promises: each rule is alone, and says what to do instead.
 * Must never: need more than one file at a time.
 */
import { type Complaint, everyMatch, lineAt, type Rule } from "./source.ts";

const maxLines = 300;
const isCore = (path: string) => path.startsWith("worker/core/");
const isKept = (path: string) => /^(worker|scripts)\/.*\.tsx?$/.test(path);

/** Clock, chance, waiting and the world: everything that would make judgement differ from a replay. */
const impure =
  /(?<![\w$.#])(?:async\b|await\b|Date\.now\b|new Date(?:\(\s*\)|(?![\w(]))|Date\(\s*\)|Math\.random\b|(?:setTimeout|setInterval|setImmediate|queueMicrotask|fetch)\s*\(|(?:performance|crypto|console|process|globalThis)\s*[.[])/g;

export const corePurity: Rule = (source) => {
  if (!isCore(source.path)) return [];
  const outside = source.imports
    .filter(({ from }) => from !== "valibot" && !from.startsWith("."))
    .map(({ from, line }) => ({
      path: source.path,
      line,
      what: `imports "${from}"`,
      why: "core imports only itself and valibot",
    }));
  const impurities = everyMatch(source, impure, (found) => ({
    what: `uses ${found}`,
    why: "core is pure: pass time, chance and answers in as arguments",
  }));
  return [...outside, ...impurities];
};

export const leftovers: Rule = (source) => {
  const marks = /\b(?:TODO|FIXME|XXX|HACK)\b/g;
  const texts = source.path.endsWith("ts")
    ? source.comments
    : source.path.endsWith(".json")
      ? []
      : [{ line: 1, text: source.text }];
  return texts.flatMap(({ line, text }) =>
    [...text.matchAll(marks)].map((match) => ({
      path: source.path,
      line: line + lineAt(text, match.index) - 1,
      what: match[0],
      why: "do it, or write down in docs/ why not",
    })),
  );
};

export const focusedTests: Rule = (source) => {
  if (!source.path.startsWith("test/")) return [];
  const focused = everyMatch(source, /\b(?:it|test|describe|suite)\.only\b/g, (found) => ({
    what: found,
    why: "it hides every other test",
  }));
  const skipped = everyMatch(
    source,
    /\b(?:it|test|describe|suite)\.(?:skip|skipIf|todo|fails)\b/g,
    (found) => ({ what: found, why: "say why in a comment on that line or the one above" }),
  ).filter(({ line }) => !commentEnds(source.comments, line));
  return [...focused, ...skipped];
};

function commentEnds(
  comments: readonly { readonly line: number; readonly text: string }[],
  line: number,
): boolean {
  return comments.some((comment) => {
    const last = comment.line + comment.text.split("\n").length - 1;
    return last === line || last === line - 1;
  });
}

export const fileLength: Rule = ({ path, text }) => {
  const lines = text.replace(/\n$/, "").split("\n").length;
  if (!isKept(path) || lines <= maxLines) return [];
  const why = "a file is read top to bottom; cut it where its story turns";
  return [{ path, line: maxLines + 1, what: `${lines} lines, ${maxLines} at most`, why }];
};

export const headComment: Rule = ({ path, text }) => {
  if (!isKept(path) || /^(#!.*\n)?\/[*/]/.test(text)) return [];
  const why = "say what the file is, what it promises and what it must never do";
  return [{ path, line: 1, what: "no head comment", why }];
};

export const rpcPrivate: Rule = (source) => {
  if (!/\bextends\s+(DurableObject|WorkerEntrypoint|RpcTarget)\b/.test(source.code)) return [];
  return everyMatch(source, /(?<![\w$.#])(?:private|protected)\s+[\w$[]/g, () => ({
    what: "private by TypeScript only",
    why: "it can be called over RPC; use #name",
  }));
};

const places: readonly { readonly pattern: RegExp; readonly what: string; readonly why: string }[] =
  [
    {
      pattern: /(?<![\w.:/$}-])\/(?:home|Users|root|work|workspace|workspaces)\/[\w.-]+/g,
      what: "a path of one machine",
      why: "nobody else has it",
    },
    {
      pattern:
        /https?:\/\/(?:[\w-]+\.)*(?:registry|artifactory|nexus|verdaccio|pypi)\.[\w.-]+|\bregistry\.(?:npmjs|yarnpkg)\.\w+|^\s*"resolved": "https?:[^"]*|^\s*registry\s*=.*/gm,
      what: "a package registry",
      why: "everyone installs from their own; leave it to their settings",
    },
  ];

export const machinePlaces: Rule = ({ path, text }) =>
  places.flatMap(({ pattern, what, why }) =>
    [...text.matchAll(pattern)].map(
      (match): Complaint => ({
        path,
        line: lineAt(text, match.index),
        what: `${what}, ${match[0].trim()}`,
        why,
      }),
    ),
  );
