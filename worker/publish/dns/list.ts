/**
 * The list of DNS providers: a new one is one file beside this and one line here.
 *
 * Promises: every provider that the configuration allows is in it.
 */
import type { DnsConfig } from "../../core/configured.ts";
import { cloudflare } from "./cloudflare.ts";
import { powerdns } from "./powerdns.ts";
import type { DnsProvider, Means } from "./provider.ts";
import { route53 } from "./route53.ts";

type Makers = {
  readonly [P in DnsConfig["provider"]]: (
    config: Extract<DnsConfig, { provider: P }>,
    means: Means,
  ) => DnsProvider;
};

const providers: Makers = { cloudflare, route53, powerdns };

export const dnsProvider = (config: DnsConfig, means: Means): DnsProvider =>
  // Each gets its own kind of configuration; that the two belong together TypeScript does not see.
  (providers[config.provider] as (config: DnsConfig, means: Means) => DnsProvider)(config, means);
