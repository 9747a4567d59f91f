/**
 * Applies each deliberate defect to a copy of the code, and simulates until it is caught.
 *
 * Promises: the code itself is never touched; the copies are gone afterwards; a defect whose place is not found
 * exactly once fails loudly.
 */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { runSeeds } from "../threads.ts";
import { mutants } from "./list.ts";
import type { Mutant } from "./mutant.ts";

const root = join(import.meta.dirname, "../../..");
const copies = join(root, ".cache/sim-mutants");

/** A defect that escapes so many seeds is not caught. */
const MOST_SEEDS = 400;
/** Groups that its scene does not fit take no time. */
const MOST_OF_SCENE = 1200;
const MINUTES = 6;

export type Caught = {
  readonly name: string;
  /** The rule that was broken first; null: it escaped. */
  readonly by: string | null;
  readonly text: string;
  readonly seed: number;
};

/** Defects whose place is not there exactly once: the code has moved on, and they have to follow. */
export function misplaced(some: readonly Mutant[] = mutants): readonly string[] {
  return some.flatMap((mutant) =>
    [mutant, ...(mutant.also ?? [])].flatMap(({ file, find }) => {
      const times = readFileSync(join(root, file), "utf8").split(find).length - 1;
      return times === 1 ? [] : [`${mutant.name}: its place is ${times} times in ${file}`];
    }),
  );
}

export async function hunt(some: readonly Mutant[] = mutants): Promise<readonly Caught[]> {
  const lost = misplaced(some);
  if (lost.length > 0) throw new Error(lost.join("\n"));
  const caught: Caught[] = [];
  const left = [...some];
  const next = async (): Promise<void> => {
    for (let mutant = left.shift(); mutant !== undefined; mutant = left.shift())
      caught.push(await huntOne(mutant));
  };
  await Promise.all(Array.from({ length: availableParallelism() }, next));
  return caught.sort((a, b) => order(some, a) - order(some, b));
}

const order = (some: readonly Mutant[], { name }: Caught) =>
  some.findIndex((mutant) => mutant.name === name);

export async function huntOne(mutant: Mutant): Promise<Caught> {
  const folder = join(copies, `${process.pid}-${mutant.name.replace(/\W+/g, "-")}`);
  try {
    const thread = breed(mutant, folder);
    let found: Caught | null = null;
    await runSeeds({
      first: 1,
      count: mutant.scene === undefined ? MOST_SEEDS : MOST_OF_SCENE,
      minutes: MINUTES,
      threads: 1,
      thread,
      mode: mutant.mode ?? "replication",
      ...(mutant.scene === undefined ? {} : { scene: mutant.scene }),
      onResult: ({ seed, violations }) => {
        const [first] = violations;
        if (first === undefined) return false;
        found ??= { name: mutant.name, by: first.rule, text: first.text, seed };
        return true;
      },
    });
    return found ?? { name: mutant.name, by: null, text: "", seed: 0 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The copy with its defect; returns where its thread begins. */
function breed(mutant: Mutant, folder: string): string {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const part of ["worker/core", "worker/relay", "worker/group", "scripts/sim"])
    cpSync(join(root, part), join(folder, part), { recursive: true });
  for (const change of [mutant, ...(mutant.also ?? [])]) {
    const path = join(folder, change.file);
    const text = readFileSync(path, "utf8");
    writeFileSync(path, text.split(change.find).join(change.replace));
  }
  return join(folder, "scripts/sim/thread.ts");
}
