/**
 * How the nodes of a group can be looked at, as far as a schema cannot see it.
 *
 * Promises: every complaint names its path, what was given and what is allowed; a secret is never read.
 */
import { mayBeTold, type RawGroup, type RawNode } from "./config-schema.ts";
import { isPublicHost } from "./public-address.ts";

type Told = { readonly path: string; readonly given: string; readonly allowed: string };

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
  const place = { mode, relays: relays.map(({ url }) => url), regions };
  nodes.forEach((node, index) => {
    const others = seen.some((each) => each !== node);
    complaints.push(...probeOfNode(`nodes[${index}].`, node, { ...place, others }));
  });
  return complaints;
}

/** `others`: another node has a transport. */
type Place = {
  readonly mode: RawGroup["mode"];
  /** Addresses of the relays. */
  readonly relays: readonly string[];
  readonly regions: boolean;
  readonly others: boolean;
};

/** @param path of the node, with the dot behind it. */
export function probeOfNode(path: string, node: RawNode, place: Place): readonly Told[] {
  const { probe } = node;
  const at = `${path}probe`;
  if (probe === undefined) {
    const why = whyProbed(place.others, place.mode, place.relays.length > 0);
    return why === null ? [] : [{ path: at, given: "nothing", allowed: why }];
  }
  const allowed = "nothing, or a region among the vantages: relays look by a way of their own";
  const nobody = place.regions ? [] : [{ path: at, given: probe.transport, allowed }];
  const wrong = [...behindRelay(probe, place.relays), ...addressOf(node), ...loginOf(probe)];
  return [...nobody, ...wrong.map((each) => ({ ...each, path: `${at}.${each.path}` }))];
}

/** Whoever sees a node through a relay sees that relay: a vote of its own would count the relay twice. */
function behindRelay(
  probe: NonNullable<RawNode["probe"]>,
  relays: readonly string[],
): readonly Told[] {
  if (!("url" in probe)) return [];
  const { href } = new URL(probe.url);
  const relay = relays.find((url) =>
    `${href}/`.startsWith(`${new URL(url).href.replace(/\/+$/, "")}/`),
  );
  const allowed =
    "an address that is not a relay's: what is seen through a relay is the relay's vote";
  return relay === undefined ? [] : [{ path: "url", given: relay, allowed }];
}

/** Why a node without a transport cannot be looked at as the others are; null: it can. */
function whyProbed(others: boolean, mode: RawGroup["mode"], relays: boolean): string | null {
  const allowed = "a transport: upstash, tcp, custom, lag-aware";
  if (others) return `${allowed}, since other nodes have one: a region votes about all or none`;
  if (mode === "active-active" && !relays) return `${allowed}, since there is no relay that looks`;
  return null;
}

/** Nobody logs in by a name alone: it would be looked at as somebody else, and that in silence. */
function loginOf(probe: NonNullable<RawNode["probe"]>): readonly Told[] {
  if (probe.transport !== "tcp" || probe.username === undefined) return [];
  const allowed = "the name of a Worker secret, since there is a username";
  return probe.password_secret === undefined
    ? [{ path: "password_secret", given: "nothing", allowed }]
    : [];
}

/** Nothing leads from a Worker into a private network. */
function addressOf({ host, probe }: RawNode): readonly Told[] {
  if (probe === undefined || probe.allow_private) return [];
  if (probe.transport === "tcp") {
    const given = probe.host ?? host;
    const url = `http://${given.includes(":") ? `[${given}]` : given}`;
    const allowed =
      "a public address, since no Worker reaches a private one: look through a relay; or allow_private = true for development";
    // An address has many notations, and who connects may read them all: 0x7f.1 is 127.0.0.1.
    return URL.canParse(url) && isPublicHost(new URL(url).hostname)
      ? []
      : [{ path: "host", given, allowed }];
  }
  if (mayBeTold(probe.url, false)) return [];
  const allowed = "an https address that is public, or allow_private = true for development";
  return [{ path: "url", given: probe.url.replace(/^(\w+:\/\/[^/?#]+).*$/s, "$1"), allowed }];
}
