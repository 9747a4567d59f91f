import { expect, test } from "vitest";
import { inputsOf } from "../../scripts/fuzz/inputs.ts";
import { fuzz } from "../../scripts/fuzz/run.ts";

test("20,000 inputs from right to nonsense: no crash, no hang, no answer that belongs to another, no trespass", async () => {
  expect(await fuzz({ seed: 1, count: 20_000 })).toMatchObject({ kind: "well", count: 20_000 });
}, 300_000);

test("the same seed makes the same inputs", () => {
  expect(inputsOf(7, 50)).toEqual(inputsOf(7, 50));
  expect(inputsOf(8, 50)).not.toEqual(inputsOf(7, 50));
});
