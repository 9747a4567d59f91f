/**
 * Sending one input, and judging the answer.
 *
 * Promises: settles by a deadline; null is well, else one line that says what is not.
 * Must never: take an error for a fault of the relay where the input earned it.
 */
import { Agent, type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import type { Input } from "./inputs.ts";
import { TOKENS } from "./target.ts";

/** Far above anything that is allowed: whoever is not answered by then never will be. */
const HANG_MS = 60_000;
const STATUSES = new Set([200, 400, 401, 403, 404, 405, 413, 503]);

export type Sender = {
  readonly send: (input: Input) => Promise<string | null>;
  readonly close: () => void;
};

type Heard = { readonly status: number; readonly type: string; readonly body: Buffer };

export function createSender(port: number, sockets: number): Sender {
  const agent = new Agent({ keepAlive: true, maxSockets: sockets });
  return {
    send: (input) => {
      switch (input.kind) {
        case "http":
          return sendHttp(port, agent, input);
        case "look":
          return sendHttp(port, agent, { ...input, ...PLAIN }, "/look");
        case "raw":
          return sendRaw(port, input.text.replace("TOKEN", TOKENS.full));
        case "listen":
          return listen(port, input.path);
      }
    },
    close: () => agent.destroy(),
  };
}

const PLAIN = { kind: "http", path: "", headers: {}, echoes: [] } as const;

async function sendHttp(
  port: number,
  agent: Agent,
  input: Extract<Input, { kind: "http" }>,
  whole?: string,
): Promise<string | null> {
  const node = input.who === "prefix" || input.who === "reader" ? "b" : "a";
  const body = Buffer.from(input.body, "latin1");
  const heard = await new Promise<Heard | string>((resolve) => {
    const sent = request(
      {
        ...{
          host: "127.0.0.1",
          port,
          agent,
          method: input.method,
          path: whole ?? `/nodes/${node}${input.path}`,
        },
        headers: {
          ...input.headers,
          authorization: `Bearer ${TOKENS[input.who]}`,
          "content-length": body.length,
        },
        timeout: HANG_MS,
      },
      (response) => collect(response, resolve),
    );
    sent.on("timeout", () => sent.destroy(new Error("no answer: it hangs")));
    sent.on("error", (error) => resolve(`no answer: ${error.message}`));
    sent.end(body);
  });
  return typeof heard === "string" ? heard : faultOf(input, heard);
}

function collect(response: IncomingMessage, resolve: (heard: Heard | string) => void): void {
  const chunks: Buffer[] = [];
  response.on("data", (chunk: Buffer) => chunks.push(chunk));
  response.on("error", (error) => resolve(`cut off: ${error.message}`));
  response.on("end", () =>
    resolve({
      status: response.statusCode ?? 0,
      type: response.headers["content-type"] ?? "",
      body: Buffer.concat(chunks),
    }),
  );
}

function faultOf(
  input: Extract<Input, { kind: "http" }>,
  { status, type, body }: Heard,
): string | null {
  if (!STATUSES.has(status)) return `status ${status}: ${body.toString().slice(0, 200)}`;
  if (input.method === "HEAD") return body.length === 0 ? null : "a body for HEAD";
  if (type === "application/octet-stream")
    return /^[+\-:$*]/.test(body.toString()) ? null : "no RESP";
  if (type !== "application/json") return `type ${type}`;
  let answer: unknown;
  try {
    answer = JSON.parse(body.toString());
  } catch {
    return `no JSON: ${body.toString().slice(0, 200)}`;
  }
  for (const { at, word } of input.echoes) {
    const place = at === null ? answer : (answer as unknown[])[at];
    const result = (place as { result?: unknown } | undefined)?.result;
    const base64 = input.headers["upstash-encoding"] === "base64";
    const said =
      base64 && result !== "OK" ? Buffer.from(String(result), "base64").toString() : result;
    if (said !== word) return `not its own answer: ${JSON.stringify(answer).slice(0, 300)}`;
  }
  return null;
}

/** Whatever is sent, the connection ends, and what came is nothing or HTTP. */
function sendRaw(port: number, text: string): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    let heard = "";
    const timer = setTimeout(() => {
      socket.destroy();
      resolve("a connection that was ended stays open");
    }, HANG_MS);
    socket.on("data", (chunk) => {
      heard += chunk.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(timer);
      const status = Number(/^HTTP\/1\.1 (\d+) /.exec(heard)?.[1]);
      const fine = heard === "" || STATUSES.has(status) || status === 431 || status === 100;
      resolve(fine ? null : `raw: ${heard.slice(0, 200)}`);
    });
    socket.end(Buffer.from(text, "latin1"));
  });
}

/** Opens a stream, hears that it is open, and leaves. */
function listen(port: number, path: string): Promise<string | null> {
  return new Promise((resolve) => {
    const sent = request({
      ...{ host: "127.0.0.1", port, method: "POST", path: `/nodes/b${path}`, timeout: HANG_MS },
      headers: { authorization: `Bearer ${TOKENS.prefix}`, "content-length": 0 },
    });
    sent.on("timeout", () => sent.destroy(new Error("no answer: it hangs")));
    sent.on("error", (error) => resolve(`stream: ${error.message}`));
    sent.on("response", (response) => {
      response.on("error", () => {});
      response.once("data", (chunk: Buffer) => {
        // A name with a line break is refused, and no other.
        const well = /%0[AD]/i.test(path)
          ? response.statusCode === 400
          : response.statusCode === 503 || /^data: p?subscribe,app:/.test(chunk.toString());
        resolve(well ? null : `stream: ${response.statusCode} ${chunk.toString().slice(0, 200)}`);
        sent.off("error", () => {});
        sent.on("error", () => {});
        sent.destroy();
      });
    });
    sent.end();
  });
}
