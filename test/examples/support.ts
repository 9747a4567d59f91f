/**
 * What the tests of the examples run them in: an example as a process of its own, a resolver, a port of its own.
 *
 * Promises: everything ends with the test that asked for it.
 */
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";
import * as packet from "dns-packet";
import { onTestFinished } from "vitest";
import { query } from "../support/dns.ts";

export type Line = {
  readonly confirmed?: number;
  readonly failed?: number;
  readonly at?: string;
  readonly resolved?: string;
  readonly ttl?: number;
};

export function startExample(
  path: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
) {
  const script = new URL(`../../docs/examples/${path}`, import.meta.url).pathname;
  const child = spawn(process.execPath, [script, ...args], {
    env: { PATH: process.env.PATH ?? "", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: Line[] = [];
  let complaint = "";
  createInterface(child.stdout).on("line", (line) => lines.push(JSON.parse(line) as Line));
  child.stderr.on("data", (chunk: Buffer) => {
    complaint = `${complaint}${chunk.toString()}`.slice(-2000);
  });
  const stop = async (signal: NodeJS.Signals = "SIGKILL") => {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    child.kill(signal);
    await once(child, "exit");
    return child.exitCode;
  };
  onTestFinished(() => void stop());
  const confirmed = (from = 0) =>
    lines.slice(from).flatMap(({ confirmed: n }) => (n === undefined ? [] : [n]));
  return { lines, stop, confirmed, said: () => complaint };
}

/** A resolver before the authoritative server at `port`, which keeps nothing for longer than `mostS`. */
export async function startResolver(port: number, mostS: number): Promise<string> {
  const socket = createSocket("udp4");
  socket.on("message", async (bytes, { port: asker, address }) => {
    const { id = 0, questions = [] } = packet.decode(bytes);
    const [question] = questions;
    if (question === undefined) return;
    const found = await query(port, question.name, question.type).catch(() => null);
    if (found === null) return;
    const answers = found.answers.map((each) => ({
      ...each,
      ttl: Math.min(mostS, (each as { readonly ttl: number }).ttl),
    }));
    const flags = packet.RECURSION_DESIRED;
    const answer = packet.encode({ type: "response", id, flags, questions, answers });
    socket.send(answer, asker, address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  onTestFinished(() => void socket.close());
  return `127.0.0.1:${socket.address().port}`;
}

/** Every host answers at the same port, as hosts do; here each leads to where its Redis really listens. */
export async function samePort(targets: Readonly<Record<string, number>>): Promise<number> {
  let port = 0;
  for (const [host, target] of Object.entries(targets)) {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      const onward = connect(target, host);
      for (const [each, other] of [
        [socket, onward],
        [onward, socket],
      ] as const) {
        sockets.add(each);
        each.on("error", () => {});
        each.on("close", () => {
          sockets.delete(each);
          other.destroy();
        });
      }
      socket.pipe(onward).pipe(socket);
    });
    server.listen(port, host);
    await once(server, "listening");
    port = (server.address() as AddressInfo).port;
    onTestFinished(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
  }
  return port;
}
