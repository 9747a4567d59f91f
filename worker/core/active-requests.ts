/**
 * What operators ask of an active-active group: which node is used, a pin, weights, nodes at run time.
 *
 * Promises: a refused request changes nothing; only one that is healthy is chosen; the last node stays.
 */
import { keep, rulesOf, switchTo, tellPin } from "./active-active.ts";
import { asSeenNow, isSeenUp, seeMembers } from "./active-health.ts";
import { type Answer, no, noSuchNode, yes } from "./answers.ts";
import { type Draft, save, tell } from "./draft.ts";
import { overlaid } from "./overlay.ts";
import type { OperatorRequest, Steering } from "./state.ts";
import * as steering from "./steering.ts";
import type { GroupConfig } from "./types.ts";

type Asked = Extract<
  OperatorRequest,
  { kind: "select" | "unpin" | "weight" | "add-node" | "remove-node" }
>;

export function answerActive(draft: Draft, request: Asked, deployed: GroupConfig): Answer {
  if (draft.config.observeOnly)
    return no("OBSERVING", "the group is only observed: deploy it without observe_only to act");
  const state = seen(draft, deployed);
  switch (request.kind) {
    case "select":
      return select(draft, state, request.node, request.pinMs);
    case "unpin":
      if (state.pinnedUntilMs === null) return no("NOTHING", "no node is pinned");
      keep(draft, { ...state, pinnedUntilMs: null });
      tellPin(draft, state.pinnedUntilMs);
      return yes("the pin is over: everything is judged anew");
    case "weight":
      return weigh(draft, state, request.node, request.weight, deployed);
    case "add-node":
      return add(draft, request.node, deployed);
    case "remove-node":
      return takeOut(draft, state, request.node, deployed);
  }
}

/** The members as they are seen now. */
function seen(draft: Draft, deployed: GroupConfig): Steering {
  seeMembers(draft, deployed);
  return draft.saved.steering as Steering;
}

/** @param node null: the heaviest healthy one beside the one that is used. */
function select(draft: Draft, state: Steering, node: string | null, pinMs: number | null): Answer {
  const others = asSeenNow(draft, state).members.filter(
    ({ id, healthy }) => healthy === true && id !== state.active,
  );
  const best = others.reduce<steering.Member | null>(
    (found, each) => (found === null || each.weight > found.weight ? each : found),
    null,
  );
  const id = node ?? best?.id;
  if (id === undefined) return no("UNHEALTHY", "no other node is healthy");
  const given = steering.select(choosable(draft, state, id), id, pinMs ?? 0, draft.nowMs);
  if (given.kind === "unknown") return noSuchNode(draft, id, "NOTREADY");
  if (given.kind !== "done")
    return no("UNHEALTHY", `${id} is not healthy: only a node that can be used is chosen`);
  switchTo(draft, given.state, id, "manual", "an operator chose it");
  tellPin(draft, state.pinnedUntilMs);
  return yes(`${id} is used since now${pinMs === null ? "" : `, and pinned for ${pinMs} ms`}`);
}

/**
 * Who is seen up now. But where the one in use cannot be used a person may name any that is not known to be down: too few
 * may look to be sure, or Picket's password alone is wrong, and there is nothing to lose.
 */
function choosable(draft: Draft, state: Steering, id: string): Steering {
  const memberOf = (of: string | null) => state.members.find((member) => member.id === of);
  const now = asSeenNow(draft, state);
  const may = memberOf(id)?.healthy !== false || isSeenUp(draft, id);
  if (memberOf(state.active)?.healthy === true || !may) return now;
  const members = now.members.map((each) => (each.id === id ? { ...each, healthy: true } : each));
  return { ...now, members };
}

function weigh(
  draft: Draft,
  state: Steering,
  id: string,
  weight: number,
  deployed: GroupConfig,
): Answer {
  const { overlay } = draft.saved;
  const node = [...deployed.nodes, ...overlay.added].find((each) => each.id === id);
  if (node === undefined || overlay.removed.includes(id)) return noSuchNode(draft, id, "NOTREADY");
  const { [id]: _, ...rest } = overlay.weights;
  const weights = weight === node.weight ? rest : { ...rest, [id]: { weight, over: node.weight } };
  save(draft, { overlay: { ...overlay, weights } });
  tell(draft, "+weight", id, `${id} weighs ${weight} now; deployed is ${node.weight}`, { weight });
  // By a person's word: it need not wait for the time of going back.
  follow(
    draft,
    steering.weigh(asSeenNow(draft, state), id, weight, draft.nowMs),
    `${id} weighs ${weight} now`,
  );
  return yes(`${id} weighs ${weight} until a deploy says something else`);
}

/** As many as may be configured. */
const MOST_NODES = 32;

function add(
  draft: Draft,
  node: Extract<Asked, { kind: "add-node" }>["node"],
  deployed: GroupConfig,
): Answer {
  const { overlay } = draft.saved;
  const there = overlaid(draft.saved, deployed).nodes;
  const twin = draft.config.nodes.find(
    ({ id, host, port }) => id === node.id || (host === node.host && port === node.port),
  );
  if (twin !== undefined)
    return no("EXISTS", `${twin.id} at ${twin.host}:${twin.port} is one of the group already`);
  // One that was taken out comes back as it is deployed.
  const back = deployed.nodes.find(({ id }) => id === node.id);
  if (back !== undefined && (back.host !== node.host || back.port !== node.port))
    return no(
      "EXISTS",
      `${back.id} is deployed at ${back.host}:${back.port}, and was taken out: it comes back with that address`,
    );
  if (there.length >= MOST_NODES)
    return no("NOTREADY", `a group has at most ${MOST_NODES} nodes: take one out first`);
  const removed = overlay.removed.filter((id) => id !== node.id);
  const added = back === undefined ? [...overlay.added, node] : overlay.added;
  save(draft, { overlay: { ...overlay, added, removed } });
  tell(
    draft,
    "+node-added",
    node.id,
    `${node.id} at ${node.host}:${node.port} is one of the group until a deploy says something else`,
  );
  return yes(`${node.id} is looked at from now on, and used when it is the heaviest healthy one`);
}

function takeOut(draft: Draft, state: Steering, id: string, deployed: GroupConfig): Answer {
  const { overlay } = draft.saved;
  const given = steering.remove(asSeenNow(draft, state), id, rulesOf(draft.config), draft.nowMs);
  if (given.kind === "unknown") return noSuchNode(draft, id, "NOTREADY");
  if (given.kind === "last")
    return no("LASTNODE", `${id} is the last node: a group has at least one`);
  if (given.kind !== "done")
    return no("UNHEALTHY", `${id} is used, and no other node is healthy: it cannot be taken out`);
  follow(draft, given, `${id} was taken out by an operator`);
  const { [id]: _, ...weights } = overlay.weights;
  const isDeployed = deployed.nodes.some((node) => node.id === id);
  save(draft, {
    overlay: {
      weights,
      added: overlay.added.filter((node) => node.id !== id),
      removed: isDeployed ? [...overlay.removed, id] : overlay.removed,
    },
  });
  tell(
    draft,
    "-node-removed",
    id,
    `${id} is no longer one of the group until a deploy says something else`,
  );
  return yes(`${id} is no longer looked at`);
}

function follow(draft: Draft, given: steering.Answer, why: string): void {
  if (given.kind !== "done") return;
  if (given.change === null) keep(draft, given.state);
  else switchTo(draft, given.state, given.change.to, given.change.reason, why);
}
