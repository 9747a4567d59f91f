/**
 * A real PowerDNS authoritative server with one zone in SQLite: on PATH, or Debian's, fetched into `.cache/pdns/`.
 *
 * Promises: listens on 127.0.0.1 only, answers its API once started, and is gone with its test, folder and all.
 * Must never: touch a server that it did not start.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { environmentOf, fetchPackages, onPath, reason, run } from "../../scripts/debian.ts";
import { freePort } from "../../scripts/redis-server.ts";
import { query } from "./dns.ts";
import { until } from "./wait.ts";

const cache = join(import.meta.dirname, "../../.cache/pdns");
const packages = ["pdns-server", "pdns-backend-sqlite3"];

export type Pdns = { readonly tree: string; readonly env: NodeJS.ProcessEnv };

/** Where it is, or why there is none: a machine without Debian's mirror cannot have it. */
export async function findPdns(): Promise<Pdns | string> {
  try {
    const onMachine = onPath("pdns_server");
    const schema = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";
    if (onMachine !== null && existsSync(schema)) return await proven("/");
    if (!existsSync(cache)) {
      process.stderr.write(
        "pdns_server is not on PATH: fetching Debian's into .cache/pdns/ (once)\n",
      );
      await fetchPackages({
        target: cache,
        packages,
        prove: proven,
        signal: AbortSignal.timeout(120_000),
      });
    }
    return await proven(cache);
  } catch (error) {
    return `no pdns_server on PATH, and Debian's mirror did not give it: ${reason(error)}`;
  }
}

async function proven(tree: string): Promise<Pdns> {
  const env = tree === "/" ? process.env : environmentOf(tree);
  // It says its version, and then exits as if that had failed.
  await run(join(tree, "usr/sbin/pdns_server"), ["--version"], { env }).catch((error) => {
    if (!/PowerDNS Authoritative Server/.test(String(error.stderr))) throw error;
  });
  return { tree, env };
}

export type PdnsServer = {
  readonly apiUrl: string;
  readonly dnsPort: number;
  /** One call of the zone's own API, as by another's hand. */
  readonly call: (method: string, path?: string, body?: unknown) => Promise<unknown>;
  readonly stop: () => Promise<void>;
};

export async function startPdns(pdns: Pdns, zone: string, key: string): Promise<PdnsServer> {
  const dir = await mkdtemp(join(tmpdir(), "picket-pdns-"));
  const share = join(pdns.tree, "usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql");
  const file = join(dir, "zone.sqlite3");
  const database = new DatabaseSync(file);
  database.exec(await readFile(share, "utf8"));
  database.close();
  const [apiPort, dnsPort] = [await freePort(), await freePort()];
  const settings = {
    "config-dir": dir,
    "socket-dir": dir,
    "module-dir": join(await librariesOf(pdns.tree), "pdns"),
    launch: "gsqlite3",
    "gsqlite3-database": file,
    "local-address": "127.0.0.1",
    "local-port": dnsPort,
    webserver: "yes",
    "webserver-address": "127.0.0.1",
    "webserver-port": apiPort,
    api: "yes",
    "api-key": key,
    daemon: "no",
    guardian: "no",
    "write-pid": "no",
    "disable-syslog": "yes",
    // What it remembers of itself it forgets when its API changes it; nothing else changes it here.
    "security-poll-suffix": "",
  };
  const args = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
  const child = spawn(join(pdns.tree, "usr/sbin/pdns_server"), args, { env: pdns.env });
  const said = lastLinesOf(child);
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const stop = async () => {
    const gone = new Promise((resolve) => child.once("close", resolve));
    if (child.exitCode === null && child.signalCode === null) {
      kill();
      await gone;
    }
    process.off("exit", kill);
    await rm(dir, { recursive: true, force: true });
  };
  const call = async (method: string, path = `/zones/${zone}.`, body?: unknown) => {
    const response = await fetch(`http://127.0.0.1:${apiPort}/api/v1/servers/localhost${path}`, {
      method,
      headers: { "x-api-key": key },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === "" ? null : (JSON.parse(text) as unknown);
  };
  try {
    await until("PowerDNS's API answers", () => call("GET", ""), { withinMs: 30_000, seen: said });
    const nameservers = [`ns.${zone}.`];
    await call("POST", "/zones", { name: `${zone}.`, kind: "Native", nameservers });
    await until("PowerDNS answers for its zone", async () => {
      return (await query(dnsPort, zone, "SOA")).answers.length > 0;
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { apiUrl: `http://127.0.0.1:${apiPort}`, dnsPort, call, stop };
}

async function librariesOf(tree: string): Promise<string> {
  const all = join(tree, "usr/lib");
  const machine = (await readdir(all)).find((name) => existsSync(join(all, name, "pdns")));
  return join(all, machine ?? "");
}

function lastLinesOf(child: ChildProcess): () => string {
  let lines = "";
  const take = (chunk: Buffer) => {
    lines = (lines + chunk.toString()).slice(-4000);
  };
  child.stdout?.on("data", take);
  child.stderr?.on("data", take);
  child.on("error", (error) => take(Buffer.from(String(error))));
  return () => lines;
}
