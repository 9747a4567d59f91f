/**
 * Durable Object, one: the last good configuration and the names of all groups.
 *
 * Promises: a configuration is kept whole, and only one that was found right; a row is written only when
 * something changed. Must never: judge a configuration itself, or hold a secret.
 */
import { DurableObject } from "cloudflare:workers";
import type { GroupConfig } from "./core/types.ts";
import type { FleetRpc, Kept, RawEnv } from "./env.ts";

export class Fleet extends DurableObject<RawEnv> implements FleetRpc {
  readonly #sql: SqlStorage;

  constructor(ctx: DurableObjectState, env: RawEnv) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#sql.exec(
      "CREATE TABLE IF NOT EXISTS config (id INTEGER PRIMARY KEY CHECK (id = 1), at_ms INTEGER, json TEXT)",
    );
    this.#sql.exec("CREATE TABLE IF NOT EXISTS groups (name TEXT PRIMARY KEY)");
  }

  async keep(groups: readonly GroupConfig[]): Promise<void> {
    const json = JSON.stringify({ v: 1, groups });
    const before = this.#sql.exec("SELECT json FROM config").toArray()[0];
    if (before?.json === json) return;
    this.#sql.exec("INSERT OR REPLACE INTO config VALUES (1, ?, ?)", Date.now(), json);
    for (const group of groups)
      this.#sql.exec("INSERT OR IGNORE INTO groups VALUES (?)", group.name);
  }

  async lastGood(): Promise<Kept | null> {
    const row = this.#sql
      .exec<{ at_ms: number; json: string }>("SELECT * FROM config")
      .toArray()[0];
    if (row === undefined) return null;
    const kept: { groups: GroupConfig[] } = JSON.parse(row.json);
    return { groups: kept.groups, atMs: row.at_ms };
  }

  async names(): Promise<readonly string[]> {
    const rows = this.#sql.exec<{ name: string }>("SELECT name FROM groups ORDER BY name");
    return rows.toArray().map((row) => row.name);
  }
}
