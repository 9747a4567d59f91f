/**
 * Reads a scenario: a script in the domain's words, `----`, and the story that it must tell.
 *
 * Commands, one a line, `#` starts a comment:
 *   group a b c [key=value …]     the nodes; a starts as primary; settings in camelCase
 *   alone                         nobody follows anybody
 *   run 3s | run 200ms            time passes
 *   kill|hang|load|misconf|busy|auth|policy x      what happens to a node
 *   start x [as primary|of y] [empty]    it comes back, with the role and the data of its file
 *   up x                          it answers as it should again
 *   restart x …                   killed and started at once
 *   write x n                     clients write n keys
 *   priority x n · lag x n        what a replica says of itself
 *   unlink x · link x · deaf x · hears x             its link to its primary is down while both run
 *   foreign x [of y]              somebody else changes a role
 *   stop relay x · start relay x  a relay process
 *   leaseless x                   relay x never asks for a lease
 *   connect x                     relay x holds a connection to the Group
 *   ahead relay x n               a relay holds a higher epoch
 *   cut relay x from y · mend relay x from y
 *   fail <verb, publisher or webhook> <outcome> · mend <verb, publisher or webhook>
 *   drift <publisher> <what>      somebody writes by hand where it wrote
 *   slow <publisher>              it takes what it is given, and is done with it when it is asked again
 *   webhook x <event> …           a new deploy: x is told of these events
 *   stranger x n                  a deploy adds a primary with n keys of its own
 *   remove x · rename x y · zone x z · set key value      a new deploy
 *   failover [to x] · bootstrap x · switchover [to x] [for 3s] [force] · abort · pause [for 3s] · resume
 *   select [x] [for 3s] · unpin · weigh x n · add x n · take-out x       operators, in active-active
 *   downtime x 3s · end-downtime x · acknowledge · reset · drill after-election      operators
 *   silence weur · hear weur · cut weur from x · mend weur from x      a region that looks
 *   lie weur x <class> · truth weur x · place weur FRA weur
 *   shadow x of y                 a replica that no deploy names
 *   weight x n                    a new deploy
 *   evict · jump <ms>             the Group forgets; the clock jumps
 */
import type { EventName } from "../../worker/core/events.ts";
import { SEALED } from "../../worker/core/facts.ts";
import type { DrillPoint, OperatorRequest } from "../../worker/core/state.ts";
import type { NodeConfig, ObservationClass, OutcomeKind } from "../../worker/core/types.ts";
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
      if (action.kind === "notify") return [`${action.to} told of ${action.event.name}`];
      if (!("node" in action)) return [];
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
    .map(([key, value]) => [key, settingOf(value ?? "")]);
  const { weights, ...rest } = Object.fromEntries(settings) as Record<string, unknown>;
  const world = createWorld({
    ids,
    ...(rest.mode === "active-active" ? { relays: [] } : {}),
    ...rest,
  });
  if (Array.isArray(weights))
    world.configure({
      nodes: world.config.nodes.map((node, at) => ({ ...node, weight: Number(weights[at]) })),
    });
  return world;
}

const msOf = (text: string) =>
  text.endsWith("ms") ? Number.parseFloat(text) : Number.parseFloat(text) * 1000;
const settingOf = (text: string): unknown => (text.includes(",") ? text.split(",") : plainOf(text));
const plainOf = (text: string) =>
  text === "true" || text === "false"
    ? text === "true"
    : /^[\d.]+$/.test(text)
      ? Number(text)
      : text;

function obey(world: World, line: string): void {
  const [word, x = "", y = "", z = "", last = ""] = line.split(/\s+/);
  switch (word) {
    case "alone":
      for (const { id } of world.config.nodes)
        Object.assign(world.node(id), { role: "primary", follows: null });
      return;
    case "run":
      return world.run(msOf(x));
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
      else world.start(x, file(line));
      return;
    case "restart":
      world.kill(x);
      return world.start(x, file(line));
    case "busy":
    case "auth":
    case "policy":
      world.node(x).life = word;
      return;
    case "up":
      world.node(x).life = "up";
      return;
    case "write":
      if (!world.write(x, Number(y))) throw new Error(`${x} takes no writes: ${line}`);
      return world.settle();
    case "deaf":
      world.node(x).deaf = true;
      return;
    case "hears":
      world.node(x).deaf = false;
      return;
    case "unlink":
      world.node(x).unlinked = true;
      return;
    case "link":
      world.node(x).unlinked = false;
      return;
    case "leaseless":
      world.leaseless.add(x);
      return;
    case "connect":
      world.connected.add(x);
      return;
    case "ahead":
      world.relay(y).epoch = Number(z);
      return;
    case "stop":
      world.relay(y).reach = false;
      return;
    case "seal":
      world.node(x).minReplicas = SEALED;
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
      if (x !== "relay") return void world.eye(x).cut.add(z);
      world.relay(y).cut.add(last);
      return;
    case "fail":
      return world.fail(x, y as OutcomeKind);
    case "mend":
      if (x === "relay") world.relay(y).cut.delete(last);
      else if (y === "from") world.eye(x).cut.delete(z);
      else world.mend(x);
      return;
    case "remove":
      return world.configure({ nodes: world.config.nodes.filter((node) => node.id !== x) });
    case "rename":
      return world.configure({
        nodes: changed(world, x, { id: y }),
        relays: world.config.relays.map((relay) => ({
          ...relay,
          local: relay.local.map((id) => (id === x ? y : id)),
        })),
      });
    case "stranger":
      return world.join(x, Number(y));
    case "zone":
      return world.configure({ nodes: changed(world, x, { zone: y }) });
    case "host":
      return world.configure({ nodes: changed(world, x, { host: y }) });
    case "set":
      return world.configure({ [x]: settingOf(y) });
    case "failover":
    case "bootstrap":
    case "switchover":
    case "abort":
    case "pause":
    case "resume":
    case "downtime":
    case "end-downtime":
    case "acknowledge":
    case "reset":
    case "drill":
      world.ask(requestOf(line));
      return;
    case "select":
    case "unpin":
    case "weigh":
    case "take-out":
      world.ask(requestOf(line));
      return;
    case "add":
      world.ask({
        kind: "add-node",
        id: "operator",
        node: { ...world.spare(x), weight: Number(y) },
      });
      return;
    case "silence":
      world.eye(x).answers = false;
      return;
    case "hear":
      world.eye(x).answers = true;
      return;
    case "lie":
      world.eye(x).lies.set(y, z as ObservationClass);
      return;
    case "truth":
      world.eye(x).lies.delete(y);
      return;
    case "place":
      world.eye(x).whereabouts = { colo: y, region: z };
      return;
    case "shadow":
      return world.shadow(x, z);
    case "weight":
      return world.configure({ nodes: changed(world, x, { weight: Number(y) }) });
    case "drift":
      world.byHand.set(x, y);
      return;
    case "slow":
      world.slow.add(x);
      return;
    case "webhook": {
      const events = line.split(/\s+/).slice(2) as EventName[];
      const url = `https://${x}.example.com`;
      const added = { name: x, url, signingSecret: "SIGN", events };
      return world.configure({ webhooks: [...world.config.webhooks, added] });
    }
    case "evict":
      return world.evict();
    case "jump":
      return world.jump(Number(x));
    default:
      throw new Error(`no such command: ${line}`);
  }
}

/** What a line says of a node's file: its role, and whether its data is gone. */
function file(line: string) {
  const of = / of (\S+)/.exec(line)?.[1];
  return {
    ...(/ as primary/.test(line) ? { follows: null } : of === undefined ? {} : { follows: of }),
    empty: / empty/.test(line),
  };
}

const changed = (world: World, id: string, change: Partial<NodeConfig>) =>
  world.config.nodes.map((node) => (node.id === id ? { ...node, ...change } : node));

function requestOf(line: string): OperatorRequest {
  const [word, x = "", y = ""] = line.split(/\s+/);
  const id = "operator";
  const to = / to (\S+)/.exec(line)?.[1] ?? null;
  const given = / for (\S+)/.exec(line)?.[1];
  const forMs = given === undefined ? null : msOf(given);
  const reason = "maintenance";
  switch (word) {
    case "failover":
      return { kind: "failover", id, to };
    case "bootstrap":
      return { kind: "bootstrap", id, primary: x };
    case "switchover":
      return { kind: "switchover", id, to, timeoutMs: forMs, force: / force/.test(line) };
    case "abort":
      return { kind: "abort-switchover", id };
    case "pause":
      return { kind: "pause", id, reason, forMs };
    case "downtime":
      return { kind: "downtime", id, node: x, reason, forMs: msOf(y) };
    case "end-downtime":
      return { kind: "end-downtime", id, node: x };
    case "drill":
      return { kind: "drill", id, at: x as DrillPoint };
    case "select":
      return { kind: "select", id, node: x === "" || x === "for" ? null : x, pinMs: forMs };
    case "unpin":
      return { kind: "unpin", id };
    case "weigh":
      return { kind: "weight", id, node: x, weight: Number(y) };
    case "take-out":
      return { kind: "remove-node", id, node: x };
    case "acknowledge":
    case "reset":
    case "resume":
      return { kind: word, id };
    default:
      throw new Error(`no such request: ${line}`);
  }
}

const OPERATORS =
  /^(failover|bootstrap|switchover|abort|pause|resume|downtime|end-downtime|acknowledge|reset|drill|select|unpin|weigh|add|take-out)/;

/** An operator's answer is part of the story when it is a no. */
function refused(world: World, line: string): string | null {
  const reply = world.replies.at(-1);
  if (!OPERATORS.test(line) || reply?.kind !== "refused") return null;
  const reasons = reply.reasons.map(({ node, reason }) => `${node} ${reason}`).join("; ");
  return `          refused ${reply.code}: ${reply.detail}${reasons === "" ? "" : `: ${reasons}`}`;
}

function inShortActive({ state: { saved } }: World): string {
  const nodes = saved.steering?.members.map(
    ({ id, weight, healthy }) =>
      `${id} ${weight} ${healthy === null ? "unknown" : healthy ? "healthy" : "not healthy"}`,
  );
  return `epoch ${saved.epoch}, uses ${saved.primary}, ${saved.routeState}; ${nodes?.join(", ")}`;
}

function inShort(world: World): string {
  const { saved } = world.state;
  if (world.config.mode === "active-active") return inShortActive(world);
  const nodes = world.config.nodes.map(({ id }) => {
    const { life, role, follows, minReplicas } = world.node(id);
    const what = role === "primary" ? "primary" : `of ${follows}`;
    return `${id} ${life} ${what}${minReplicas > 0 ? " SEALED" : ""}`;
  });
  return `epoch ${saved.epoch}, primary ${saved.primary}, ${saved.routeState}, reads ${saved.readable.join(",") || "none"}; ${nodes.join(", ")}`;
}
