/**
 * Defects in what a relay makes of its lease, and in what the Group makes of the relays that keep them.
 */
import { core, type Mutant, rules } from "./mutant.ts";

export const leaseMutants: readonly Mutant[] = [
  // the end of a lease
  {
    name: "a lease ends by the wall clock alone",
    file: rules("rules"),
    find: "  return ms - Math.max(now.monoMs - from.monoMs, now.wallMs - from.wallMs);",
    replace: "  return ms - (now.wallMs - from.wallMs);",
    scene: "the primary's machine is cut off with its clients, and its wall clock set back",
  },
  {
    name: "a no of the Group is overheard",
    file: rules("rules"),
    find: "  return { ...heard, cover: null, refused: true };",
    replace: "  return extended({ ...heard, refused: true }, asked, said.leaseMs);",
    scene: "paused, nobody reaches the primary but its clients, and somebody fails over by hand",
  },
  // what a pause suspends
  {
    name: "what is not enforced has no end",
    file: rules("rules"),
    find: "      asked,\n      said.leaseMs,\n    );",
    replace: "      asked,\n      said.enforced ? said.leaseMs : 1e9,\n    );",
    scene: "paused, the primary's machine is cut off with its clients, resumed",
  },
  {
    name: "a pause suspends the lease of one that is being replaced",
    file: core("lease"),
    find: "    enforced: !free || saved.revokedAtMs !== null,",
    replace: "    enforced: !free,",
    scene: "paused, nobody reaches the primary but its clients, and somebody fails over by hand",
  },
  // promises
  {
    name: "a promise is given to one that is behind",
    file: core("lease"),
    find: "  heldEpoch !== null && heldEpoch <= askedEpoch;",
    replace: "  heldEpoch !== null && askedEpoch >= 0;",
    also: [
      {
        file: rules("rules"),
        find: "  if (promisedMs > 0)\n",
        replace: "  if (promisedMs > 1e9)\n",
      },
    ],
    scene: "of the primary's machine nothing is reached but that its relay hears its neighbours",
  },
  {
    name: "one that has promised opens a node all the same",
    file: rules("rules"),
    find: "  if (promisedMs > 0)\n",
    replace: "  if (promisedMs > 1e9)\n",
    scene: "of the primary's machine nothing is reached but that its relay hears its neighbours",
  },
  {
    name: "one promise is enough",
    file: rules("rules"),
    find: "): boolean => promisers?.every((id) => given.has(id)) === true;",
    replace: "): boolean => promisers?.some((id) => given.has(id)) === true;",
    scene: "the edge is away, and one relay does not answer",
  },
  {
    name: "nobody is asked for a promise",
    file: rules("rules"),
    find: "  leftMs(lease.cover, now) > 0 &&\n  !lease.refused &&",
    replace: "  leftMs(lease.cover, now) > 1e9 &&\n  !lease.refused &&",
    scene: "the edge is away, and every relay promises",
  },
  // the guard
  {
    name: "the guard waits for a whole lease, and longer",
    file: rules("rules"),
    find: "    Math.max(0, beat.atMonoMs + beat.leaseMs / 4 - now.monoMs),",
    replace: "    Math.max(0, beat.atMonoMs + beat.leaseMs * 4 - now.monoMs),",
    scene: "the primary's relay stands still",
  },
  {
    name: "the guard knows of no beat that is missing",
    file: rules("rules"),
    find: "  Math.min(\n    sealInMs(beat.cover, now, sealMs),",
    replace: "  Math.max(\n    sealInMs(beat.cover, now, sealMs),",
    scene: "the primary's relay stands still",
  },
  // who opens, who is granted
  {
    name: "a seal that any relay confirmed ends the wait",
    file: core("failover"),
    find: '!isKeeper(config, pending.key ?? "", pending.about)) return;',
    replace: "config.relays.length === 0) return;",
  },
  {
    name: "that nothing listens, said by any relay, ends the wait",
    file: core("failover"),
    find: '!isKeeper(config, pending.key ?? "", pending.about)) return;',
    replace:
      '!isKeeper(config, pending.key ?? "", pending.about) && factsOf(draft, pending.about) !== null) return;',
    also: [
      {
        file: "scripts/sim/world/relay.ts",
        find: 'if (node.life === "dead" && keeps && action',
        replace: 'if (node.life === "dead" && action',
      },
    ],
  },
  {
    name: "what was opened boots open",
    file: "worker/relay/verbs/steps.ts",
    find: "    ? [...bootSeal, rewrite, open,",
    replace: "    ? [...bootSeal, open, rewrite,",
  },
  // a primary that nobody can open, or that somebody else replaced
  {
    name: "a relay that is only restarted is not waited for",
    file: core("shut"),
    find: "if (belief.failures < config.maxFailures || awayMs < config.downAfterMs) return null;",
    replace: "if (belief.failures < 1 || awayMs < 0) return null;",
    scene: "the primary's relay is started again",
  },
  {
    name: "a relay that is back opens nothing: its node is replaced",
    file: core("electing"),
    find: "if (stays || !isOpenAgain(draft, from, sinceMs)) return null;",
    replace: "if (stays || !isOpenAgain(draft, from, sinceMs) || sinceMs > 0) return null;",
    scene: "the primary's relay is gone, and back when it is about to be replaced",
  },
  {
    name: "a switch by somebody else revokes no lease",
    file: core("adopting"),
    find: "if (dead && longestMs > 0 && saved.revokedAtMs === null) save(draft, { revokedAtMs: nowMs });",
    replace: "",
    also: [
      {
        file: core("adopting"),
        find: "const revokedAtMs = draft.saved.revokedAtMs ?? nowMs;",
        replace: "const revokedAtMs = draft.saved.revokedAtMs ?? sinceMs;",
      },
    ],
    scene:
      "a person replaces a primary that nobody reaches but its clients, and whose relay still asks",
  },
  {
    name: "only the relay beside it is asked, and refuses to keep a lease",
    file: rules("rules"),
    find: "  if (sealMs === null)\n",
    replace: "  if (sealMs !== null)\n",
  },
  {
    name: "one that takes over is granted nothing until it was seen",
    file: core("lease"),
    find: '  if (phase.kind === "promoting") return phase.candidate === node;',
    replace: '  if (phase.kind === "promoting") return false;',
    scene: "who takes over is not closed again",
  },
  {
    name: "a relay that asked is not remembered",
    file: core("lease"),
    find: "  return { ...leases, keepers: { ...Object.fromEntries(kept), [node]: promisers } };",
    replace: "  return kept.length > 0 ? leases : { ...leases, keepers: {} };",
  },
];
