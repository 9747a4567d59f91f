import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";
import { variables } from "./workerd/group.ts";

process.env.WRANGLER_SEND_METRICS = "false";
process.env.CLOUDFLARE_CF_FETCH_ENABLED = "false";

const root = new URL("..", import.meta.url).pathname;
const timeouts = { testTimeout: 30_000, hookTimeout: 60_000 };

export default defineConfig({
  test: {
    root,
    maxWorkers: 2,
    projects: [
      {
        test: {
          name: "node",
          root,
          globalSetup: ["test/support/fetch-redis.ts"],
          include: ["test/**/*.test.ts"],
          exclude: ["test/workerd/**"],
          ...timeouts,
        },
      },
      {
        // Inside the Workers runtime: what only there can be asked of a Durable Object, such as its alarm.
        plugins: [
          cloudflareTest({
            wrangler: { configPath: `${root}wrangler.toml` },
            miniflare: { bindings: variables },
          }),
        ],
        test: { name: "workerd", root, include: ["test/workerd/**/*.test.ts"], ...timeouts },
      },
    ],
  },
});
