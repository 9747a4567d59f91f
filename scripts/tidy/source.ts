/**
 * A file as the rules see it: its text, and for TypeScript its code, comments and imports apart.
 *
 * Promises: `code` is as long as `text`, line for line, with comments and the insides of strings
 * blanked, so that a word in it is a word of the program.
 * Must never: know a rule.
 */
import { SyntaxKind } from "typescript/unstable/ast";
import { createScanner } from "typescript/unstable/ast/scanner";

export type File = { readonly path: string; readonly text: string };

/** One breach of one rule, printed as `path:line: what: why`. */
export type Complaint = {
  readonly path: string;
  readonly line: number;
  readonly what: string;
  readonly why: string;
};

export type Import = {
  readonly line: number;
  readonly from: string;
  /** What stands before the specifier: `import type { Route } from`. */
  readonly clause: string;
};

export type Source = File & {
  readonly code: string;
  readonly comments: readonly { readonly line: number; readonly text: string }[];
  readonly imports: readonly Import[];
};

export type Rule = (source: Source) => readonly Complaint[];

const isScript = (path: string) => /\.[cm]?[jt]sx?$/.test(path);

/** Splits a TypeScript file; any other text is its own code, without comments and imports. */
export function read(file: File): Source {
  const { text, path } = file;
  if (!isScript(path)) return { ...file, code: text, comments: [], imports: [] };

  const code = text.split("");
  const blank = (from: number, to: number) => {
    for (let at = from; at < to; at += 1) if (code[at] !== "\n") code[at] = " ";
  };
  const comments: Source["comments"][number][] = [];
  const imports: Import[] = [];

  const start = text.startsWith("#!") ? text.indexOf("\n") : 0;
  blank(0, start);
  const scanner = createScanner(false);
  scanner.setText(text, start);
  const braces: ("block" | "template")[] = [];
  let before: string[] = [];
  let statement = start;

  while (true) {
    let kind = scanner.scan();
    if (kind === SyntaxKind.EndOfFile) break;
    // A slash or a brace means what it means only by what stood before it.
    if (kind === SyntaxKind.SlashToken || kind === SyntaxKind.SlashEqualsToken) {
      if (!endsExpression(before.at(-1))) kind = scanner.reScanSlashToken();
    } else if (kind === SyntaxKind.CloseBraceToken && braces.pop() === "template") {
      kind = scanner.reScanTemplateToken(false);
      if (kind === SyntaxKind.TemplateMiddle) braces.push("template");
    }
    if (kind === SyntaxKind.OpenBraceToken) braces.push("block");
    if (kind === SyntaxKind.TemplateHead) braces.push("template");

    const from = scanner.getTokenStart();
    const to = scanner.getTokenEnd();
    const word = text.slice(from, to);
    const line = lineAt(text, from);
    if (kind <= SyntaxKind.NonTextFileMarkerTrivia) {
      if (word.startsWith("/")) {
        comments.push({ line, text: word });
        blank(from, to);
      }
      continue;
    }
    if (word === "import" || word === "export") statement = from;
    if (kind === SyntaxKind.StringLiteral && importsNext(before)) {
      const clause = code.slice(statement, from).join("");
      imports.push({ line, from: scanner.getTokenValue(), clause });
    }
    if (kind >= SyntaxKind.StringLiteral && kind <= SyntaxKind.TemplateTail) {
      blank(from + 1, to - 1);
    }
    before = [...before.slice(-1), word];
  }
  return { ...file, code: code.join(""), comments, imports };
}

/** `from "x"`, `import "x"`, `import("x")`. */
function importsNext(before: readonly string[]): boolean {
  const [first, last] = [before.at(-2), before.at(-1)];
  return last === "from" || last === "import" || (first === "import" && last === "(");
}

function endsExpression(word: string | undefined): boolean {
  if (word === undefined) return false;
  if (/^(return|typeof|case|in|of|delete|void|throw|new|else|do|await|yield)$/.test(word)) {
    return false;
  }
  return /[\w$)\]}"'`]$/.test(word);
}

/** Line of an offset, from 1. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at !== -1 && at < offset; at = text.indexOf("\n", at + 1)) {
    line += 1;
  }
  return line;
}

/** A complaint for every match of `pattern` (global) in the file's code. */
export function everyMatch(
  source: Source,
  pattern: RegExp,
  complain: (found: string) => { readonly what: string; readonly why: string },
): Complaint[] {
  return [...source.code.matchAll(pattern)].map((match) => ({
    path: source.path,
    line: lineAt(source.code, match.index),
    ...complain(match[0].trim()),
  }));
}
