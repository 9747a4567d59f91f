/**
 * One run of the fuzzer: many inputs at once, in batches, each with a seed of its own.
 *
 * Promises: stops at the first batch with a fault, and tells its seed and the input; in the end the relay is
 * alive and answers, and nothing outside of what tokens allow has changed.
 * Must never: go on after a fault, which would only be followed by others.
 */
import { openSession } from "../../worker/redis/session.ts";
import type { RedisProcess } from "../redis-server.ts";
import { type Input, inputsOf } from "./inputs.ts";
import { createSender, type Sender } from "./send.ts";
import { startTarget, type Target } from "./target.ts";

export type Options = {
  readonly seed: number;
  readonly count: number;
  readonly tell?: (line: string) => void;
};

export type Outcome =
  | { readonly kind: "well"; readonly count: number; readonly residentBytes: number }
  | {
      readonly kind: "fault";
      readonly seed: number;
      readonly what: string;
      readonly input: Input | null;
    };

const BATCH = 1000;
const AT_ONCE = 48;
const CANARIES = ["canary", "other:1"];

export async function fuzz({ seed, count, tell = () => {} }: Options): Promise<Outcome> {
  const target = await startTarget();
  const sender = createSender(target.port, AT_ONCE);
  try {
    await ask(target.b, ...CANARIES.map((key) => ["SET", key, `the value of ${key}`]));
    for (let done = 0; done < count; done += BATCH) {
      const batch = seed + done / BATCH;
      const fault = await runBatch(target, sender, batch, Math.min(BATCH, count - done));
      if (fault !== null) return { kind: "fault", seed: batch, ...fault };
      if ((done / BATCH) % 20 === 19) {
        // What is fuzzed is the relay: Redis need not keep what fuzzing left there.
        await ask(target.a, ["FLUSHALL"]);
        tell(`${done + BATCH} inputs, ${Math.round((await target.residentBytes()) / 2 ** 20)} MiB`);
      }
    }
    const residentBytes = await target.residentBytes();
    return { kind: "well", count, residentBytes };
  } finally {
    sender.close();
    await target.stop();
  }
}

type Fault = { readonly what: string; readonly input: Input | null };

async function runBatch(
  target: Target,
  sender: Sender,
  seed: number,
  count: number,
): Promise<Fault | null> {
  const inputs = inputsOf(seed, count).values();
  let fault: Fault | null = null;
  const worker = async () => {
    for (const input of inputs) {
      if (fault !== null) return;
      const what = await sender.send(input);
      if (what !== null) fault ??= { what, input };
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  if (!target.isAlive())
    return { what: `the relay has ended: ${target.complaints()}`, input: null };
  return fault ?? (await trespass(target));
}

/** Node b is reached with bounded tokens only: outside of their prefix nothing has changed. */
async function trespass({ b }: Target): Promise<Fault | null> {
  const [keys, ...values] = await ask(b, ["KEYS", "*"], ...CANARIES.map((key) => ["GET", key]));
  const outside = (keys as readonly unknown[])
    .map(String)
    .filter((key) => !key.startsWith("app:") && !CANARIES.includes(key));
  if (outside.length > 0) return { what: `keys outside of the prefix: ${outside}`, input: null };
  const changed = CANARIES.filter((key, at) => String(values[at]) !== `the value of ${key}`);
  return changed.length === 0 ? null : { what: `changed: ${changed}`, input: null };
}

async function ask({ host, port }: RedisProcess, ...commands: readonly (readonly string[])[]) {
  const session = openSession({ host, port, username: null, password: null }, 20_000);
  try {
    const answer = await session.run(commands, { deadlineMs: 20_000 });
    if (answer.kind === "failure") throw new Error(`Redis at ${port}: ${answer.detail}`);
    return answer.replies;
  } finally {
    session.close();
  }
}
