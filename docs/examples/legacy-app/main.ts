/**
 * An app that knows nothing of Picket: it resolves a host name, keeps the answer for as long as DNS says, and
 * connects anew whenever that is over or a connection breaks.
 *
 * HOST and PORT: where Redis is, by name. DNS_SERVER: "127.0.0.1:5353" in place of the system's.
 */
import { Resolver } from "node:dns/promises";
import { createConnection } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

const { HOST = "cache.example.com", PORT = "6379", DNS_SERVER } = process.env;
const resolver = new Resolver({ timeout: 2000, tries: 2 });
if (DNS_SERVER !== undefined) resolver.setServers([DNS_SERVER]);

let known = { address: "", untilMs: 0 };
async function resolved(): Promise<string> {
  if (Date.now() < known.untilMs) return known.address;
  const [answer] = await resolver.resolve4(HOST, { ttl: true });
  if (answer === undefined) throw new Error(`${HOST} has no address`);
  known = { address: answer.address, untilMs: Date.now() + answer.ttl * 1000 };
  console.log(JSON.stringify({ resolved: answer.address, ttl: answer.ttl }));
  return answer.address;
}

/** One command as Redis reads it by hand, and the first line of its answer. */
async function ask(command: string): Promise<string> {
  const socket = createConnection({ host: await resolved(), port: Number(PORT), timeout: 2000 });
  try {
    socket.on("timeout", () => socket.destroy(new Error("no answer in time")));
    socket.write(`${command}\r\n`);
    for await (const chunk of socket) return String(chunk).trim();
    throw new Error("closed without an answer");
  } finally {
    socket.destroy();
  }
}

for (let n = 1; ; n += 1) {
  try {
    const answer = await ask(`SADD numbers ${n}`);
    if (answer.startsWith("-")) throw new Error(answer);
    console.log(JSON.stringify({ confirmed: n, at: known.address }));
  } catch (error) {
    console.log(JSON.stringify({ failed: n, why: (error as Error).message }));
  }
  await pause(50);
}
