/**
 * Rules about what is sent, and what a relay takes: nothing unsaved, nothing twice, no epoch that falls, nobody
 * demoted who was not sealed, or before the new primary was seen.
 */
import type { Saved } from "../../../worker/core/state.ts";
import type { Action, RelayAction } from "../../../worker/core/types.ts";
import type { Judged } from "./attempts.ts";
import { addressOf, type Ledger, violate } from "./ledger.ts";
import { checkLetBe } from "./shown.ts";

const SEALED = 1_000_000;

export function checkActions(ledger: Ledger, judged: Judged): void {
  const { decision, before, config, tilt, input } = judged;
  const { saved } = decision.state;
  const asked = input.requests.length > 0;
  for (const action of decision.actions) {
    if (!saved.pending.some(({ id }) => id === action.id))
      violate(ledger, "unsaved-action", `${action.kind} ${action.id} is not in the saved state`);
    if (ledger.usedIds.has(action.id))
      violate(ledger, "action-id", `${action.kind} uses the id ${action.id} once more`);
    if (!(action.deadlineMs > judged.nowMs) || action.deadlineMs - judged.nowMs > 60_000)
      violate(
        ledger,
        "deadline",
        `${action.kind} has its deadline at ${action.deadlineMs - judged.nowMs} ms`,
      );
    if (ledger.isActive || ["publish", "notify", "permit"].includes(action.kind)) continue;
    const idle = before.phase.kind === "watching";
    // A seal that an attempt of ours left behind is still taken back.
    const ours = action.kind === "unseal" && before.toUnseal.includes(action.node);
    if (config.observeOnly && idle && !ours)
      violate(ledger, "observing", `${action.kind} is sent while the group is only observed`);
    const moves = ["promote", "demote", "seal"].includes(action.kind);
    if (tilt && moves && !asked && !input.outcomes.some(({ kind }) => kind === "failed"))
      violate(ledger, "tilt", `${action.kind} is sent while the clock cannot be trusted`);
    if (action.kind === "seal") sealing(ledger, judged, action.node);
    if (action.kind !== "demote") continue;
    demoted(ledger, judged, action);
    checkLetBe(ledger, judged, action.node);
  }
}

/** A decision was written: from here on it is the Group's word. */
export function commitActions(ledger: Ledger, actions: readonly Action[]): void {
  for (const action of actions) {
    ledger.savedIds.add(action.id);
    ledger.usedIds.add(action.id);
    if (!("relay" in action)) continue;
    name(ledger, action);
    const takesOver = action.kind === "promote" || action.kind === "switchover";
    if (takesOver && !ledger.ordered.has(action.epoch))
      ledger.ordered.set(action.epoch, ledger.nowMs);
    if (action.kind === "unseal") {
      ledger.unsealsOf.set(action.id, action.node);
      ledger.unseals.set(action.node, (ledger.unseals.get(action.node) ?? 0) + 1);
    }
    if (action.kind !== "seal") continue;
    ledger.sealedSince.add(action.node);
    ledger.sealsOf.set(action.id, action);
  }
}

/** One candidate an epoch, for ever, whoever says so. */
function name(ledger: Ledger, { epoch, primary, kind }: RelayAction): void {
  if (primary === null) return;
  const other = ledger.named.get(epoch);
  if (other !== undefined && other !== primary)
    violate(
      ledger,
      "one-candidate",
      `${kind} names ${primary} at epoch ${epoch}, which named ${other}`,
    );
  ledger.named.set(epoch, primary);
}

/** A stranger is one that was seen as a primary after another one came in force. */
function sealing(ledger: Ledger, { decision, clockJumped }: Judged, node: string): void {
  const { kind } = decision.state.saved.phase;
  const isStranger = kind === "watching" || kind === "publishing" || kind === "repointing";
  if (!isStranger || clockJumped) return;
  if ((ledger.heardPrimary.get(node) ?? 0) < ledger.switchedMs)
    violate(
      ledger,
      "stale-look",
      `${node} is sealed, and was not seen as a primary since the last switch`,
    );
}

function demoted(ledger: Ledger, judged: Judged, action: Extract<RelayAction, { kind: "demote" }>) {
  const { decision, config } = judged;
  const { saved } = decision.state;
  const primary = saved.primary ?? "";
  const seen = ledger.lastFacts.get(action.node)?.facts;
  const open = seen?.role === "primary" && (seen.minReplicasToWrite ?? 0) < SEALED;
  // After a hand-over the old primary is a replica already, and only told to write it down.
  const handedOver = judged.before.phase.kind === "switching";
  if (open && !handedOver && !ledger.sealedSince.has(action.node))
    violate(
      ledger,
      "quarantine",
      `${action.node} is a primary that takes writes, and is demoted without a seal`,
    );
  const follow = `${action.follow.host}:${action.follow.port}`;
  if (action.node === primary) violate(ledger, "demote", `${primary} is in force, and is demoted`);
  if (follow !== addressOf(config, primary))
    violate(
      ledger,
      "demote",
      `${action.node} is told to follow ${follow}, and ${primary} is in force`,
    );
  const orderedMs = ledger.ordered.get(saved.epoch) ?? 0;
  const longAgoMs = ledger.nowMs - 4 * (config.checkIntervalMs + config.probeTimeoutMs) - 2000;
  if ((ledger.seenPrimary.get(primary) ?? -1) < Math.max(orderedMs, longAgoMs))
    violate(
      ledger,
      "demote-early",
      `${action.node} is demoted before ${primary} was seen as primary`,
    );
}

/** It is about to leave the Group: what it stands on is on disk. */
export function checkSent(ledger: Ledger, saved: Saved | null, action: Action): void {
  if (!ledger.savedIds.has(action.id))
    violate(ledger, "acted-before-save", `${action.kind} ${action.id} is sent and was never saved`);
  if (action.kind === "permit") ledger.permits.set(action.id, action.epoch);
  if (action.kind !== "publish" || saved === null) return;
  const { epoch, rev } = action.route;
  if (epoch > saved.epoch || (epoch === saved.epoch && rev > saved.rev))
    violate(
      ledger,
      "ahead-of-truth",
      `${action.to} is told ${epoch}.${rev}, saved is ${saved.epoch}.${saved.rev}`,
    );
}

export type AtRelay = {
  readonly relay: string;
  readonly boot: string;
  readonly clockMs: number;
  readonly ttlMs: number;
};

/** A relay has taken a verb: judged once more, by rules of our own. */
export function checkTaken(ledger: Ledger, at: AtRelay, action: RelayAction): void {
  const held = ledger.relayEpochs.get(at.relay);
  if (held === undefined && action.kind !== "tell-epoch")
    violate(
      ledger,
      "untold",
      `relay ${at.relay} takes ${action.kind}, and was never told an epoch`,
    );
  if (held !== undefined && action.epoch < held)
    violate(
      ledger,
      "relay-epoch",
      `relay ${at.relay} takes ${action.kind} of epoch ${action.epoch} after ${held}`,
    );
  if (action.stamp.boot !== at.boot || at.clockMs - action.stamp.ms > at.ttlMs)
    violate(
      ledger,
      "stamp",
      `relay ${at.relay} takes ${action.kind} with a stamp of ${at.clockMs - action.stamp.ms} ms ago`,
    );
  ledger.relayEpochs.set(at.relay, Math.max(held ?? 0, action.epoch));
  name(ledger, action);
}

export function checkExecuted(ledger: Ledger, action: RelayAction): void {
  const times = (ledger.executed.get(action.id) ?? 0) + 1;
  ledger.executed.set(action.id, times);
  if (times > 1)
    violate(ledger, "action-twice", `${action.kind} ${action.id} took effect ${times} times`);
}
