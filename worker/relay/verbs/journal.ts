/**
 * The relay's memory across restarts: one JSON file with the epochs it holds and its recent actions.
 *
 * Promises: after `save` resolved the journal, or a newer one, survives a power cut; an older one never
 * comes after a newer one; a missing file is an empty journal; a file that is no journal is refused by name.
 * Must never: repair or overwrite a file that it could not read.
 */
import { open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import * as v from "valibot";
import { verbAnswer, verbs } from "../protocol.ts";
import { type Journal, MAX_ACTIONS, MAX_GROUPS } from "./fence.ts";

export type JournalStore = { readonly save: (journal: Journal) => Promise<void> };

export type OpenedJournal =
  | { readonly kind: "journal"; readonly journal: Journal; readonly store: JournalStore }
  | { readonly kind: "unusable"; readonly complaint: string };

const epoch = v.pipe(v.number(), v.integer(), v.minValue(0));
const journalFile = v.strictObject({
  v: v.literal(1),
  groups: v.pipe(
    v.array(v.strictObject({ group: v.string(), epoch, primary: v.nullable(v.string()) })),
    v.maxLength(MAX_GROUPS),
  ),
  actions: v.pipe(
    v.array(
      v.strictObject({
        group: v.string(),
        id: v.string(),
        verb: v.picklist(verbs),
        node: v.string(),
        epoch,
        content: v.string(),
        outcome: verbAnswer.entries.outcome,
        detail: v.string(),
      }),
    ),
    v.maxLength(MAX_ACTIONS),
  ),
});

export async function openJournal(path: string): Promise<OpenedJournal> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (codeOf(error) !== "ENOENT") return unusable(path, `cannot be read (${codeOf(error)})`);
    const journal: Journal = { groups: new Map(), actions: [] };
    return { kind: "journal", journal, store: storeIn(path) };
  }
  const journal = parseJournal(text);
  return journal === null
    ? unusable(path, "is no journal of a relay, or a damaged one; restore or remove it")
    : { kind: "journal", journal, store: storeIn(path) };
}

function unusable(path: string, problem: string): OpenedJournal {
  return { kind: "unusable", complaint: `state file ${path} ${problem}` };
}

function parseJournal(text: string): Journal | null {
  try {
    const parsed = v.safeParse(journalFile, JSON.parse(text));
    if (!parsed.success) return null;
    const { groups, actions } = parsed.output;
    return {
      groups: new Map(groups.map((each) => [each.group, each])),
      actions,
    };
  } catch {
    return null;
  }
}

const storeIn = (path: string): JournalStore => ({ save: createWriter(path, textOf) });

/** One write at a time; all who ask while it runs share the next one, so a hung disk gathers nothing. */
export function createWriter<T>(
  path: string,
  textOf: (value: T) => string,
): (value: T) => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  let next: { value: T; readonly saved: Promise<void> } | null = null;
  return (value) => {
    if (next !== null) {
      next.value = value;
      return next.saved;
    }
    const saved = last.then(() => {
      const text = textOf(next === null ? value : next.value);
      next = null;
      return replace(path, text);
    });
    last = saved.catch(() => {});
    next = { value, saved };
    return saved;
  };
}

function textOf(journal: Journal): string {
  const groups = [...journal.groups].map(([group, held]) => ({
    group,
    epoch: held.epoch,
    primary: held.primary,
  }));
  return `${JSON.stringify({ v: 1, groups, actions: journal.actions })}\n`;
}

/** The file is the old one or the new one, never a part: written beside, synced, renamed, folder synced. */
async function replace(path: string, text: string): Promise<void> {
  const beside = `${path}.tmp`;
  const file = await open(beside, "w", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(beside, path);
  const folder = await open(dirname(path), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown error";
}
