import { readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { startRelay } from "../../worker/relay/serve.ts";
import type { Journal } from "../../worker/relay/verbs/fence.ts";
import { openJournal } from "../../worker/relay/verbs/journal.ts";
import { nodeAt, settingsFor, temporaryFolder } from "./support.ts";

const journal: Journal = {
  groups: new Map([
    ["g", { epoch: 7, primary: "b" }],
    ["__proto__", { epoch: 1, primary: null }],
  ]),
  actions: [
    {
      group: "g",
      id: "x",
      verb: "promote",
      node: "b",
      epoch: 7,
      content: "[]",
      outcome: "unknown",
      detail: "",
    },
  ],
};

async function opened(path: string) {
  const journal = await openJournal(path);
  if (journal.kind === "unusable") throw new Error(journal.complaint);
  return journal;
}

test("what was saved is read again, whole", async () => {
  const path = join(await temporaryFolder(), "state.json");
  const first = await opened(path);
  expect(first.journal).toEqual({ groups: new Map(), actions: [] });
  await first.store.save(journal);
  const again = await opened(path);
  expect(
    [...again.journal.groups].map(([name, { epoch, primary }]) => [name, epoch, primary]),
  ).toEqual([
    ["g", 7, "b"],
    ["__proto__", 1, null],
  ]);
  expect(again.journal.actions).toEqual(journal.actions);
  expect(await readdir(dirname(path))).toEqual(["state.json"]);
});

test("saves that overlap end with the last one", async () => {
  const path = join(await temporaryFolder(), "state.json");
  const { store } = await opened(path);
  const epochs = Array.from({ length: 30 }, (_, epoch) => epoch);
  await Promise.all(
    epochs.map((epoch) =>
      store.save({ groups: new Map([["g", { epoch, primary: null }]]), actions: [] }),
    ),
  );
  expect((await opened(path)).journal.groups.get("g")?.epoch).toBe(29);
});

test.each([
  ["empty", ""],
  ["half written", '{"v":1,"groups":[{"gr'],
  ["another version", '{"v":2,"groups":[],"actions":[]}'],
  [
    "an epoch that is none",
    '{"v":1,"groups":[{"group":"g","epoch":-1,"primary":null}],"actions":[]}',
  ],
  ["a list", "[]"],
])("a damaged file (%s) is refused by name and left as it is", async (_, text) => {
  const settings = await settingsFor([nodeAt("a", { host: "127.0.0.1", port: 1 })]);
  await writeFile(settings.stateFile, text);
  await expect(startRelay(settings)).rejects.toThrow(settings.stateFile);
  expect(await readFile(settings.stateFile, "utf8")).toBe(text);
});

test("a folder that is not there is found out at the start", async () => {
  const folder = await temporaryFolder();
  const settings = await settingsFor([nodeAt("a", { host: "127.0.0.1", port: 1 })], {
    stateFile: join(folder, "missing", "state.json"),
  });
  await expect(startRelay(settings)).rejects.toThrow("ENOENT");
});
