/**
 * docs/route.schema.json from the schema in worker/core/route-schema.ts: `npm run schema` writes it, `--check` compares.
 *
 * Promises: it says what the code checks, and nothing more; readers of routes in other languages check with it.
 * Must never: write anything else.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { toJsonSchema } from "@valibot/to-json-schema";
import { RouteSchema } from "../worker/core/route-schema.ts";

const file = join(import.meta.dirname, "../docs/route.schema.json");

const { $schema, ...schema } = toJsonSchema(RouteSchema, { target: "draft-2020-12" });
const document = {
  $schema,
  title: "Picket's route of one group, version 1",
  description:
    "The value of the KV key route:<group>, and the answer of GET /v1/groups/:group/route. Keys that are not " +
    "listed may come with any version: ignore them. Take over a route only if its (epoch, rev) is not lower.",
  ...schema,
};
const after = JSON.stringify(document, null, 2);
if (!process.argv.includes("--check")) writeFileSync(file, `${after}\n`);
// What it says counts, not how its lines are broken.
else if (JSON.stringify(JSON.parse(readFileSync(file, "utf8")), null, 2) !== after) {
  console.error(
    "docs/route.schema.json is not what worker/core/route-schema.ts says: npm run schema",
  );
  process.exit(1);
}
