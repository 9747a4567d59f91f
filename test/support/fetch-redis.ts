/** Before any test: redis-server is there, fetched if it must be, so that no test's time limit pays for it. */
import { findRedisServer } from "../../scripts/redis-server.ts";

export default async function setup(): Promise<void> {
  await findRedisServer();
}
