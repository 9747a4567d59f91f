/**
 * What others ask for watching the same endpoints and turning a DNS name.
 *
 * Promises: pure. None of them knows a role, promotes or fences: only the watching is compared.
 */
import { loadBalancing, route53 } from "./prices.ts";

export type Peer = {
  readonly what: string;
  readonly everyS: number;
  readonly dollars: number;
  readonly notes: string;
};

export function peersOf(endpoints: number): readonly Peer[] {
  const { check, feature } = route53;
  const { base, more, endpoints: first, business, everyS } = loadBalancing;
  const balanced = base + more * Math.max(0, endpoints - first);
  return [
    {
      what: "Route 53 health checks, TCP",
      everyS: route53.everyS,
      dollars: endpoints * check,
      notes: `${check.toFixed(2)} each, not at AWS; and ${route53.zone.toFixed(2)} for the zone, not counted here`,
    },
    {
      what: "Route 53 health checks, TCP, fast",
      everyS: route53.fastEveryS,
      dollars: endpoints * (check + feature),
      notes: `${check.toFixed(2)} and ${feature.toFixed(2)} each`,
    },
    {
      what: "Cloudflare Load Balancing, Free or Pro zone",
      everyS: everyS["Free, Pro"],
      dollars: balanced,
      notes: `${base} with two endpoints, ${more} for each more; the zone's plan and DNS queries over 500,000 not counted`,
    },
    {
      what: "Cloudflare Load Balancing, Business zone",
      everyS: everyS.Business,
      dollars: balanced + business,
      notes: `and ${business} for the zone, whatever else it serves`,
    },
  ];
}
