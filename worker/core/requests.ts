/**
 * What operators ask for, and whether it can be done now: accepted with its epoch, or refused with the reason.
 *
 * Promises: a refused request changes nothing.
 */
import { type Draft, nodeOf } from "./draft.ts";
import { begin, electFor } from "./failover.ts";
import { factsOf } from "./health.ts";
import type { OperatorRequest, Refusal, RefusalCode, Reply } from "./state.ts";

export function answer(draft: Draft, request: OperatorRequest, tilt: boolean): Reply {
  const refuse = (code: RefusalCode, detail: string, reasons: readonly Refusal[] = []): Reply => ({
    id: request.id,
    kind: "refused",
    code,
    detail,
    reasons,
  });
  const accept = (): Reply => ({
    id: request.id,
    kind: "accepted",
    epoch: draft.saved.highestEpoch,
  });
  const { saved, config } = draft;
  if (tilt) return refuse("NOTREADY", "the clock went back: nothing is done for a while");
  if (saved.phase.kind !== "watching")
    return refuse(
      "INPROG",
      `failover already in progress: ${saved.phase.kind} at epoch ${saved.phase.attempt.epoch}`,
    );

  if (request.kind === "bootstrap") {
    if (saved.primary !== null)
      return refuse(
        "BOOTSTRAPPED",
        `the group has a primary: ${saved.primary}, at epoch ${saved.epoch}`,
      );
    const node = nodeOf(config, request.primary);
    if (node === null || factsOf(draft.sight, node, config) === null)
      return refuse(
        "NOTREADY",
        `${request.primary} does not answer: it must be up to become primary`,
      );
    const { order, refused } = electFor(draft, request.primary);
    if (order.length === 0)
      return refuse("NOGOODSLAVE", `${request.primary} cannot be promoted`, refused);
    begin(
      draft,
      "bootstrap",
      request.primary,
      `an operator named ${request.primary} the first primary`,
    );
    return accept();
  }

  if (saved.primary === null)
    return refuse(
      "NOTREADY",
      "the group has no primary yet: POST /v1/groups/:group/bootstrap names one",
    );
  if (request.to === saved.primary)
    return refuse("ISPRIMARY", `${request.to} is the primary already`);
  const { order, refused } = electFor(draft, request.to);
  if (order.length === 0) return refuse("NOGOODSLAVE", "no suitable replica to promote", refused);
  begin(
    draft,
    "operator",
    request.to,
    `an operator asked for a failover${request.to === null ? "" : ` to ${request.to}`}`,
  );
  return accept();
}
