/**
 * Fuzzing the REST face: `npm run fuzz -- [--count N] [--seed S]`.
 *
 * Promises: a million inputs unless told otherwise; exit 1 with the seed and the input at the first crash, hang,
 * answer that belongs to another, or effect that a token forbids. `--seed S --count 1000` repeats a batch.
 * Must never: touch a Redis that it did not start.
 */
import { parseArgs } from "node:util";
import { fuzz } from "./fuzz/run.ts";

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "1000000" },
    seed: { type: "string", default: String(Date.now() % 1_000_000_000) },
  },
});
const count = Number(values.count);
const seed = Number(values.seed);
if (!Number.isSafeInteger(count) || count < 1 || !Number.isSafeInteger(seed) || seed < 0) {
  console.error("--count: a whole number from 1; --seed: a whole number from 0");
  process.exit(2);
}

console.log(`seed ${seed}, ${count} inputs`);
const startedAt = performance.now();
const outcome = await fuzz({ seed, count, tell: console.log });
if (outcome.kind === "fault") {
  console.error(`${outcome.what}\nnpm run fuzz -- --seed ${outcome.seed} --count 1000`);
  if (outcome.input !== null) console.error(JSON.stringify(outcome.input));
  process.exit(1);
}
const seconds = (performance.now() - startedAt) / 1000;
const mib = Math.round(outcome.residentBytes / 2 ** 20);
console.log(
  `${outcome.count} inputs in ${seconds.toFixed(0)} s, no fault; the relay has ${mib} MiB`,
);
