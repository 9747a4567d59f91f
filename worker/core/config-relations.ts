/**
 * What a schema cannot see: how the parts of a group fit together.
 *
 * Promises: every complaint names its path, what was given and what is allowed; a secret is asked for by its
 * name, and never read.
 */

import { probeComplaints, probeOfNode } from "./config-probes.ts";
import { isAddress, mayBeTold, type RawGroup, type RawNode, REGIONS } from "./config-schema.ts";
import type { GroupConfig } from "./types.ts";

export type Complaint = {
  /** Where: `GROUPS[0].nodes[1].port`. */
  readonly path: string;
  readonly given: string;
  readonly allowed: string;
};

export function relations(
  path: string,
  raw: RawGroup,
  isSecretSet: (name: string) => boolean,
): Complaint[] {
  const complaints: Complaint[] = [];
  const complain = (at: string, given: string, allowed: string) =>
    complaints.push({ path: `${path}.${at}`, given: clip(given), allowed });
  const needSecrets = (at: string, table: object) =>
    complaints.push(...unsetSecrets(`${path}.${at}.`, table, isSecretSet));
  const nodes = raw.nodes.map((node) => node.id);
  const relays = raw.relays.map((relay) => relay.id);
  complaints.push(...duplicates("id", `${path}.nodes`, nodes));
  complaints.push(...duplicates("id", `${path}.relays`, relays));
  const addresses = raw.nodes.map((node) => `${node.host}:${node.port}`);
  complaints.push(...duplicates("address", `${path}.nodes`, addresses));

  const known = [...relays.map((relay) => `relay:${relay}`), ...REGIONS];
  complaints.push(...duplicates("vantage", `${path}.vantages`, raw.vantages ?? []));
  raw.vantages?.forEach((vantage, index) => {
    if (!known.includes(vantage)) complain(`vantages[${index}]`, vantage, known.join(", "));
  });
  const { vantages } = votesOf(raw);
  if (raw.quorum > vantages.length)
    complain(
      "quorum",
      String(raw.quorum),
      `at most the ${vantages.length} vantages: ${vantages.join(", ")}`,
    );
  if (raw.mode === "replication" && relays.length === 0)
    complain("relays", "nothing", "at least one relay: somebody has to promote");
  complaints.push(
    ...probeComplaints(raw).map((each) => ({ ...each, path: `${path}.${each.path}` })),
  );
  raw.nodes.forEach(({ probe }, index) => {
    needSecrets(`nodes[${index}].probe`, probe ?? {});
  });
  raw.relays.forEach((relay, index) => {
    relay.local.forEach((node, at) => {
      if (!nodes.includes(node)) complain(`relays[${index}].local[${at}]`, node, nodes.join(", "));
    });
    needSecrets(`relays[${index}]`, relay);
  });
  if (raw.mode === "active-active" && raw.fencing !== "none")
    complain("fencing", raw.fencing, "none in active-active: every node takes writes");
  if (raw.fencing === "lease")
    for (const node of nodes) {
      const keepers = raw.relays.filter(({ local }) => local.includes(node)).map(({ id }) => id);
      if (keepers.length !== 1)
        complain(
          "relays",
          `${keepers.join(", ") || "no relay"} local to ${node}`,
          'with fencing "lease" exactly one relay local to each node: it keeps the lease',
        );
    }
  if (raw.dns !== undefined) {
    if (raw.hostname === undefined)
      complain("hostname", "nothing", "a host name, since dns is set");
    needSecrets("dns", raw.dns);
    if (raw.dns.provider === "powerdns")
      for (const key of ["hostname", "replica_hostname"] as const)
        if (!isWithin(raw[key], raw.dns.zone))
          complain(key, raw[key] ?? "", `a name in the zone ${raw.dns.zone}`);
  }
  for (const key of ["hostname", "replica_hostname"] as const)
    if (raw.nodes.some(({ host }) => host.toLowerCase() === raw[key]?.toLowerCase()))
      complain(key, raw[key] ?? "", "another name than a node's host: it would lead to itself");
  if (raw.replica_hostname !== undefined) {
    if (raw.dns === undefined) complain("dns", "nothing", "a table, since replica_hostname is set");
    raw.nodes.forEach(({ host }, index) => {
      if (!isAddress(host)) complain(`nodes[${index}].host`, host, AN_ADDRESS);
    });
  }
  const webhooks = raw.webhooks ?? [];
  const webhookNames = webhooks.map(({ name }) => name);
  complaints.push(...duplicates("name", `${path}.webhooks`, webhookNames));
  webhooks.forEach((webhook, index) => {
    needSecrets(`webhooks[${index}]`, webhook);
    if (!mayBeTold(webhook.url, webhook.allow_private))
      complain(
        `webhooks[${index}].url`,
        // Its path may be a secret.
        webhook.url.replace(/^(\w+:\/\/[^/?#]+).*$/s, "$1"),
        "an https address that is public, or allow_private = true for development",
      );
  });
  const least = raw.command_ttl_ms + raw.command_timeout_ms;
  if (raw.promote_timeout_ms < least)
    complain(
      "promote_timeout_ms",
      String(raw.promote_timeout_ms),
      `at least command_ttl_ms + command_timeout_ms = ${least}`,
    );
  return complaints;
}

const AN_ADDRESS =
  "an IP address, since replica_hostname is set: one name cannot be several others";

/**
 * What a node that comes at run time has to be beside one that would be right in wrangler.toml.
 * @param isDeployed it stands there with the same probe: one that was taken out comes back.
 */
export function relationsOfNode(
  node: RawNode,
  group: GroupConfig,
  isSecretSet: (name: string) => boolean,
  isDeployed: boolean,
): Complaint[] {
  const { hostname, replicaHostname, nodes, relays, regions, mode } = group;
  const others = nodes.some(({ probe }) => probe !== null);
  const urls = relays.map(({ url }) => url);
  const place = { mode, relays: urls, regions: regions.length > 0, others };
  const complaints: Complaint[] = [
    ...probeOfNode("", node, place),
    ...unsetSecrets("probe.", node.probe ?? {}, isSecretSet),
    ...(isDeployed ? [] : foreignSecrets("probe.", node.probe ?? {})),
  ];
  if (node.probe !== undefined && place.regions && !others)
    complaints.push({
      path: "probe",
      given: node.probe.transport,
      allowed: "nothing, since the other nodes have none: a region votes about all or none",
    });
  const names = [hostname, replicaHostname].map((name) => name?.toLowerCase());
  if (names.includes(node.host.toLowerCase()))
    complaints.push({
      path: "host",
      given: clip(node.host),
      allowed: "another name than the group's: it would lead to itself",
    });
  if (replicaHostname !== null && !isAddress(node.host))
    complaints.push({ path: "host", given: clip(node.host), allowed: AN_ADDRESS });
  return complaints;
}

/** Seen from here when nobody says from where: three continents, so that one that is cut off decides nothing. */
const USUAL_REGIONS: readonly string[] = ["wnam", "weur", "apac"];

/**
 * Who has a vote, and which regions look. A region that has no path of its own to the nodes sees them through
 * relays, and that is the relay's vote, from wherever it is asked.
 */
export function votesOf({ vantages, relays, nodes }: RawGroup) {
  const everyRelay = relays.map(({ id }) => `relay:${id}`);
  const named = vantages ?? (relays.length === 0 ? USUAL_REGIONS : everyRelay);
  const regions = named.filter((vantage) => !vantage.startsWith("relay:"));
  const own = nodes.some(({ probe }) => probe !== undefined);
  const votes = named.filter((vantage) => own || vantage.startsWith("relay:"));
  return { vantages: votes.length > 0 ? votes : everyRelay, regions };
}

/** Nothing is within any zone. */
const isWithin = (name: string | undefined, zone: string) =>
  name === undefined || `.${name}`.toLowerCase().endsWith(`.${zone}`.toLowerCase());

/** @param path of the table, with the dot behind it. */
/** Who operates a group names an address at run time: any secret that may be named with it would be sent there. */
const foreignSecrets = (path: string, table: object) =>
  Object.entries(table).flatMap(([key, name]): Complaint[] => {
    if (!key.endsWith("_secret") || name === undefined || /^PROBE_/.test(name)) return [];
    const allowed = "a secret whose name begins with PROBE_, for a node at run time";
    return [{ path: `${path}${key}`, given: "(not shown)", allowed }];
  });

const unsetSecrets = (path: string, table: object, isSecretSet: (name: string) => boolean) =>
  Object.entries(table).flatMap(([key, name]): Complaint[] => {
    if (!key.endsWith("_secret") || name === undefined || isSecretSet(name)) return [];
    const allowed = `set it first: wrangler secret put ${name}`;
    return [{ path: `${path}${key}`, given: "a secret that is not set", allowed }];
  });

export function duplicates(what: string, path: string, values: readonly string[]): Complaint[] {
  const twice = values.filter((value, index) => values.indexOf(value) !== index);
  return [...new Set(twice)].map((value) => ({
    path,
    given: clip(`${what} ${value} more than once`),
    allowed: `each ${what} once`,
  }));
}

export const clip = (text: string) => (text.length > 80 ? `${text.slice(0, 79)}…` : text);
