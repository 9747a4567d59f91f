/**
 * A real relay process, as `npm run relay` starts it, and what it says.
 *
 * Promises: it is gone after the test that started it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { until } from "../support/wait.ts";
import { CONTROL, DATA, temporaryFolder } from "./support.ts";

const door = new URL("../../scripts/relay.ts", import.meta.url).pathname;

export type Line = { readonly event: string; readonly [field: string]: unknown };

type Running = {
  readonly url: string;
  readonly child: ChildProcess;
  readonly exit: Promise<number | null>;
  /** What it has logged so far. */
  readonly lines: () => readonly Line[];
  /** Waits for a line of this event, the `count`th one. */
  readonly line: (event: string, count?: number) => Promise<Line>;
};

export function run(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [door, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  const said = { out: "", err: "" };
  child.stdout.on("data", (text) => {
    said.out += text;
  });
  child.stderr.on("data", (text) => {
    said.err += text;
  });
  const exit = new Promise<number | null>((resolve) => child.once("close", resolve));
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await exit;
  });
  return { child, said, exit };
}

export async function relayProcess(config: string, env: NodeJS.ProcessEnv = {}): Promise<Running> {
  const { child, said, exit } = run(["--config", config], env);
  const lines = () =>
    said.out
      .split("\n")
      .slice(0, -1)
      .map((each): Line => JSON.parse(each));
  const line = (event: string, count = 1) =>
    until(
      `the relay logs ${event}`,
      () => lines().filter((each) => each.event === event)[count - 1],
      {
        withinMs: 30_000,
        seen: () => `${said.out}\n${said.err}`,
      },
    );
  const { listening } = await line("start");
  return { url: String(listening), child, exit, lines, line };
}

/** Writes a configuration; `rewrite` puts another in its place. */
export async function configFile(nodes: readonly unknown[], more: object = {}) {
  const folder = await temporaryFolder();
  const path = join(folder, "relay.json");
  const base = {
    id: "r",
    listen: { host: "127.0.0.1", port: 0 },
    state_file: join(folder, "state.json"),
    control_tokens: [CONTROL],
    data_tokens: [DATA],
    nodes,
    ...more,
  };
  const rewrite = (changes: object) => writeFile(path, JSON.stringify({ ...base, ...changes }));
  await rewrite({});
  return { path, state: base.state_file, rewrite };
}
