/**
 * What an address of the REST face asks for: `/nodes/<id>`, then nothing, `/pipeline`, `/multi-exec`,
 * `/subscribe/…`, `/psubscribe/…`, or a command as a path with its last arguments as a query.
 *
 * Promises: pure; bytes in an address come out as the bytes that they are.
 * Must never: decide who may ask.
 */
import { isUtf8 } from "node:buffer";

export type Word = string | Buffer;

export type Target = {
  readonly node: string;
  readonly kind: "body" | "pipeline" | "multi-exec" | "subscribe" | "psubscribe" | "path";
  /** The command of a path; the channels of a subscription. */
  readonly words: readonly Word[];
  /** From the query: what stands after the body. */
  readonly after: readonly Word[];
  /** `_token`. */
  readonly token: string | null;
};

export type Wrong = { readonly kind: "wrong"; readonly error: string };

const NODES = "/nodes/";
const NONE: readonly Word[] = [];

/** Null: not an address of this face. */
export function parseTarget(url: string): Target | Wrong | null {
  if (!url.startsWith(NODES)) return null;
  const mark = url.indexOf("?");
  const path = mark < 0 ? url : url.slice(0, mark);
  const query = mark < 0 ? "" : url.slice(mark + 1);
  const [id = "", ...segments] = path.slice(NODES.length).split("/");
  try {
    const node = String(decode(id));
    const { token, rest } = withoutToken(query);
    const [first = ""] = segments;
    if (segments.length === 0 || (segments.length === 1 && first === "")) {
      return { node, kind: "body", words: NONE, after: decodeQuery(rest), token };
    }
    if (segments.length === 1 && (first === "pipeline" || first === "multi-exec")) {
      return { node, kind: first, words: NONE, after: NONE, token };
    }
    const kind = first.toLowerCase();
    if (segments.length > 1 && (kind === "subscribe" || kind === "psubscribe")) {
      // The client puts a channel into the address as it is: h?llo is a pattern, not a query.
      const names = segments.slice(1).join("/") + (rest === "" ? "" : `?${rest}`);
      return { node, kind, words: names.split("/").map(decode), after: NONE, token };
    }
    return { node, kind: "path", words: segments.map(decode), after: decodeQuery(rest), token };
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    return { kind: "wrong", error: "ERR the address has a % that begins no escape: write it %25" };
  }
}

function withoutToken(query: string): { readonly token: string | null; readonly rest: string } {
  if (!query.includes("_token=")) return { token: null, rest: query };
  const parts = query.split("&");
  const found = parts.find((part) => part.startsWith("_token="));
  const rest = parts.filter((part) => !part.startsWith("_token=")).join("&");
  return { token: found === undefined ? null : String(decode(found.slice(7))), rest };
}

/** `EX=100` are two words; `NX` and `NX=` are one. */
function decodeQuery(query: string): readonly Word[] {
  if (query === "") return NONE;
  return query.split("&").flatMap((part) => {
    if (part === "") return [];
    const spaced = part.replaceAll("+", " ");
    const equals = spaced.indexOf("=");
    if (equals < 0) return [decode(spaced)];
    const name = decode(spaced.slice(0, equals));
    const value = spaced.slice(equals + 1);
    return value === "" ? [name] : [name, decode(value)];
  });
}

/** A string where the bytes are UTF-8; else the bytes. Throws URIError at a broken escape. */
function decode(text: string): Word {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (/%(?![0-9a-f]{2})/i.test(text)) throw error;
    const latin1 = text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
    const bytes = Buffer.from(latin1, "latin1");
    return isUtf8(bytes) ? bytes.toString() : bytes;
  }
}
