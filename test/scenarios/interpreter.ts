/**
 * Reads a scenario: a script in the domain's words, `----`, and the story that it must tell.
 *
 * Commands, one a line, `#` starts a comment:
 *   group a b c [key=value …]     the nodes; a starts as primary; settings in camelCase
 *   alone                         nobody follows anybody
 *   run 3s | run 200ms            time passes
 *   kill|hang|load|misconf x      what happens to a node
 *   start x [as primary|of y]     it comes back, with the role in its file
 *   priority x n · lag x n        what a replica says of itself
 *   foreign x [of y]              somebody else changes a role
 *   stop relay x · start relay x  a relay process
 *   cut relay x from y · mend relay x from y
 *   fail <verb or publisher> <outcome> · mend <verb or publisher>
 *   failover [to x] · bootstrap x operators
 *   evict · jump <ms>             the Group forgets; the clock jumps
 */
import type { OutcomeKind } from "../../worker/core/types.ts";
import { createWorld, type World } from "../support/world.ts";

export function play(script: string): string {
  const lines = script
    .split("\n")
    .map((line) => line.replace(/#.*/, "").trim())
    .filter((line) => line !== "");
  const [first = "", ...rest] = lines;
  const world = found(first);
  const startMs = world.nowMs;
  const story: string[] = [];
  let told = 0;
  let sent = 0;
  for (const line of rest) {
    story.push(`> ${line}`);
    obey(world, line);
    const refusal = refused(world, line);
    if (refusal !== null) story.push(refusal);
    for (const event of world.events.slice(told)) {
      const at = ((event.atMs - startMs) / 1000).toFixed(3).padStart(8);
      story.push(`${at}  ${event.name.padEnd(36)} ${event.text}`);
    }
    told = world.events.length;
    const verbs = world.actions.slice(sent).flatMap((action) => {
      if (action.kind === "publish" || action.kind === "tell-epoch") return [];
      return [`${action.kind} ${action.node} at ${action.relay}, epoch ${action.epoch}`];
    });
    sent = world.actions.length;
    if (verbs.length > 0) story.push(`          verbs: ${verbs.join(" · ")}`);
  }
  story.push(`= ${world.decisions.at(-1)?.because ?? "nothing was decided"}`);
  story.push(`= ${inShort(world)}`);
  return story.join("\n");
}

function found(line: string): World {
  const [word, ...words] = line.split(/\s+/);
  if (word !== "group") throw new Error(`a scenario begins with "group", not "${line}"`);
  const ids = words.filter((each) => !each.includes("="));
  const settings = words
    .filter((each) => each.includes("="))
    .map((each) => each.split("="))
    .map(([key, value]) => [key, Number(value)]);
  return createWorld({ ids, ...Object.fromEntries(settings) });
}

function obey(world: World, line: string): void {
  const [word, x = "", y = "", z = "", last = ""] = line.split(/\s+/);
  const ms = (text: string) =>
    text.endsWith("ms") ? Number.parseFloat(text) : Number.parseFloat(text) * 1000;
  switch (word) {
    case "alone":
      for (const { id } of world.config.nodes)
        Object.assign(world.node(id), { role: "primary", follows: null });
      return;
    case "run":
      return world.run(ms(x));
    case "kill":
      return world.kill(x);
    case "hang":
      return world.hang(x);
    case "load":
      world.node(x).life = "loading";
      return;
    case "misconf":
      world.node(x).life = "misconf";
      return;
    case "start":
      if (x === "relay") world.relay(y).reach = true;
      else if (y === "as") world.start(x, { follows: null });
      else if (y === "of") world.start(x, { follows: z });
      else world.start(x);
      return;
    case "stop":
      world.relay(y).reach = false;
      return;
    case "priority":
      world.node(x).priority = Number(y);
      return;
    case "lag":
      world.node(x).offset -= Number(y);
      world.node(x).lagging = true;
      return;
    case "foreign":
      Object.assign(world.node(x), {
        role: y === "of" ? "replica" : "primary",
        follows: y === "of" ? z : null,
      });
      return;
    case "cut":
      world.relay(y).cut.add(last);
      return;
    case "fail":
      return world.fail(x, y as OutcomeKind);
    case "mend":
      if (x === "relay") world.relay(y).cut.delete(last);
      else world.mend(x);
      return;
    case "failover":
      world.ask({ kind: "failover", id: "operator", to: y === "" ? null : y });
      return;
    case "bootstrap":
      world.ask({ kind: "bootstrap", id: "operator", primary: x });
      return;
    case "evict":
      return world.evict();
    case "jump":
      return world.jump(Number(x));
    default:
      throw new Error(`no such command: ${line}`);
  }
}

/** An operator's answer is part of the story when it is a no. */
function refused(world: World, line: string): string | null {
  const reply = world.replies.at(-1);
  if (!/^(failover|bootstrap)/.test(line) || reply?.kind !== "refused") return null;
  const reasons = reply.reasons.map(({ node, reason }) => `${node} ${reason}`).join("; ");
  return `          refused ${reply.code}: ${reply.detail}${reasons === "" ? "" : `: ${reasons}`}`;
}

function inShort(world: World): string {
  const { saved } = world.state;
  const nodes = world.config.nodes.map(({ id }) => {
    const { life, role, follows, minReplicas } = world.node(id);
    const what = role === "primary" ? "primary" : `of ${follows}`;
    return `${id} ${life} ${what}${minReplicas > 0 ? " SEALED" : ""}`;
  });
  return `epoch ${saved.epoch}, primary ${saved.primary}, ${saved.routeState}, reads ${saved.readable.join(",") || "none"}; ${nodes.join(", ")}`;
}
