/**
 * What a redis-server says of its replication, asked from within its box, as JSON.
 * `node scripts/netns/info.ts <host> <port>`
 *
 * Promises: one question, one line. Must never: outlast its caller's patience, which ends it.
 */
import { info } from "../bench/side.ts";

const [host = "", port] = process.argv.slice(2);
console.log(JSON.stringify(await info({ host, port: Number(port) })));
process.exit(0);
