/**
 * A node that comes back as a primary, and must not be one: sealed at first sight.
 *
 * Rules: whom the Group called a stranger, at the epoch that it said so; not one that hands over just now; not
 * when this relay holds a newer epoch, or its journal names the node, for then the Group has since decided otherwise.
 * Must never: go by what was said over a connection that is gone: a failover may have passed since.
 */
import type { NodeFacts } from "../../core/types.ts";
import { SEALED } from "../protocol.ts";
import type { WatchMessage } from "../push.ts";
import type { HeldEpoch } from "../verbs/fence.ts";
import type { Hands, RelayNode } from "../verbs/hands.ts";
import { seal } from "../verbs/steps.ts";

const SEAL_MS = 1000;

export function isStranger(
  id: string,
  facts: NodeFacts,
  { strangers, epoch }: Pick<WatchMessage, "strangers" | "epoch">,
  held: HeldEpoch | null,
): boolean {
  if (facts.role !== "primary" || facts.switching || !strangers.includes(id)) return false;
  if ((facts.minReplicasToWrite ?? 0) >= SEALED) return false;
  return held === null || (held.epoch <= epoch && held.primary !== id);
}

/** True when Redis confirmed the seal. In turn with the verbs: one that opens the node is judged before, or after. */
export async function sealStranger(
  node: RelayNode,
  facts: NodeFacts,
  watch: Pick<WatchMessage, "group" | "strangers" | "epoch">,
  hands: Hands,
): Promise<boolean> {
  const isStill = () => isStranger(node.id, facts, watch, hands.heldOf(watch.group));
  if (!isStill()) return false;
  const sealed = await node.inTurn(SEAL_MS, async () => {
    if (!isStill()) return false;
    const answer = await node.control.run([["MULTI"], ...seal, ["EXEC"]], { deadlineMs: SEAL_MS });
    return answer.kind === "replies" && Array.isArray(answer.replies.at(-1));
  });
  return sealed === true;
}
