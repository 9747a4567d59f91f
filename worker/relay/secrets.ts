/**
 * Where a secret of the configuration comes from: the value itself, an environment variable, or a file
 * (systemd credentials, container secrets); and the PEM files of TLS.
 *
 * Promises: nothing rejects or throws; a file is read whole, and only if it is a small plain file; the reason
 * for a failure names the place and never what stands in it.
 * Must never: show a value that could be a secret in the wrong place.
 */
import { readFileSync, statSync } from "node:fs";

export type Sources = {
  readonly variable: (name: string) => string | undefined;
  /** The file's text, or why there is none. */
  readonly file: (path: string) => Found;
};

export type Found =
  | { readonly kind: "found"; readonly text: string }
  | { readonly kind: "missing"; readonly allowed: string };

const MAX_FILE_BYTES = 64 * 1024;
const WAYS = 'a string, {"env": "NAME"} or {"file": "/path"}';

const missing = (allowed: string): Found => ({ kind: "missing", allowed });

export const ofThisProcess: Sources = {
  variable: (name) => process.env[name],
  file: readSmall,
};

/** What the configuration gave in place of a secret, turned into the secret. */
export function secretFrom(given: unknown, sources: Sources): Found {
  if (typeof given === "string") return { kind: "found", text: given };
  if (typeof given !== "object" || given === null || Array.isArray(given)) return missing(WAYS);
  const [[way, where] = ["", null], ...more] = Object.entries(given);
  if (more.length > 0 || typeof where !== "string") return missing(WAYS);
  if (way === "env") {
    if (!/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(where)) return missing("the name of a variable");
    const text = sources.variable(where);
    return text === undefined
      ? missing(`a variable that is set; ${where} is not`)
      : { kind: "found", text };
  }
  if (way !== "file") return missing(WAYS);
  const found = fileFrom(where, sources);
  // Whoever writes such a file with an editor or echo ends it with a line feed.
  return found.kind === "found" ? { ...found, text: found.text.replace(/\r?\n$/, "") } : found;
}

export function fileFrom(path: string, sources: Sources): Found {
  return /^\/[^\0]{0,4095}$/.test(path) ? sources.file(path) : missing("an absolute path");
}

function readSmall(path: string): Found {
  try {
    const stats = statSync(path);
    if (!stats.isFile()) return missing(`a plain file; ${path} is none`);
    if (stats.size > MAX_FILE_BYTES) {
      return missing(`a file of at most ${MAX_FILE_BYTES} bytes; ${path} has ${stats.size}`);
    }
    return { kind: "found", text: readFileSync(path, "utf8") };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unreadable";
    return missing(`a file that can be read; ${path}: ${code}`);
  }
}
