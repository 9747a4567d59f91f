/**
 * Sealing a node for whoever guards its lease: the relay, and the process that guards the relay.
 *
 * Promises: ends within `sealMs`; `sealed` only when Redis confirmed it; a Redis that does not is ended by the
 * configured command, which gets no secret and has a deadline of its own; one at a time.
 * Must never: open anything, or run a shell.
 */
import { spawn } from "node:child_process";
import type { Answer, Command } from "../../redis/connection.ts";
import type { Log } from "../log.ts";
import { seal } from "../verbs/steps.ts";

/** `gone`: nothing listens there, so nothing takes writes. */
export type Sealed = "sealed" | "gone" | "open";

export type Run = (
  commands: readonly Command[],
  options: { readonly deadlineMs: number },
) => Promise<Answer>;

export type Sealer = {
  /** @param gently a Redis that does not confirm is left alone, this time. */
  readonly seal: (why: string, gently?: boolean) => Promise<Sealed>;
};

const KILL_MS = 5000;
const TRANSACTION: readonly Command[] = [["MULTI"], ...seal, ["EXEC"]];

export function createSealer(parts: {
  readonly node: string;
  readonly sealMs: number;
  readonly killCommand: readonly string[] | null;
  readonly run: () => Run;
  readonly log: Log;
}): Sealer {
  const { node, sealMs, killCommand, log } = parts;
  let running: Promise<Sealed> | null = null;
  let killing = false;

  async function once(why: string, gently: boolean): Promise<Sealed> {
    const answer = await parts.run()(TRANSACTION, { deadlineMs: sealMs });
    const became = outcomeOf(answer);
    log("lease-seal", { node, why, outcome: became });
    if (became === "open" && killCommand !== null && !killing && !gently) {
      killing = true;
      void runKill(killCommand, (how) => log("lease-kill", { node, how })).then(() => {
        killing = false;
      });
    }
    return became;
  }

  return {
    seal(why, gently = false) {
      running ??= once(why, gently).finally(() => {
        running = null;
      });
      return running;
    },
  };
}

function outcomeOf(answer: Answer): Sealed {
  if (answer.kind === "failure") return answer.class === "refused" ? "gone" : "open";
  const done = answer.replies.at(-1);
  return Array.isArray(done) && !done.some((reply) => reply instanceof Error) ? "sealed" : "open";
}

/** Ends with the command, or with its deadline. Of the environment it gets only PATH. */
function runKill([command = "", ...args]: readonly string[], tell: (how: string) => void) {
  return new Promise<void>((resolve) => {
    const env = { PATH: process.env.PATH ?? "/usr/bin:/bin" };
    const child = spawn(command, args, { env, stdio: "ignore", shell: false });
    const timer = setTimeout(() => child.kill("SIGKILL"), KILL_MS);
    const end = (how: string) => {
      clearTimeout(timer);
      tell(how);
      resolve();
    };
    child.once("error", (error: NodeJS.ErrnoException) => end(error.code ?? "not started"));
    child.once("exit", (code, signal) => end(signal ?? `exit ${code}`));
  });
}
