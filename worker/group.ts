/**
 * Durable Object, one per Redis group: the order of the loop.
 *
 * Promises: re-arms first; saves a decision before it performs its actions, and syncs before one that cannot
 * be taken back; nothing escapes `alarm()`; rounds run one after another, whoever asked for them; a stored
 * state that this code cannot read is left alone, and named.
 * Must never: hold an `if` about Redis. What to do is the core's; how to talk is probe's, act's, publish's.
 */
import { DurableObject } from "cloudflare:workers";
import { decide } from "./core/decide.ts";
import type { Grant } from "./core/lease.ts";
import { effectiveConfig } from "./core/membership.ts";
import { routeOf } from "./core/projection.ts";
import { routeStands } from "./core/publishing.ts";
import { ckquorum, type Quorum } from "./core/quorum.ts";
import { isNewer, type Route } from "./core/route.ts";
import type { OperatorRequest, Reply } from "./core/state.ts";
import type { Action, GroupConfig, Outcome } from "./core/types.ts";
import { type GroupView, viewOf } from "./core/view.ts";
import type {
  Answer,
  AskedLease,
  Brake,
  EventPage,
  GroupRpc,
  LastInfo,
  RawEnv,
  RouteWait,
} from "./env.ts";
import { againAfter, alarmAfter, guardMs, isScheduledOnly, needsGuard } from "./group/alarm.ts";
import { lastInfoOf, nodeIn, noNode, told } from "./group/answers.ts";
import { createInbox, unavailable, type WhyNot } from "./group/inbox.ts";
import { createLeaseDesk, type LeaseDesk } from "./group/lease.ts";
import { createLookout } from "./group/lookout.ts";
import { createMemory, type Memory, type Ready } from "./group/memory.ts";
import { perform } from "./group/perform.ts";
import { type Asker, askPlace } from "./group/places.ts";
import { createSockets, type Sockets } from "./group/sockets.ts";
import { openStore, type Store } from "./group/store.ts";
import { createAlarm, createChanges, createNap } from "./group/wakers.ts";

/** A next look nearer than this is waited for in the same invocation, not left to an alarm. */
const LINGER_MS = { alarms: 500, scheduledOnly: 2000 };
/** One invocation lingers for at most so long; the alarm or the next cron goes on. */
const INVOCATION_MS = 25_000;
/** Rounds that a first answer waits for until everyone was looked at: one may only have heard of a push. */
const FIRST_ROUNDS = 5;
/** After a round that failed, and while no interval is known. */
const RETRY_MS = 1000;

export class Group extends DurableObject<RawEnv> implements GroupRpc {
  readonly #store: Store;
  readonly #inbox = createInbox();
  readonly #nap = createNap();
  readonly #changes = createChanges();
  readonly #lookout = createLookout(
    (question) => askPlace(this.env, question, this.#asker),
    () => this.#nudge(),
  );
  readonly #alarm: ReturnType<typeof createAlarm>;
  readonly #sockets: Sockets;
  readonly #leases: LeaseDesk;
  readonly #memory: Memory;
  #because = "not looked yet";
  #outcomes: Outcome[] = [];
  #running: Promise<void> | null = null;
  #nudged = false;
  #guardMs = RETRY_MS;
  /** The last decision left the next look to cron; null: there was none yet. */
  #quiet: boolean | null = null;
  #asker: Asker = { groups: 1, againMs: null };

  constructor(ctx: DurableObjectState, env: RawEnv) {
    super(ctx, env);
    this.#store = openStore(ctx.storage);
    this.#memory = createMemory(env, this.#store, ctx.id.name ?? null);
    this.#alarm = createAlarm(ctx.storage);
    this.#sockets = createSockets(ctx);
    const wake = () => this.#nudge();
    this.#leases = createLeaseDesk(ctx.storage, this.#store, this.#memory, wake);
  }

  // ------------------------------------------------------------ who wakes it

  override async alarm(): Promise<void> {
    // It is spent. The next one is set first of all, whatever becomes of the round.
    this.#alarm.spent();
    await this.#alarm.arm(Date.now() + this.#guardMs);
    await this.#run();
  }

  /** A relay connects; the door has seen its token. */
  override async fetch(request: Request): Promise<Response> {
    const response = this.#sockets.accept(new URL(request.url).searchParams.get("relay") ?? "");
    this.#nudge();
    return response;
  }

  override async webSocketMessage(socket: WebSocket, data: unknown): Promise<void> {
    const ready = await this.#memory.ready();
    if (ready.kind !== "ready") return this.#run();
    const seen = this.#sockets.heard(socket, data, ready.state, Date.now());
    if (seen === null) return;
    this.#lookout.tell(seen);
    this.#nudge();
    await this.#run();
  }

  /** One eye less: the group is no longer quiet. */
  override async webSocketClose(): Promise<void> {
    await this.#nextLook();
  }

  override webSocketError(): Promise<void> {
    return this.webSocketClose();
  }

  /** Cron, every minute; it also re-arms an alarm that died. Without alarms it is the whole loop. */
  async wake(name: string): Promise<void> {
    const ready = await this.#memory.ready(name);
    if (ready.kind === "ready" && !isScheduledOnly(ready.config)) await this.#nextLook();
    else await this.#run();
  }

  view(name: string): Promise<Answer<GroupView>> {
    return this.#seen(name, ({ state, config }) =>
      told(viewOf(state, config, this.#because, Date.now())),
    );
  }

  ckquorum(name: string): Promise<Answer<Quorum>> {
    return this.#seen(name, ({ state, config }) => told(ckquorum(state, config, Date.now())));
  }

  lastInfo(name: string, node: string): Promise<Answer<LastInfo>> {
    return this.#seen(name, ({ state, config }) =>
      lastInfoOf(state, effectiveConfig(state.saved, config), node, Date.now()),
    );
  }

  /** Served from memory, once a deploy that changes it was counted as a new rev. */
  async route(name: string, wait?: RouteWait): Promise<Answer<Route>> {
    let ready = await this.#memory.ready(name);
    if (ready.kind === "ready" && !routeStands(ready.state.saved, ready.config)) {
      await this.#nextLook();
      ready = await this.#memory.ready(name);
    }
    if (wait && ready.kind === "ready" && !isNewer(ready.state.saved, wait.after)) {
      await this.#changes.next(wait.forMs);
      ready = await this.#memory.ready(name);
    }
    return ready.kind === "ready" ? told(routeOf(ready.state.saved, ready.config)) : ready;
  }

  async events(after: number, limit: number): Promise<EventPage> {
    return this.#store.events(after, limit);
  }

  async ask(name: string, request: OperatorRequest): Promise<Answer<Reply>> {
    const ready = await this.#memory.ready(name);
    if (ready.kind !== "ready") return ready;
    const node = nodeIn(request);
    const { nodes } = effectiveConfig(ready.state.saved, ready.config);
    if (node !== null && !nodes.some(({ id }) => id === node)) return noNode(node);
    const answer = this.#inbox.ask({ ...request, askedAtMs: Date.now() });
    this.#nudge();
    return await answer;
  }

  lease(name: string, asked: AskedLease): Promise<Answer<Grant>> {
    return this.#leases.ask(name, asked);
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
    let cronOnly = false;
    this.#nudged = false;
    try {
      const ready = await this.#memory.ready();
      if (ready.kind !== "ready") return await this.#stop(ready);
      const { config } = ready;
      cronOnly = isScheduledOnly(config);
      const known = { armedAtMs: await this.#alarm.stands(), quiet: this.#quiet };
      if (needsGuard(ready, known, this.#sockets.connected().length, startMs))
        await this.#alarm.arm(startMs + guardMs(config, 0));
      const linger = cronOnly ? LINGER_MS.scheduledOnly : LINGER_MS.alarms;
      for (;;) {
        this.#nudged = false;
        const decided = await this.#round(ready);
        const nowMs = Date.now();
        const next = alarmAfter(this.#alarm.armedAtMs(), decided, nowMs, config);
        // As the decision left it, whoever woke it meanwhile: what vantages are told at the next look goes by it.
        this.#quiet = next === null;
        const soon = decided.wakeAtMs - nowMs < linger;
        // Nobody comes for a minute: who is away and answers late has to be heard now.
        if (cronOnly && !soon && !this.#nudged) await this.#lookout.rest();
        const near = soon || this.#nudged;
        if (!near || nowMs - startMs > INVOCATION_MS) return await this.#alarm.arm(next);
        if (!this.#nudged) await this.#nap.until(decided.wakeAtMs);
      }
    } catch (error) {
      this.#because = "an internal error ended the last round: see the log";
      console.error("round failed", error instanceof Error ? error.message : "unknown");
      // Somebody else may have written: what is stored counts, and a fresh look.
      this.#memory.forget();
      this.#inbox.giveUp(unavailable("the round failed"));
      await this.#alarm.arm(cronOnly ? null : Date.now() + RETRY_MS);
    }
  }

  /** Nothing can be decided. Only a Fleet that is silent is soon asked again; cron does for the rest. */
  async #stop(why: WhyNot): Promise<void> {
    this.#inbox.giveUp(why);
    if (why.kind === "not-found") this.#sockets.endAll();
    const forGood = why.kind === "not-found" || this.#memory.isUnreadable();
    await this.#alarm.arm(forGood ? null : Date.now() + RETRY_MS);
  }

  /** Look, decide, save, act. Tells when it decided, and when to look again. */
  async #round({ config, brake, groups }: Ready) {
    const startMs = Date.now();
    const connected = this.#sockets.connected();
    this.#asker = { groups, againMs: againAfter(config, this.#quiet, connected.length) };
    await this.#lookout.look(this.#memory.state(config.name).state, config, startMs);
    const { state, version } = this.#memory.state(config.name);
    // Taken off their lists only when the decision is saved: a round that fails leaves them as they were.
    const requests = this.#inbox.requests();
    const outcomes = [...this.#outcomes];
    const atMs = Date.now();
    const seen = this.#lookout.take();
    const keepers = this.#leases.news();
    const input = { ...seen, outcomes, requests, connected: this.#sockets.connected(), keepers };
    const decision = decide(state, input, config, atMs);
    const next = decision.state.saved;
    const json = next === state.saved ? null : JSON.stringify(next);
    const written = this.#store.write(json, decision.events, version);
    this.#memory.decided(decision.state, written);
    if (isNewer(next, state.saved)) this.#changes.tell();
    this.#because = decision.because;
    this.#guardMs = guardMs(config, atMs - startMs);
    this.#inbox.decided(decision.replies);
    this.#leases.decided(keepers);
    this.#outcomes.splice(0, outcomes.length);
    this.#sockets.tell(decision.state, config);
    if (decision.actions.length > 0 || decision.crash) await this.ctx.storage.sync();
    if (decision.crash) this.#die(`drill: ${decision.because}`);
    for (const action of decision.actions)
      void this.#perform(action, effectiveConfig(next, config), brake);
    this.#inbox.answer();
    return { atMs, wakeAtMs: decision.wakeAtMs };
  }

  /** The runtime may let code run on for a moment, and a command out: so nothing follows. */
  #die(why: string): never {
    this.ctx.abort(why);
    throw new Error(why);
  }

  /** The outcome goes into the next round. */
  async #perform(action: Action, config: GroupConfig, brake: Brake): Promise<void> {
    this.#outcomes.push(await perform(action, config, brake, this.env));
    this.#nudge();
  }

  #nudge(): void {
    this.#nudged = true;
    this.#nap.end();
    void this.#run();
  }

  async #nextLook(): Promise<void> {
    const look = this.#inbox.nextLook();
    this.#nudge();
    await look;
  }

  // ------------------------------------------------------------- what it knows

  /** Answers of what is seen: the first one after a start waits for a look. */
  async #seen<T>(name: string, tell: (ready: Ready) => Answer<T>): Promise<Answer<T>> {
    let ready = await this.#memory.ready(name);
    for (let rounds = 0; rounds < FIRST_ROUNDS; rounds += 1) {
      if (ready.kind !== "ready" || ready.state.sight.lookAskedAtMs !== null) break;
      await this.#nextLook();
      ready = await this.#memory.ready(name);
    }
    return ready.kind === "ready" ? tell(ready) : ready;
  }
}
