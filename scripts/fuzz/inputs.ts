/**
 * What the fuzzer sends: requests of every kind, from right to nonsense, as plain data that can be printed and
 * sent again.
 *
 * Promises: the same seed makes the same inputs; an input that must be answered in one way only says so.
 * Must never: send what a bounded answer cannot end, such as a script that loops.
 */
import fc from "fast-check";
import { commandTable } from "../../worker/relay/rest/table.ts";

/** Who asks: any command of node a; within a prefix, or reading only, of node b. */
export type Who = "full" | "prefix" | "reader" | "control" | "nobody";

export type Input =
  | {
      readonly kind: "http";
      readonly who: Who;
      readonly method: string;
      /** After `/nodes/<id>`. */
      readonly path: string;
      /** One character for a byte. */
      readonly body: string;
      readonly headers: Readonly<Record<string, string>>;
      /** The words that must come back, each in its place. */
      readonly echoes: readonly { readonly at: number | null; readonly word: string }[];
    }
  /** POST /look. */
  | { readonly kind: "look"; readonly who: Who; readonly method: string; readonly body: string }
  | { readonly kind: "raw"; readonly text: string }
  | { readonly kind: "listen"; readonly path: string };

const latin1 = (text: string): string => Buffer.from(text).toString("latin1");

/** What breaks parsers, and what does not. */
const text = fc.oneof(
  { weight: 4, arbitrary: fc.string({ maxLength: 12 }) },
  { weight: 3, arbitrary: fc.string({ unit: "binary", maxLength: 12 }) },
  { weight: 2, arbitrary: fc.integer({ min: -2, max: 1000 }).map(String) },
  fc.constantFrom(
    "",
    "0",
    "-1",
    "1e3",
    "nan",
    "inf",
    "9007199254740993",
    "\u0000",
    "\r\n",
    "%",
    "*",
  ),
);
const key = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 50 }).map((n) => `app:${n}`) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      "canary",
      "app",
      "other:1",
      "app:*",
      "*",
      "MATCH",
      "STORE",
      "STREAMS",
    ),
  },
  text,
);
/** SCRIPT and FUNCTION KILL, CLIENT and the like are refused or harmless; what is not known is asked about. */
const name = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...commandTable.keys()).map((each) => each.split("|")) },
  fc.constantFrom("MONITOR", "JSON.SET", "nosuch", "", "get\r\ndel").map((each) => [each]),
);
const command = fc
  .tuple(name, fc.array(fc.oneof(key, text), { maxLength: 6 }))
  .map(([words, rest]) => [...words, ...rest]);

const marker = fc
  .uuid()
  .chain((id) => fc.tuple(fc.constant(id), text))
  .map(([id, more]) => id + more);
const encoding = fc.constantFrom<Readonly<Record<string, string>>>(
  {},
  {},
  { "upstash-encoding": "base64" },
);
const bounded = fc.constantFrom<Who>("full", "full", "prefix", "reader");

/** Lone halves of surrogate pairs come back as the replacement that stands for them. */
const wellFormed = (word: string): string => Buffer.from(word).toString();

const echo = fc.tuple(marker, encoding, fc.constantFrom<Who>("full", "prefix", "reader")).map(
  ([word, headers, who]): Input => ({
    ...{ kind: "http", who, method: "POST", path: "", headers },
    body: latin1(JSON.stringify(["ECHO", word])),
    echoes: [{ at: null, word: wellFormed(word) }],
  }),
);

const echoByPath = fc.tuple(marker, fc.constantFrom("GET", "POST", "PUT")).map(
  ([word, method]): Input => ({
    ...{ kind: "http", who: "full", method, body: "" },
    path: `/echo/${encodeURIComponent(wellFormed(word))}`,
    headers: { "upstash-encoding": "base64" },
    echoes: [{ at: null, word: wellFormed(word) }],
  }),
);

const several = fc
  .tuple(
    fc.array(fc.oneof(marker, command), { minLength: 1, maxLength: 12 }),
    fc.constantFrom("/pipeline", "/pipeline", "/multi-exec"),
    encoding,
    bounded,
  )
  .map(([parts, path, headers, who]): Input => {
    const commands = parts.map((each) => (typeof each === "string" ? ["ECHO", each] : each));
    // A command that is refused discards a whole transaction.
    const echoes = parts.flatMap((each, at) =>
      typeof each === "string" && path === "/pipeline" ? [{ at, word: wellFormed(each) }] : [],
    );
    const body = latin1(JSON.stringify(commands));
    return { kind: "http", who, method: "POST", path, body, headers, echoes };
  });

const one = fc.tuple(command, encoding, bounded).map(
  ([words, headers, who]): Input => ({
    ...{ kind: "http", who, method: "POST", path: "", headers, echoes: [] },
    body: latin1(JSON.stringify(words)),
  }),
);

const addressed = fc
  .tuple(
    fc.array(
      fc.oneof(
        key,
        name.map(([first = ""]) => first),
      ),
      { minLength: 1, maxLength: 5 },
    ),
    fc.dictionary(text, text, { maxKeys: 3 }),
    fc.constantFrom("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"),
    text,
    bounded,
  )
  .filter(([[first = ""]]) => !/^p?subscribe$/i.test(first))
  .map(([words, query, method, body, who]): Input => {
    const path = words.map((word) => `/${encodeURIComponent(wellFormed(word))}`).join("");
    const search = Object.entries(query)
      .map(
        ([name, value]) =>
          `${encodeURIComponent(wellFormed(name))}=${encodeURIComponent(wellFormed(value))}`,
      )
      .join("&");
    const url = search === "" ? path : `${path}?${search}`;
    return { kind: "http", who, method, path: url, body: latin1(body), headers: {}, echoes: [] };
  });

const path = fc.constantFrom(
  "",
  "/",
  "/pipeline",
  "/multi-exec",
  "/set/k",
  "/seal",
  "/x?%",
  "/%ff",
);
const anything = fc.oneof(
  fc.json(),
  fc.json().map((value) => `[${value}]`),
  fc.json().map((value) => `[["ECHO","x"],${value}]`),
  fc.string({ unit: "binary" }),
  fc.integer({ min: 1, max: 5000 }).map((depth) => "[".repeat(depth)),
);
const formats = fc.dictionary(
  fc.constantFrom(
    "upstash-encoding",
    "upstash-response-format",
    "upstash-sync-token",
    "content-type",
    "picket-deadline-ms",
  ),
  fc.constantFrom("base64", "resp2", "json", "resp3", "", "0", "1e9", "x"),
);
const nonsense = fc
  .tuple(fc.constantFrom<Who>("full", "prefix", "control", "nobody"), path, anything, formats)
  .map(
    ([who, where, body, headers]): Input => ({
      ...{ kind: "http", who, method: "POST", path: where, headers, echoes: [] },
      body: latin1(body),
    }),
  );

const looking = fc
  .tuple(
    fc.constantFrom<Who>("control", "control", "control", "full", "nobody"),
    fc.constantFrom("POST", "POST", "POST", "GET", "PUT"),
    fc.oneof(
      fc
        .array(fc.oneof(fc.constantFrom("a", "b"), text), { maxLength: 5 })
        .map((nodes) => ({ nodes })),
      fc.json().map((value): unknown => ({ nodes: JSON.parse(value) })),
      anything,
    ),
  )
  .map(([who, method, body]): Input => {
    const bytes = typeof body === "string" ? body : JSON.stringify(body);
    return { kind: "look", who, method, body: latin1(bytes) };
  });

/** A right request with some of its bytes wrong, missing or twice. */
const mutated = fc
  .tuple(
    command,
    fc.array(fc.tuple(fc.nat(400), fc.nat(255), fc.nat(2)), { minLength: 1, maxLength: 4 }),
  )
  .map(([words, changes]): Input => {
    const body = latin1(JSON.stringify(words));
    const lines = [
      ...["POST /nodes/a HTTP/1.1", "Host: x", "Authorization: Bearer TOKEN"],
      ...["Connection: close", `Content-Length: ${body.length}`],
    ];
    let request = `${lines.join("\r\n")}\r\n\r\n${body}`;
    for (const [where, byte, how] of changes) {
      const at = where % (request.length + 1);
      const middle =
        how === 0
          ? String.fromCharCode(byte)
          : how === 1
            ? ""
            : request.slice(at, at + 9).repeat(2);
      request = request.slice(0, at) + middle + request.slice(at + (how === 2 ? 9 : 1));
    }
    return { kind: "raw", text: request };
  });

const listening = fc.tuple(fc.constantFrom("subscribe", "psubscribe"), text).map(
  ([verb, channel]): Input => ({
    kind: "listen",
    path: `/${verb}/${encodeURIComponent(`app:${wellFormed(channel)}`)}`,
  }),
);

const input: fc.Arbitrary<Input> = fc.oneof(
  { weight: 20, arbitrary: echo },
  { weight: 8, arbitrary: echoByPath },
  { weight: 20, arbitrary: several },
  { weight: 16, arbitrary: one },
  { weight: 12, arbitrary: addressed },
  { weight: 16, arbitrary: nonsense },
  { weight: 4, arbitrary: looking },
  { weight: 6, arbitrary: mutated },
  { weight: 2, arbitrary: listening },
);

export const inputsOf = (seed: number, count: number): readonly Input[] =>
  fc.sample(input, { seed, numRuns: count });
