/**
 * A relay as a process of its own, with its file.
 *
 * Promises: it listens when `start` resolves; it ends with this process. Must never: outlive it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";

export type RelayProcess = {
  readonly id: string;
  readonly url: string;
  readonly pid: () => number;
  readonly kill: (signal?: NodeJS.Signals) => Promise<void>;
  readonly start: () => Promise<void>;
  /** Its configuration; read again with every start, and on SIGHUP. */
  readonly file: string;
  /** Its journal: replaced with every verb. */
  readonly stateFile: string;
};

const script = new URL("../relay.ts", import.meta.url).pathname;

/**
 * @param inside a command that runs another one in the relay's box; empty for none.
 * @param settings what its file holds, but for the state file.
 */
export async function startRelayProcess(
  dir: string,
  inside: readonly string[],
  settings: {
    readonly id: string;
    readonly listen: { readonly host: string; readonly port: number };
    readonly [setting: string]: unknown;
  },
): Promise<RelayProcess> {
  const { id, listen } = settings;
  const file = `${dir}/relay-${id}.json`;
  const stateFile = `${dir}/relay-${id}.state.json`;
  await writeFile(file, JSON.stringify({ ...settings, state_file: stateFile }));
  let child: ChildProcess | null = null;
  const start = async () => {
    child = await launch(file, inside);
  };
  await start();
  return {
    id,
    url: `http://${listen.host}:${listen.port}`,
    pid: () => child?.pid ?? -1,
    kill: async (signal = "SIGKILL") => {
      if (child === null || child.exitCode !== null || child.signalCode !== null) return;
      child.kill(signal);
      if (signal === "SIGKILL" || signal === "SIGTERM") await once(child, "exit");
    },
    ...{ start, file, stateFile },
  };
}

/** Resolves when it says that it listens; rejects with its complaint when it ends before that. */
async function launch(file: string, inside: readonly string[]): Promise<ChildProcess> {
  const line = [...inside, process.execPath, script, "--config", file];
  const [command = process.execPath, ...args] = line;
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  const last = () => child.kill("SIGKILL");
  process.on("exit", last);
  child.on("exit", () => process.off("exit", last));
  let complaint = "";
  child.stderr.on("data", (chunk: Buffer) => {
    complaint = `${complaint}${chunk.toString()}`.slice(-2000);
  });
  await new Promise<void>((resolve, reject) => {
    // Under a lease it may say something before: it begins by sealing.
    createInterface(child.stdout).on("line", (said) => {
      if (JSON.parse(said).event === "start") resolve();
    });
    child.once("exit", (code) => reject(new Error(`the relay ended with ${code}: ${complaint}`)));
  });
  return child;
}
