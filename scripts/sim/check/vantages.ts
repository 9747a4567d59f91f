/**
 * Rules about who only observes: how a vantage itself does changes nothing that is decided of nodes; a replica that
 * nobody configured is named in no verb and no route, and none of ours is told to be one.
 */
import { decide } from "../../../worker/core/decide.ts";
import { survey } from "../../../worker/core/health.ts";
import type { Decision, Input, State } from "../../../worker/core/state.ts";
import type { Action, Address, GroupConfig } from "../../../worker/core/types.ts";
import { about } from "./apart.ts";
import { type Ledger, violate } from "./ledger.ts";

/** The same decision without a word of how the vantages do. */
export function checkReports(
  ledger: Ledger,
  made: { readonly state: State; readonly input: Input; readonly decision: Decision },
  config: GroupConfig,
  nowMs: number,
): void {
  const { decision, state, input } = made;
  const failing = Object.values(decision.state.sight.vantages).some(({ failures }) => failures > 0);
  if (!failing) return;
  const sight = { ...state.sight, vantages: {} };
  const other = decide({ ...state, sight }, { ...input, vantages: [] }, config, nowMs);
  if (about(other) !== about(decision))
    violate(
      ledger,
      "report-votes",
      `with what vantages report ${about(decision)}, without it ${about(other)}`,
    );
}

/** Who says what a node is, is heard, however many say only that it lives. */
export function checkFacts(
  ledger: Ledger,
  { sight }: State,
  config: GroupConfig,
  nowMs: number,
): void {
  const looks = Object.values(sight.nodes).flatMap((beliefs) => Object.values(beliefs));
  if (!looks.some(({ class: kind, facts }) => kind === "up" && facts === null)) return;
  const known = survey(sight, config, nowMs);
  for (const { id } of config.nodes) {
    const telling = Object.values(sight.nodes[id] ?? {}).find(
      ({ class: kind, factsAtMs, atMs, askedAtMs }) =>
        kind === "up" && factsAtMs === atMs && askedAtMs >= (sight.lookAskedAtMs ?? 0),
    );
    if (telling !== undefined && known[id]?.best?.facts === null)
      violate(ledger, "faceless", `${id} said what it is, and is known only to live`);
  }
}

/** @param ours every address that was ever configured. */
export function checkStrangersOut(
  ledger: Ledger,
  decision: Pick<Decision, "actions" | "events">,
  config: GroupConfig,
  ours: ReadonlyMap<string, unknown>,
): void {
  for (const action of decision.actions)
    for (const { host, port } of addressesIn(action))
      if (!ours.has(`${host}:${port}`))
        violate(
          ledger,
          "stranger",
          `${action.kind} ${action.id} names ${host}:${port}, which nobody configured`,
        );
  for (const { name, data } of decision.events) {
    if (name !== "+discovered") continue;
    const known = (data.discovered as readonly Address[]).find((each) =>
      config.nodes.some(({ host, port }) => host === each.host && port === each.port),
    );
    if (known !== undefined)
      violate(ledger, "stranger", `${known.host}:${known.port} is configured, and told as unknown`);
  }
}

function addressesIn(action: Action): readonly Address[] {
  switch (action.kind) {
    case "publish":
      return [action.route.primary, ...action.route.replicas].filter((each) => each !== null);
    case "demote":
      return [action.follow];
    case "switchover":
      return [action.to];
    default:
      return [];
  }
}
