/**
 * What Redis says of itself in INFO and CONFIG GET.
 */
import type { NodeFacts } from "../../../worker/core/types.ts";
import { runIdOf } from "./redis.ts";
import { isPrimary, offsetOf } from "./replication.ts";
import type { RedisNode, World } from "./types.ts";

export function factsOf(world: World, node: RedisNode): NodeFacts {
  const { link } = node;
  const primary = isPrimary(node);
  const nowMs = world.queue.nowMs;
  const seconds = (sinceMs: number) => Math.floor((nowMs - sinceMs) / 1000) * 1000;
  const followed = node.follow === null ? undefined : world.byAddress.get(node.follow);
  const linkUp = !primary && link.state === "up";
  const connected = linkUp || link.state === "transfer" || link.state === "waiting";
  return {
    runId: runIdOf(node),
    role: primary ? "primary" : "replica",
    replicaOf: primary ? null : addressOf(node.follow ?? "", followed),
    linkUp,
    linkDownMs:
      linkUp || primary ? 0 : link.downSinceMs === null ? null : seconds(link.downSinceMs),
    syncing: link.state === "transfer" || link.state === "loading" || link.state === "waiting",
    loading: node.life === "loading" || link.state === "loading",
    lastIoMs: primary || !connected ? null : seconds(link.lastIoMs),
    offset: offsetOf(node),
    priority: node.priority,
    replicationId: node.replId,
    replicationId2: node.replId2,
    secondOffset: node.secondOffset,
    switching: node.handover !== null,
    connectedReplicas: replicasOf(world, node).length,
    replicas: replicasOf(world, node),
    keys: node.length,
    minReplicasToWrite: node.minReplicas,
  };
}

/** Who follows it, also who is none of this group. */
function replicasOf({ foreign }: World, node: RedisNode) {
  const strange = [...foreign].filter((each) => each.follows === node.name);
  return [...node.followers, ...strange].map(({ host, port }) => ({ host, port }));
}

function addressOf(address: string, node: RedisNode | undefined) {
  if (node !== undefined) return { host: node.host, port: node.port };
  const [host = "", port = "0"] = address.split(":");
  return { host, port: Number(port) };
}
