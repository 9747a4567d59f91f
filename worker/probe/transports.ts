/**
 * The transports by which a region looks at a node by a way of its own: a new one is a file and a line here.
 */
import type { ProbeConfig } from "../core/configured.ts";
import type { Found } from "../core/looking.ts";
import { custom } from "./custom.ts";
import { lagAware } from "./lag-aware.ts";
import { failed, type Limits, type ProbeOf, type Transport } from "./probe.ts";
import { tcp } from "./tcp.ts";
import { upstash } from "./upstash.ts";

const unknown = async () => failed("policy", "this version does not know the transport");

const transports: { readonly [T in ProbeConfig["transport"]]: Transport<ProbeOf<T>> } = {
  upstash,
  tcp,
  custom,
  "lag-aware": lagAware,
};

export function lookBy<T extends ProbeConfig["transport"]>(
  probe: ProbeOf<T>,
  limits: Limits,
): Promise<Found> {
  // A vantage runs other code than the Group for a while after a deploy.
  const kind = probe.transport as T;
  const transport: Transport<ProbeOf<T>> = Object.hasOwn(transports, kind)
    ? transports[kind]
    : unknown;
  return transport(probe, limits);
}
