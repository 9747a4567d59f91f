/**
 * How the nodes of a group can be looked at, as far as a schema cannot see it.
 *
 * Promises: every complaint names its path, what was given and what is allowed; a secret is never read.
 */
import { mayBeTold, type RawGroup } from "./config-schema.ts";
import { isPublicHost } from "./public-address.ts";

type Told = { readonly path: string; readonly given: string; readonly allowed: string };
type RawNode = RawGroup["nodes"][number];

export function probeComplaints(raw: RawGroup): readonly Told[] {
  const { nodes, mode, relays, vantages } = raw;
  const seen = nodes.filter(({ probe }) => probe !== undefined);
  const complaints: Told[] = [];
  const waitMs = (raw.probes - 1) * raw.probe_delay_ms;
  if (waitMs * 2 > raw.probe_timeout_ms)
    complaints.push({
      path: "probes",
      given: `${raw.probes}, ${raw.probe_delay_ms} ms apart`,
      allowed: `so few that the time between them is at most half of probe_timeout_ms = ${raw.probe_timeout_ms}`,
    });
  const regions = vantages?.some((each) => !each.startsWith("relay:")) ?? relays.length === 0;
  nodes.forEach((node, index) => {
    const at = `nodes[${index}].probe`;
    if (node.probe === undefined) {
      const why = whyProbed(seen.length > 0, mode, relays.length > 0);
      if (why !== null) complaints.push({ path: at, given: "nothing", allowed: why });
      return;
    }
    if (!regions)
      complaints.push({
        path: at,
        given: node.probe.transport,
        allowed: "nothing, or a region among the vantages: relays look by a way of their own",
      });
    complaints.push(...addressOf(node).map((each) => ({ ...each, path: `${at}.${each.path}` })));
  });
  return complaints;
}

/** Why a node without a transport cannot be looked at as the others are; null: it can. */
function whyProbed(others: boolean, mode: RawGroup["mode"], relays: boolean): string | null {
  const allowed = "a transport: upstash, tcp, custom, lag-aware";
  if (others) return `${allowed}, since other nodes have one: a region votes about all or none`;
  if (mode === "active-active" && !relays) return `${allowed}, since there is no relay that looks`;
  return null;
}

/** Nothing leads from a Worker into a private network. */
function addressOf({ host, probe }: RawNode): readonly Told[] {
  if (probe === undefined || probe.allow_private) return [];
  if (probe.transport === "tcp") {
    const given = probe.host ?? host;
    const bare = given.includes(":") ? `[${given}]` : given.toLowerCase();
    const allowed =
      "a public address, since no Worker reaches a private one: look through a relay; or allow_private = true for development";
    return isPublicHost(bare) ? [] : [{ path: "host", given, allowed }];
  }
  if (mayBeTold(probe.url, false)) return [];
  const allowed = "an https address that is public, or allow_private = true for development";
  return [{ path: "url", given: probe.url.replace(/^(\w+:\/\/[^/?#]+).*$/s, "$1"), allowed }];
}
