/**
 * All that is watched while a world runs: every decision, every save, everything sent, taken, executed and
 * acknowledged is judged at once, by rules that stand beside this file.
 *
 * Promises: the first breach is kept with its moment; nothing here changes the world.
 */

import { decide } from "../../../worker/core/decide.ts";
import { effectiveConfig } from "../../../worker/core/membership.ts";
import type { Route } from "../../../worker/core/route.ts";
import type { Decision, Input, OperatorRequest, Saved, State } from "../../../worker/core/state.ts";
import type { Action, NotifyAction, RelayAction } from "../../../worker/core/types.ts";
import { bootOf, clockOf } from "../world/relay.ts";
import type { Instance, RedisNode, Relay, World } from "../world/types.ts";
import { checkActions, checkExecuted, checkSent, checkTaken } from "./actions.ts";
import { checkActive, checkActiveSaved, checkWatched } from "./active.ts";
import { checkApart } from "./apart.ts";
import { checkAttempts, type Judged } from "./attempts.ts";
import { type Ledger, lifeOf, newLedger, violate } from "./ledger.ts";
import { checkNotices, checkTook } from "./notices.ts";
import { note } from "./recount.ts";
import { checkPublish, checkSaved, fellBack } from "./routes.ts";
import { savingOf } from "./saving.ts";
import { noteRoles, noteShown } from "./shown.ts";
import { checkState } from "./states.ts";
import { checkTelling } from "./telling.ts";
import { checkFacts, checkReports, checkStrangersOut } from "./vantages.ts";
import { checkAcknowledged, checkNumbers, checkOpened, checkWipe } from "./writes.ts";

const TILT_MS = 30_000;

/** A primary is being replaced, or may soon be. */
const isFailing = ({ saved, sight }: State) =>
  saved.phase.kind !== "watching" || sight.told.some((mark) => mark.startsWith("sdown:"));

export type Checks = ReturnType<typeof createChecks>;

/** @param closely freezes what the core is given and asks it twice; that takes time. */
export function createChecks(closely: boolean) {
  const ledger: Ledger = newLedger();
  let world: World | null = null;
  /** What is expected of the group now, beside the rules: told by the episode that runs. */
  let watcher: ((judged: Judged) => void) | null = null;
  const at = () => {
    ledger.nowMs = world?.queue.nowMs ?? 0;
    ledger.aheadMs = world?.aheadMs ?? 0;
  };
  const here = (): World => {
    at();
    if (world === null) throw new Error("no world is watched yet");
    return world;
  };

  function decided(group: Instance, input: Input, decision: Decision, nowMs: number): void {
    const { config: deployed, storage } = here();
    if (closely) checkTwice(group.state, input, decision, nowMs);
    const life = lifeOf(ledger, group.id);
    const forgot = group.state.sight.lastDecisionAtMs === null;
    const wentBack = life.lastNowMs !== null && nowMs < life.lastNowMs;
    if (forgot || wentBack) {
      life.tiltUntilMs = wentBack && !forgot ? nowMs + TILT_MS : null;
      for (const memory of [life.streams, life.shown, life.askedMs, life.soundSince])
        memory.clear();
    }
    life.lastNowMs = nowMs;
    const tiltMs = life.tiltUntilMs;
    const tilt = tiltMs !== null && nowMs < tiltMs && tiltMs - nowMs <= TILT_MS;
    note(ledger, life, input.observations, nowMs);
    // Of what is decided on an old state nothing is written, and so nothing is done.
    if (group.version !== storage.version) return;
    const before = group.state.saved;
    for (const { action, kind } of input.outcomes) {
      const permit = ledger.permits.get(action);
      if (permit !== undefined && kind === "refused") ledger.refusedPermits.add(permit);
      const opened = ledger.unsealsOf.get(action);
      if (opened !== undefined && kind === "done") ledger.unseals.delete(opened);
      const seal = ledger.sealsOf.get(action);
      if (seal === undefined || kind !== "done") continue;
      // What another relay sealed its own may open again: it need not have heard of the epoch.
      const own = deployed.relays.find(({ id }) => id === seal.relay)?.local.includes(seal.node);
      if (deployed.fencing === "lease" && own !== true) continue;
      const sealed = ledger.sealsConfirmed.get(seal.epoch) ?? new Set<string>();
      ledger.sealsConfirmed.set(seal.epoch, sealed.add(seal.node));
    }
    const { paused } = before;
    const judged: Judged = {
      before,
      state: group.state,
      input,
      decision,
      config: effectiveConfig(decision.state.saved, deployed),
      nowMs,
      tilt,
      paused: paused !== null && (paused.untilMs === null || paused.untilMs > nowMs),
      clockJumped: ledger.aheadMs > 0,
      life,
    };
    const made = { state: group.state, input, decision };
    if (ledger.isActive) checkActive(ledger, judged, deployed);
    else {
      noteRoles(ledger, judged);
      checkAttempts(ledger, judged);
    }
    checkActions(ledger, judged);
    checkState(ledger, judged);
    if (closely || isFailing(group.state) || isFailing(decision.state))
      checkApart(ledger, made, deployed, nowMs);
    checkReports(ledger, made, deployed, nowMs);
    checkFacts(ledger, decision.state, judged.config, nowMs);
    checkStrangersOut(ledger, decision, judged.config, here().byAddress);
    watcher?.(judged);
    noteShown(life, judged);
    life.lastDecisionMs = ledger.nowMs;
  }

  function checkTwice(state: State, input: Input, decision: Decision, nowMs: number): void {
    const again = decide(state, input, here().config, nowMs);
    if (JSON.stringify(again) !== JSON.stringify(decision))
      violate(ledger, "not-pure", "the same state and input gave two decisions");
  }

  return {
    ledger,
    watch: (what: World) => {
      world = what;
      ledger.isActive = what.firstConfig.mode === "active-active";
    },
    told: (strangers: readonly string[]) => checkWatched(ledger, strangers, here().config.mode),
    expect: (what: ((judged: Judged) => void) | null) => {
      watcher = what;
    },
    violate: (rule: string, text: string) => {
      at();
      violate(ledger, rule, text);
    },
    /** The simulator contradicts itself. */
    internal: (text: string) => {
      at();
      violate(ledger, "simulator", text);
    },
    before: (state: State, input: Input) => {
      if (closely) deepFreeze([state, input]);
    },
    decided,
    saved: (state: State, decision: Decision, input: Input, nowMs: number) => {
      const { config, storage, publishers } = here();
      const leaseMs = ledger.leaseGivenMs ?? config.leaseMs;
      checkSaved(ledger, storage.saved, decision, leaseMs);
      const saving = savingOf(storage.saved, state, decision, input, config, nowMs);
      checkNotices(ledger, saving);
      if (ledger.isActive) checkActiveSaved(ledger, saving);
      checkTelling(ledger, saving, (to) => publishers.get(to) ?? null);
      for (const event of decision.events) checkNumbers(ledger, here(), event);
    },
    sent: (action: Action) => {
      const { storage } = here();
      checkSent(ledger, storage.saved, action);
      if ("lease" in action) ledger.leaseGivenMs = action.lease.ms;
      if (action.kind === "publish") checkPublish(ledger, action);
    },
    took: (action: NotifyAction) => {
      at();
      checkTook(ledger, action);
    },
    fellBack: (to: string, before: Route, after: Route) => {
      at();
      fellBack(ledger, to, before, after);
    },
    held: (relay: Relay, action: RelayAction) => {
      const ttlMs = here().firstConfig.commandTtlMs;
      const clockMs = clockOf(here(), relay);
      checkTaken(ledger, { relay: relay.id, boot: bootOf(relay), clockMs, ttlMs }, action);
    },
    journalLost: (relay: Relay) => void ledger.relayEpochs.delete(relay.id),
    executed: (_: Relay, action: RelayAction) => {
      at();
      checkExecuted(ledger, action);
    },
    opened: (node: RedisNode, epoch: number) => {
      at();
      checkOpened(ledger, node, epoch);
    },
    acknowledged: (node: RedisNode, id: number) => checkAcknowledged(ledger, here(), node, id),
    wipedBy: (source: RedisNode, node: RedisNode) => checkWipe(ledger, here(), source, node),
    granted: (relay: Relay, node: string, saved: Saved, leaseMs: number) => {
      at();
      ledger.leaseGivenMs = leaseMs;
      const { phase } = saved;
      // Whoever is told to take over has a lease of its own, which is revoked like every other if it does not.
      if ("candidate" in phase && phase.candidate === node) return;
      if (saved.revokedAtMs !== null || saved.primary !== node)
        violate(
          ledger,
          "lease",
          `relay ${relay.id} is granted a lease for ${node} after it was revoked`,
        );
    },
    asked: (_: OperatorRequest) => {},
  };
}

function deepFreeze(value: unknown): void {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const each of Object.values(value)) deepFreeze(each);
}
