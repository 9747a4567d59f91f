/**
 * Durable Object, one per Redis group: the order of the loop, and the storage keys.
 *
 * Promises: re-arms first; saves a decision before it performs its actions, and syncs before one that cannot
 * be taken back; nothing escapes `alarm()`; rounds run one after another, whoever asked for them.
 * Must never: hold an `if` about Redis. What to do is the core's; how to talk is probe's, act's, publish's.
 */
import { DurableObject } from "cloudflare:workers";
import { perform } from "./act/relay.ts";
import { decide, freshSight, initialState } from "./core/decide.ts";
import type { GroupEvent } from "./core/events.ts";
import { type Route, routeOf } from "./core/route.ts";
import type { Decision, OperatorRequest, Reply, Saved, State } from "./core/state.ts";
import type { Action, GroupConfig, Outcome } from "./core/types.ts";
import { type GroupView, viewOf } from "./core/view.ts";
import {
  configInForce,
  type GroupRpc,
  type LoggedEvent,
  type RawEnv,
  routesOf,
  secretOf,
} from "./env.ts";
import { lookAtAll } from "./probe/look.ts";
import type { PublishResult } from "./publish/publisher.ts";
import { publishersFor } from "./publish/publishers.ts";

/** With this interval no alarm is set: cron alone wakes the group. */
const SCHEDULED_ONLY_MS = 60_000;
/** A next look nearer than this is waited for in the same invocation, not left to an alarm. */
const LINGER_MS = { alarms: 500, scheduledOnly: 2000 };
/** One invocation lingers for at most so long; the alarm or the next cron goes on. */
const INVOCATION_MS = 25_000;
const INTERRUPTED = { kind: "unknown", detail: "the Group was restarted meanwhile" } as const;
/** Events kept. */
const MAX_EVENTS = 1000;

type Asked = {
  readonly request: OperatorRequest;
  readonly answer: (reply: Reply) => void;
  readonly fail: (error: unknown) => void;
};

export class Group extends DurableObject<RawEnv> implements GroupRpc {
  readonly #sql: SqlStorage;
  #state: State | null;
  #version: number;
  #because = "not looked yet";
  #outcomes: Outcome[] = [];
  #asked: Asked[] = [];
  #lookers: (() => void)[] = [];
  #running: Promise<void> | null = null;
  #nudged = false;
  #wakeSleeper: (() => void) | null = null;
  #armedAtMs = 0;

  constructor(ctx: DurableObjectState, env: RawEnv) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#sql.exec(
      "CREATE TABLE IF NOT EXISTS state (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER, json TEXT)",
    );
    this.#sql.exec(
      "CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY AUTOINCREMENT, json TEXT)",
    );
    const row = this.#sql
      .exec<{ version: number; json: string }>("SELECT version, json FROM state")
      .toArray()[0];
    this.#version = row?.version ?? 0;
    this.#state = row === undefined ? null : { saved: readSaved(row.json), sight: freshSight };
    // Nobody will hear how a publish of the last incarnation ended; it is safe to do it again at once.
    for (const { id, kind } of this.#state?.saved.pending ?? [])
      if (kind === "publish") this.#outcomes.push(outcomeOf(id, INTERRUPTED, Date.now()));
  }

  // ------------------------------------------------------------ who wakes it

  override async alarm(): Promise<void> {
    // It is spent. The next one is set first of all, whatever becomes of the round.
    this.#armedAtMs = Date.now() + 1000;
    await this.ctx.storage.setAlarm(this.#armedAtMs);
    await this.#run();
  }

  /** Cron, every minute; it also re-arms an alarm that died. Without alarms it is the whole loop. */
  async wake(name: string): Promise<void> {
    this.#named(name);
    const config = await this.#configOf(name);
    if (config === null || isScheduledOnly(config)) await this.#run();
    else await this.#nextLook();
  }

  async view(name: string): Promise<GroupView | null> {
    const config = await this.#configOf(name);
    if (config === null) return null;
    const state = this.#named(name);
    if (state.sight.lookAskedAtMs === null) await this.#nextLook();
    return viewOf(this.#state ?? state, config, this.#because, Date.now());
  }

  /** Served from memory. */
  async route(name: string): Promise<Route | null> {
    const config = await this.#configOf(name);
    return config === null ? null : routeOf(this.#named(name).saved, config);
  }

  async events(after: number, limit: number): Promise<readonly LoggedEvent[]> {
    return this.#sql
      .exec<{ seq: number; json: string }>(
        "SELECT seq, json FROM events WHERE seq > ? ORDER BY seq LIMIT ?",
        after,
        limit,
      )
      .toArray()
      .map(({ seq, json }) => ({ seq, ...(JSON.parse(json) as GroupEvent) }));
  }

  async ask(name: string, request: OperatorRequest): Promise<Reply | null> {
    if ((await this.#configOf(name)) === null) return null;
    this.#named(name);
    return new Promise((answer, fail) => {
      this.#asked.push({ request, answer, fail });
      this.#nudge();
    });
  }

  // ---------------------------------------------------------------- the loop

  /** Joins the loop that runs, or starts one. Never rejects. */
  #run(): Promise<void> {
    this.#running ??= this.#loop().finally(() => {
      this.#running = null;
      if (this.#nudged) this.#nudge();
    });
    return this.#running;
  }

  async #loop(): Promise<void> {
    const startMs = Date.now();
    this.#nudged = false;
    try {
      const name = this.#state?.saved.group ?? this.ctx.id.name;
      const config = name === undefined ? null : await this.#configOf(name);
      if (config === null) return await this.ctx.storage.deleteAlarm();
      await this.#arm(startMs + config.checkIntervalMs, config);
      const linger = isScheduledOnly(config) ? LINGER_MS.scheduledOnly : LINGER_MS.alarms;
      for (;;) {
        this.#nudged = false;
        const wakeAtMs = await this.#round(config);
        const nowMs = Date.now();
        const near = wakeAtMs - nowMs < linger || this.#nudged;
        if (!near || nowMs - startMs > INVOCATION_MS) return await this.#arm(wakeAtMs, config);
        await this.#sleepUntil(wakeAtMs);
      }
    } catch (error) {
      this.#because = "an internal error ended the last round: see the log";
      console.error("round failed", error instanceof Error ? error.message : "unknown");
      for (const { fail } of this.#asked.splice(0)) fail(error);
      for (const seen of this.#lookers.splice(0)) seen();
      await this.ctx.storage.setAlarm(Date.now() + 1000);
    }
  }

  /** Look, decide, save, act. Returns when to look again. */
  async #round(config: GroupConfig): Promise<number> {
    const observations = await lookAtAll(config, (secret) => secretOf(this.env, secret));
    const state = this.#named(config.name);
    // Taken off their lists only when the decision is saved: a round that fails leaves them as they were.
    const asked = [...this.#asked];
    const outcomes = [...this.#outcomes];
    const requests = asked.map(({ request }) => request);
    const decision = decide(state, { observations, outcomes, requests }, config, Date.now());
    this.#save(decision, state.saved);
    this.#asked.splice(0, asked.length);
    this.#outcomes.splice(0, outcomes.length);
    if (decision.actions.length > 0) await this.ctx.storage.sync();
    for (const action of decision.actions) void this.#perform(action, config);
    asked.forEach(({ answer, fail }, index) => {
      const reply = decision.replies[index];
      if (reply === undefined) fail(new Error("no reply"));
      else answer(reply);
    });
    for (const seen of this.#lookers.splice(0)) seen();
    return decision.wakeAtMs;
  }

  /** The outcome goes into the next round; it never rejects, for its parts never do. */
  async #perform(action: Action, config: GroupConfig): Promise<void> {
    const secret = (name: string) => secretOf(this.env, name);
    const now = Date.now;
    if (action.kind !== "publish") {
      const relay = (id: string) => {
        const found = config.relays.find((each) => each.id === id);
        return found === undefined
          ? null
          : { url: found.url, token: secret(found.controlTokenSecret) };
      };
      this.#outcomes.push(await perform(action, { group: config.name, now, relay }));
    } else {
      const publishers = publishersFor(config, { routes: routesOf(this.env), secret });
      const publisher = publishers.find((each) => each.name === action.to);
      const result = await publisher?.publish(action.route, {
        timeoutMs: action.deadlineMs - now(),
      });
      if (result !== undefined) this.#outcomes.push(outcomeOf(action.id, result, now()));
    }
    this.#nudge();
  }

  #nudge(): void {
    this.#nudged = true;
    this.#wakeSleeper?.();
    void this.#run();
  }

  /** Waits, unless something came in meanwhile. */
  #sleepUntil(atMs: number): Promise<void> {
    if (this.#nudged) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#wakeSleeper = null;
        resolve();
      };
      const timer = setTimeout(done, Math.max(0, atMs - Date.now()));
      this.#wakeSleeper = done;
    });
  }

  #nextLook(): Promise<void> {
    return new Promise((resolve) => {
      this.#lookers.push(resolve);
      this.#nudge();
    });
  }

  /** Sets the alarm, unless one stands at about that time; never in the past. */
  async #arm(atMs: number, config: GroupConfig): Promise<void> {
    if (isScheduledOnly(config)) return;
    const soonest = Math.max(atMs, Date.now() + 1);
    const slackMs = config.checkIntervalMs / 10;
    if (this.#armedAtMs > Date.now() && Math.abs(this.#armedAtMs - soonest) <= slackMs) return;
    await this.ctx.storage.setAlarm(soonest);
    this.#armedAtMs = soonest;
  }

  // ------------------------------------------------------------- what it keeps

  #configOf(name: string): Promise<GroupConfig | null> {
    return configInForce(this.env).then(
      ({ groups }) => groups.find((group) => group.name === name) ?? null,
    );
  }

  #named(name: string): State {
    this.#state ??= initialState(name);
    return this.#state;
  }

  /** One transaction: the new state, if it changed, and its events. A superseded instance fails here. */
  #save(decision: Decision, before: Saved): void {
    const { saved } = decision.state;
    this.ctx.storage.transactionSync(() => {
      if (saved !== before) {
        const next = this.#version + 1;
        this.#sql.exec(
          "INSERT INTO state VALUES (1, ?, ?) ON CONFLICT (id) DO UPDATE SET version = excluded.version, json = excluded.json",
          next,
          JSON.stringify(saved),
        );
        this.#version = next;
      }
      for (const event of decision.events)
        this.#sql.exec("INSERT INTO events (json) VALUES (?)", JSON.stringify(event));
      if (decision.events.length > 0)
        this.#sql.exec(
          "DELETE FROM events WHERE seq <= (SELECT max(seq) FROM events) - ?",
          MAX_EVENTS,
        );
    });
    this.#state = decision.state;
    this.#because = decision.because;
  }
}

const isScheduledOnly = (config: GroupConfig) => config.checkIntervalMs >= SCHEDULED_ONLY_MS;

function outcomeOf(action: string, result: PublishResult, atMs: number): Outcome {
  const { kind, detail, retryAfterMs } = result;
  const head = { action, kind, detail, atMs };
  return retryAfterMs === undefined ? head : { ...head, retryAtMs: atMs + retryAfterMs };
}

function readSaved(json: string): Saved {
  const saved: Saved = JSON.parse(json);
  if (saved.v !== 1)
    throw new Error(`stored state has version ${String(saved.v)}, this code reads 1`);
  return saved;
}
