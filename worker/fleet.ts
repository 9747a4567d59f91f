/**
 * Durable Object, one: the last good configuration, the names of all groups, the brake over all failovers. Under
 * other names, where groups are many: wakes a part of them.
 *
 * Promises: a configuration is kept whole, and only one that was found right; a row is written only when
 * something changed; a failover that was granted counts once, however often it is asked for.
 * Must never: judge a configuration itself, or hold a secret.
 */
import { DurableObject } from "cloudflare:workers";
import type { GroupConfig } from "./core/types.ts";
import {
  type Brake,
  type FleetRpc,
  type Kept,
  type Permit,
  type RawEnv,
  type Sleeper,
  wakeEach,
} from "./env.ts";
import { keptJson, readKept } from "./fleet/kept.ts";

/** A row has 2 MB at most, and a character up to three bytes. */
const PART_CHARS = 500_000;
/** Whoever handed the groups over does not wait for much longer. */
const WAKE_MS = 55_000;

export class Fleet extends DurableObject<RawEnv> implements FleetRpc {
  readonly #sql: SqlStorage;

  constructor(ctx: DurableObjectState, env: RawEnv) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    for (const table of [
      "kept (part INTEGER PRIMARY KEY, at_ms INTEGER, json TEXT)",
      // Where it stood as one row; read until a configuration is kept anew.
      "config (id INTEGER PRIMARY KEY CHECK (id = 1), at_ms INTEGER, json TEXT)",
      "groups (name TEXT PRIMARY KEY)",
      "permits (action TEXT PRIMARY KEY, at_ms INTEGER)",
    ])
      this.#sql.exec(`CREATE TABLE IF NOT EXISTS ${table}`);
  }

  async keep(groups: readonly GroupConfig[], brake: Brake): Promise<void> {
    const json = keptJson(groups, brake);
    if (this.#kept()?.json === json) return;
    const nowMs = Date.now();
    this.ctx.storage.transactionSync(() => {
      this.#sql.exec("DELETE FROM kept");
      this.#sql.exec("DELETE FROM config");
      for (const [part, text] of partsOf(json).entries())
        this.#sql.exec("INSERT INTO kept VALUES (?, ?, ?)", part, nowMs, text);
      for (const group of groups)
        this.#sql.exec("INSERT OR IGNORE INTO groups VALUES (?)", group.name);
    });
  }

  async lastGood(): Promise<Kept> {
    const kept = this.#kept();
    return kept === null ? { kind: "none" } : readKept(kept.json, kept.atMs);
  }

  #kept(): { readonly json: string; readonly atMs: number } | null {
    for (const from of ["kept ORDER BY part", "config"]) {
      const rows = this.#sql
        .exec<{ at_ms: number; json: string }>(`SELECT at_ms, json FROM ${from}`)
        .toArray();
      const [first] = rows;
      if (first !== undefined)
        return { json: rows.map(({ json }) => json).join(""), atMs: first.at_ms };
    }
    return null;
  }

  async names(): Promise<readonly string[]> {
    const rows = this.#sql.exec<{ name: string }>("SELECT name FROM groups ORDER BY name");
    return rows.toArray().map((row) => row.name);
  }

  async wakeMany(sleepers: readonly Sleeper[]): Promise<void> {
    await wakeEach(this.env, sleepers, WAKE_MS);
  }

  /** By this clock alone: the groups' clocks may differ. */
  async permit(group: string, action: string, { maxFailovers, windowMs }: Brake): Promise<Permit> {
    const nowMs = Date.now();
    const id = `${group}/${action}`;
    // Also what lies far ahead: the clock went back, and such a row would brake for as long as it was wrong.
    this.#sql.exec("DELETE FROM permits WHERE abs(at_ms - ?) >= ?", nowMs, windowMs);
    const { known, others } = this.#sql
      .exec<{ known: number; others: number }>(
        "SELECT count(*) FILTER (WHERE action = ?1) AS known, count(*) FILTER (WHERE action <> ?1) AS others FROM permits",
        id,
      )
      .one();
    const granted = known > 0 || others < maxFailovers;
    if (granted) this.#sql.exec("INSERT OR IGNORE INTO permits VALUES (?, ?)", id, nowMs);
    const seen = `${others} other failovers of all groups within ${windowMs} ms`;
    return {
      granted,
      detail: granted ? seen : `the brake is on: ${seen}, at most ${maxFailovers}`,
    };
  }
}

/** A character of two units is cut nowhere: a half of one is no text, and would be stored as something else. */
function partsOf(json: string): readonly string[] {
  const parts: string[] = [];
  let at = 0;
  while (at < json.length) {
    let end = at + PART_CHARS;
    if (/[\uD800-\uDBFF]/.test(json[end - 1] ?? "")) end -= 1;
    parts.push(json.slice(at, end));
    at = end;
  }
  return parts;
}
