/**
 * What the relay is measured against: a plain node:http server that does the same Redis work and nothing else.
 * `node scripts/bench/relay/bare.ts <port> <redis port>`
 *
 * Promises: JSON in and out as the relay's Upstash face has it, the same client library with the same automatic
 * pipelining; no token, no limit, no table of commands, no deadline, no base64, no exact integers.
 * Must never: be used for anything but the bench.
 */
import { createServer } from "node:http";
import { createClient } from "@redis/client";

const [port, redisPort] = process.argv.slice(2).map(Number);
// The library's own timer per command is off, as in the relay: it would cost a quarter of everything here.
const client = createClient({
  RESP: 2,
  commandOptions: { timeout: 0 },
  socket: { host: "127.0.0.1", port: redisPort ?? 0 },
});
client.on("error", (error) => console.error(String(error)));
await client.connect();

const one = async (command: readonly string[]) => {
  try {
    return { result: await client.sendCommand(command) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
};

const server = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on("data", (part: Buffer) => parts.push(part));
  request.on("end", async () => {
    const body = JSON.parse(Buffer.concat(parts).toString());
    const pipeline = request.url?.endsWith("/pipeline") === true;
    const answer = JSON.stringify(await (pipeline ? Promise.all(body.map(one)) : one(body)));
    const length = Buffer.byteLength(answer);
    response.writeHead(200, { "content-type": "application/json", "content-length": length });
    response.end(answer);
  });
});
server.listen(port, "127.0.0.1", () => console.log("listening"));
process.once("SIGTERM", () => process.exit(0));
