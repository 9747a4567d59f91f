/**
 * What a look changes in what is known, and what of it is told: each edge once when it begins and once when
 * it ends.
 *
 * Must never: act. What follows from a sight is decided elsewhere.
 */

import type { Belief } from "./believed.ts";
import { seeDiscovered } from "./discovery.ts";
import {
  attemptOf,
  type Draft,
  factsOf,
  nodeOf,
  onlySince,
  remember,
  save,
  tell,
  tellEdge,
  wakeBy,
} from "./draft.ts";
import { evidenceOf } from "./evidence.ts";
import { isSealed } from "./facts.ts";
import { isDropped, relayBelief, survey, witnessesOf } from "./health.ts";
import { seeLinks } from "./links.ts";
import { absorb, blind, vantageOf } from "./sight.ts";
import type { Input } from "./state.ts";
import { cycleSeen, foreignPrimary, primariesSeen, ROLE_CHANGE, standing } from "./topology.ts";
import type { NodeConfig, ObservationClass, RelayConfig } from "./types.ts";
import { seeVantages, silentRegions } from "./vantages.ts";

/** A node that answers so is not dead: it, or who asks it, is set up wrongly, or busy. */
const faults: readonly ObservationClass[] = ["policy", "auth", "tls", "dns", "busy", "malformed"];

export function see(draft: Draft, input: Input, askedEpoch: number): void {
  const { config, nowMs, saved } = draft;
  const epochs = { inForce: askedEpoch, highest: saved.highestEpoch };
  const { newsAtMs } = draft.sight;
  draft.sight = absorb(draft.sight, input.observations, config, epochs, nowMs);
  draft.known = survey(draft.sight, config, nowMs);
  // One relay saw a change: everyone is asked now, and again until everyone was asked after it.
  const news = draft.sight.newsAtMs;
  if (news !== null)
    wakeBy(draft, news === newsAtMs ? nowMs + Math.min(10, config.retryMs) : nowMs);
  // What came while they were asked is decided on, and they are asked once more.
  else if ((draft.sight.lastNewsAtMs ?? 0) > (draft.sight.lookAskedAtMs ?? 0)) wakeBy(draft, nowMs);
  noteAway(draft);
  seeVantages(draft, input.vantages ?? []);
  if (config.mode === "active-active") {
    for (const node of config.nodes) seeNode(draft, node);
    seeRelays(draft);
    const active = draft.known[saved.primary ?? ""]?.verdict;
    if (active?.suspicious === true) wakeBy(draft, nowMs + config.retryMs);
    return;
  }
  const primary = nodeOf(config, saved.primary);
  const wrongRole = factsOf(draft, saved.primary)?.role === "replica";
  onlySince(draft, "wrong-role:", wrongRole ? saved.primary : null);
  for (const node of config.nodes) seeNode(draft, node);
  seeRelays(draft);
  seeRoles(draft);
  seeDiscovered(draft);
  if (primary !== null) seePrimary(draft, primary);
  seeOutage(draft);
}

/** Whoever is away is looked at as before; nobody waits for the answer. */
function noteAway(draft: Draft): void {
  const { config, sight, known } = draft;
  const isDown = ({ id }: NodeConfig) => known[id]?.verdict.odown === true;
  const isSilent = ({ id }: RelayConfig) =>
    (relayBelief(sight, id)?.failures ?? 0) >= config.maxFailures;
  const away = {
    nodes: config.nodes.filter(isDown).map(({ id }) => id),
    vantages: [
      ...config.relays.filter(isSilent).map(({ id }) => vantageOf(id)),
      ...silentRegions(draft),
    ],
  };
  const same = JSON.stringify(away) === JSON.stringify(sight.away);
  if (!same) remember(draft, { away });
}

function seeNode(draft: Draft, node: NodeConfig): void {
  const { config } = draft;
  const { id } = node;
  const beliefs = draft.sight.nodes[id] ?? {};
  const votes = draft.known[id]?.verdict.votes ?? {};
  for (const vantage of config.vantages) {
    const belief = beliefs[vantage];
    const down = votes[vantage] === "down";
    // Neither up nor down ends nothing: only a good look does.
    if (down || votes[vantage] === "up")
      tellEdge(draft, `sdown:${vantage}:${id}`, down, () => ({
        names: ["+sdown", "-sdown"],
        node: id,
        text: `${vantage} sees ${id} ${down ? `down: ${wordsOf(belief)}` : "no longer down"}`,
      }));
    const fault =
      belief !== undefined && (faults.includes(belief.class) || isDropped(belief, config));
    // Through an observer that failed nothing is known to have ended.
    if (!fault && belief !== undefined && blind.includes(belief.class)) continue;
    tellEdge(draft, `fault:${vantage}:${id}`, fault, () => ({
      names: ["+fault", "-fault"],
      node: id,
      text: `${vantage} ${fault ? `finds ${id} not dead but ${belief?.class}: ${belief?.detail}` : `finds no fault in ${id} any more`}`,
      data: { vantage, class: belief?.class },
    }));
  }
  if (config.mode === "replication") noteRole(draft, id);
}

/** Under which run id it was a replica: what it is promoted over. */
function noteRole(draft: Draft, id: string): void {
  const facts = factsOf(draft, id);
  if (facts === null) return;
  const known = draft.saved.replicaRunIds[id];
  if (id === draft.saved.primary && facts.role === "primary") {
    const { [id]: _, ...rest } = draft.saved.replicaRunIds;
    if (known !== undefined) save(draft, { replicaRunIds: rest });
  } else if (facts.role === "replica" && known !== facts.runId)
    save(draft, { replicaRunIds: { ...draft.saved.replicaRunIds, [id]: facts.runId } });
  const { maybePromoted, phase } = draft.saved;
  if (facts.role === "replica" && phase.kind === "watching" && maybePromoted.includes(id))
    save(draft, { maybePromoted: maybePromoted.filter((each) => each !== id) });
}

function wordsOf(belief: Belief | undefined): string {
  if (belief === undefined) return "silent";
  const wrong = belief.class === "up" && belief.facts?.role === "replica";
  return wrong ? "it says that it is a replica" : belief.detail;
}

/** Relays that nobody reaches, and epochs that they hold and the Group never began. */
function seeRelays(draft: Draft): void {
  const { config, saved } = draft;
  let highest = 0;
  for (const { id } of config.relays) {
    const belief = relayBelief(draft.sight, id);
    const away = belief !== null && belief.failures >= config.maxFailures;
    tellEdge(draft, `fault:relay:${id}`, away, () => ({
      names: ["+fault", "-fault"],
      node: null,
      text: `relay ${id} ${away ? "does not answer: an observer fails, which says nothing of a node" : "answers again"}`,
      data: { relay: id, class: "relay-unreachable" },
    }));
    highest = Math.max(highest, belief?.facts?.epoch ?? 0);
  }
  if (highest > saved.highestEpoch) save(draft, { highestEpoch: highest });
  // Whoever gave that epoch away is gone: the same primary goes on above it, or no relay would obey.
  if (highest > saved.epoch && config.mode === "replication")
    raiseEpoch(draft, `a relay holds epoch ${highest}, which is not in force`);
}

/** While a primary is in force, and nothing is under way that names another. */
export function raiseEpoch(draft: Draft, why: string): void {
  const { primary, phase, highestEpoch } = draft.saved;
  const settled = phase.kind === "watching" || phase.kind === "repointing";
  if (primary === null || !settled || draft.config.observeOnly) return;
  const epoch = highestEpoch + 1;
  save(draft, { epoch, highestEpoch: epoch, rev: 0 });
  tell(draft, "+raise-epoch", primary, `${why}: ${primary} goes on at epoch ${epoch}`);
}

function seeRoles(draft: Draft): void {
  const { config, saved } = draft;
  // A switch is seen in parts where relays tell it one by one.
  if (draft.sight.newsAtMs !== null) return;
  const seen = primariesSeen(draft);
  // A sealed one takes no writes: it is on its way out.
  const open = seen.filter((id) => !isSealed(factsOf(draft, id)));
  const switching = ["switching", "promoting", "publishing"].includes(saved.phase.kind);
  // One after the other in the same look is how a switch looks.
  if (!switching)
    tellEdge(draft, "several-primaries", open.length > 1, () => ({
      names: ["+several-primaries", "-several-primaries"],
      node: null,
      text:
        open.length > 1
          ? `${open.join(", ")} say that they are primary; in force is ${saved.primary ?? "none yet"}`
          : "no more than one node takes writes",
      data: { primaries: seen },
    }));
  const all = config.nodes.every((node) => factsOf(draft, node.id) !== null);
  const none = all && seen.length === 0 && saved.phase.kind === "watching";
  tellEdge(draft, "no-primary", none, () => ({
    names: ["+no-primary", "-no-primary"],
    node: saved.primary,
    text: none
      ? `every node answers and none is a primary; in force is ${saved.primary ?? "none yet"}`
      : "a node is primary again, or not all of them answer",
  }));
  const cycle = seen.length < config.nodes.length ? cycleSeen(draft) : [];
  tellEdge(draft, "cycle", cycle.length > 0, () => ({
    names: ["+cycle", "-cycle"],
    node: null,
    text:
      cycle.length > 0 ? `${[...cycle, cycle[0]].join(" follows ")}` : "no nodes follow each other",
    data: { cycle },
  }));
}

function seePrimary(draft: Draft, primary: NodeConfig): void {
  const { config, saved } = draft;
  const verdict = draft.known[primary.id]?.verdict;
  if (verdict === undefined) return;
  const { odown, down, up } = verdict;
  if (odown || up > 0)
    tellEdge(draft, `odown:${primary.id}`, odown, () => ({
      names: ["+odown", "-odown"],
      node: primary.id,
      text: `${primary.id} ${odown ? "is" : "is not"} objectively down #quorum ${down}/${config.quorum}`,
      data: { up, down, quorum: config.quorum, votes: evidenceOf(draft, primary.id) },
    }));
  const witnesses = odown ? witnessesOf(primary, draft.known, config) : [];
  tellEdge(draft, "unreachable", witnesses.length > 0, () => ({
    names: ["+unreachable", "-unreachable"],
    node: primary.id,
    text:
      witnesses.length > 0
        ? `${primary.id} does not answer, and ${witnesses.join(", ")} still hears from it: out of reach, not dead`
        : `${primary.id} is not merely out of reach`,
    data: { witnesses },
  }));
  const facts = factsOf(draft, primary.id);
  const rebooted =
    facts !== null && facts.runId !== saved.primaryRunId && saved.primaryRunId !== null;
  tellEdge(draft, "reboot", rebooted, () => ({
    names: ["+reboot", null],
    node: primary.id,
    text: `${primary.id} answers under another run id: it was restarted`,
    data: { keys: facts?.keys, keysBefore: saved.baseline?.keys },
  }));
  seeRoleChange(draft, primary);
  seeLinks(draft, primary, odown);
}

/** Somebody else made the primary in force a replica; while it is not seen, nothing of that has changed. */
function seeRoleChange(draft: Draft, { id }: NodeConfig): void {
  const facts = factsOf(draft, id);
  if (facts === null || attemptOf(draft.saved) !== null) return;
  const changed = standing(draft) === "made-replica" || foreignPrimary(draft) !== null;
  tellEdge(draft, ROLE_CHANGE, changed, () => ({
    names: ["+role-change", null],
    node: id,
    text: `${id} was made a replica by somebody else: not fought; a clean switch is adopted`,
    data: { follows: facts.replicaOf },
  }));
}

/** No node up at all, seen by enough vantages; kept until the primary is up again. */
function seeOutage(draft: Draft): void {
  const { config, saved, nowMs, sight, known } = draft;
  if (sight.lookAskedAtMs === null || saved.primary === null) return;
  const verdicts = config.nodes.map((node) => known[node.id]?.verdict);
  const primary = known[saved.primary]?.verdict;
  // One that answers is not away, whatever its role.
  const answers = config.nodes.some((node) => factsOf(draft, node.id) !== null);
  const allDown = !answers && verdicts.every((verdict) => verdict?.odown === true);
  if (saved.outage === null) {
    if (!allDown) return;
    save(draft, { outage: { sinceMs: nowMs, endedMs: null } });
    tell(draft, "+outage", null, "no node of the group is up");
  } else if (primary !== undefined && !primary.odown && primary.up > 0) {
    save(draft, { outage: null });
    tell(draft, "-outage", saved.primary, `${saved.primary} is up again`);
  } else if (saved.outage.endedMs !== null) {
    // All down once more: the stored primary has its time again.
    if (allDown) save(draft, { outage: { ...saved.outage, endedMs: null } });
  } else if (answers) {
    save(draft, { outage: { ...saved.outage, endedMs: nowMs } });
  }
}
