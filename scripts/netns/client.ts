/**
 * The bench's writer as a process of its own, to stand in a box. `node scripts/netns/client.ts <host> <port> <n>`
 *
 * Promises: stays at its address whatever happens; a line of JSON for each acknowledged number, its time in ms
 * since 1970; ends when its stdin does.
 */
import { writeSync } from "node:fs";
import { startWriter } from "../bench/writer.ts";

const [host = "", port, firstNumber] = process.argv.slice(2);
const writer = startWriter({ host, port: Number(port) }, Number(firstNumber));
let told = 0;
const tell = () => {
  for (const { n, atMs, by } of writer.acks.slice(told))
    writeSync(1, `${JSON.stringify({ n, atMs: performance.timeOrigin + atMs, by })}\n`);
  told = writer.acks.length;
};
const timer = setInterval(tell, 20);
process.stdin.resume();
process.stdin.once("end", () => {
  clearInterval(timer);
  writer.stop();
  tell();
  process.exit(0);
});
