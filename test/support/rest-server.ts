/**
 * A small server that speaks the Upstash REST protocol as the SDK needs it, over a map in memory.
 *
 * Promises: a real socket on 127.0.0.1; what it answers to a command can be bent, test by test.
 * Must never: stand in for the relay where the relay's own rules are in question.
 */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

export type Command = readonly (string | number)[];

/** `hang`: no answer at all; `drop`: the connection ends without one. */
export type Reply = { readonly result: unknown } | { readonly error: string } | "hang" | "drop";

export type RestServer = {
  readonly url: string;
  /** Every command that arrived, in order. */
  readonly commands: Command[];
  readonly authorizations: (string | undefined)[];
  readonly syncTokens: (string | undefined)[];
  readonly data: Map<string, string>;
  /** Asked before the map; undefined: the map answers. */
  bend: (command: Command) => Reply | Promise<Reply> | undefined;
  stop(): Promise<void>;
};

export async function startRestServer(): Promise<RestServer> {
  const data = new Map<string, string>();
  const commands: Command[] = [];
  const authorizations: (string | undefined)[] = [];
  const syncTokens: (string | undefined)[] = [];

  const server = createServer(async (request, response) => {
    authorizations.push(request.headers.authorization);
    syncTokens.push(request.headers["upstash-sync-token"] as string | undefined);
    const body = JSON.parse(await textOf(request));
    const pipeline = request.url === "/pipeline" || request.url === "/multi-exec";
    const replies = await Promise.all(
      (pipeline ? (body as Command[]) : [body as Command]).map((command) => {
        commands.push(command);
        return self.bend(command) ?? execute(data, command);
      }),
    );
    if (replies.includes("hang")) return;
    if (replies.includes("drop")) return void request.socket.destroy();
    const single = replies[0] ?? { error: "ERR empty" };
    const failed = !pipeline && typeof single === "object" && "error" in single;
    response.writeHead(failed ? 400 : 200, {
      "content-type": "application/json",
      "upstash-sync-token": String(commands.length),
    });
    response.end(JSON.stringify(pipeline ? replies.map(encoded) : encoded(single)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;

  const self: RestServer = {
    url: `http://127.0.0.1:${port}`,
    commands,
    authorizations,
    syncTokens,
    data,
    bend: () => undefined,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return self;
}

function execute(data: Map<string, string>, [name, key = "", value = ""]: Command): Reply {
  switch (String(name).toLowerCase()) {
    case "ping":
      return { result: "PONG" };
    case "get":
      return { result: data.get(String(key)) ?? null };
    case "set":
      data.set(String(key), String(value));
      return { result: "OK" };
    case "incr": {
      const next = Number(data.get(String(key)) ?? 0) + 1;
      data.set(String(key), String(next));
      return { result: next };
    }
    default:
      return { error: `ERR unknown command '${name}'` };
  }
}

/** Upstash-Encoding: base64, which the SDK always asks for: every string but OK. */
function encoded(reply: Reply): unknown {
  if (typeof reply === "string" || "error" in reply) return reply;
  return { result: reply.result === "OK" ? "OK" : base64(reply.result) };
}

function base64(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(base64);
  return typeof value === "string" ? Buffer.from(value).toString("base64") : value;
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text;
}
