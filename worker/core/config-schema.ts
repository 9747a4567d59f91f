/**
 * The shape of a group in wrangler.toml: every key, its kind and its range.
 *
 * Promises: unknown keys are refused; the message of every rule says what is allowed, for people.
 * Must never: look at how the parts fit together; `config.ts` does.
 */
import * as v from "valibot";
import { toldNames } from "./events.ts";
import { isPublicUrl } from "./public-address.ts";
import {
  brakeSettings,
  dnsSettings,
  groupSettings,
  nodeSettings,
  probeSettings,
  type Setting,
} from "./settings.ts";

/** A list that is not empty and not endless. */
export const some = <T extends v.GenericSchema>(schema: T, what: string, most = 32) =>
  v.pipe(
    v.array(schema, `a list of ${what}`),
    v.minLength(1, `at least one ${what}`),
    v.maxLength(most, `at most ${most} ${what}s`),
  );

/** Where a vantage really can be put: Cloudflare starts no Durable Object in sam, afr and me. */
export const REGIONS = ["wnam", "enam", "weur", "eeur", "apac", "oc"] as const;
const LOCATIONS = ["wnam", "enam", "sam", "weur", "eeur", "apac", "oc", "afr", "me"] as const;

const id = v.pipe(
  v.string("letters, digits and hyphens, at most 63"),
  v.regex(
    /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/,
    "lower-case letters, digits and hyphens, at most 63",
  ),
  v.check((text) => !(text in {}), "a name that is no word of the language itself"),
);
const HOSTNAME =
  /^(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;
const IPV6 = /^[0-9a-f:.]*:[0-9a-f:.]*$/i;
const host = v.pipe(
  v.string("a host name or an IP address"),
  v.check((text) => isHost(text), "a host name or an IP address"),
);
const hostname = v.pipe(
  v.string("a host name with at least two labels"),
  v.check(
    (text) => HOSTNAME.test(text) && text.includes(".") && !isIpv4(text) && !/\.\d+$/.test(text),
    "a host name with at least two labels, such as cache.example.com",
  ),
);
const secretName = v.pipe(
  v.string("the name of a Worker secret"),
  v.regex(/^[A-Z][A-Z0-9_]{0,62}$/, "the name of a Worker secret: capitals, digits, underscores"),
);
const urlLike = (form: RegExp, says: string) =>
  v.pipe(
    v.string("an http or https address"),
    v.check((text) => form.test(text) && URL.canParse(text), `an http or https address ${says}`),
  );
const httpUrl = urlLike(
  /^https?:\/\/[^\s/?#@]+(?:\/[^\s?#]*)?$/,
  "without user, query or fragment",
);
const webhookUrl = urlLike(/^https?:\/\/[^\s/?#@]+(?:[/?][^\s#]*)?$/, "without user or fragment");

function number(setting: Setting) {
  const kind = setting.fraction ? "a number" : "a whole number";
  const allowed = `${kind} from ${setting.min} to ${setting.max}`;
  return v.optional(
    v.pipe(
      v.number(allowed),
      v.check((value) => setting.fraction === true || Number.isInteger(value), allowed),
      v.minValue(setting.min, allowed),
      v.maxValue(setting.max, allowed),
    ),
    setting.fallback,
  );
}

function numbers<T extends Readonly<Record<string, Setting>>>(table: T) {
  return Object.fromEntries(
    Object.entries(table).map(([key, setting]) => [key, number(setting)]),
  ) as { [K in keyof T]: ReturnType<typeof number> };
}

const flag = v.optional(v.boolean("true or false"), false);

const user = v.pipe(
  v.string("a user name"),
  v.minLength(1, "a user name"),
  v.maxLength(256, "a user name"),
);
const basic = { username: v.optional(user), password_secret: v.optional(secretName) };

const ProbeSchema = v.variant(
  "transport",
  [
    v.strictObject({
      transport: v.literal("upstash"),
      url: httpUrl,
      token_secret: secretName,
      allow_private: flag,
    }),
    v.strictObject({
      transport: v.literal("tcp"),
      host: v.optional(host),
      tls: v.optional(v.boolean("true or false")),
      ...basic,
      allow_private: flag,
      ...numbers(probeSettings.tcp),
    }),
    v.strictObject({
      transport: v.literal("custom"),
      url: webhookUrl,
      expect_body: v.optional(
        v.pipe(
          v.string("a text"),
          v.minLength(1, "1 to 256 characters"),
          v.maxLength(256, "1 to 256 characters"),
        ),
      ),
      ...basic,
      allow_private: flag,
      ...numbers(probeSettings.custom),
    }),
    v.strictObject({
      transport: v.literal("lag-aware"),
      url: httpUrl,
      host: v.optional(host),
      username: user,
      password_secret: secretName,
      allow_private: flag,
      ...numbers(probeSettings["lag-aware"]),
    }),
  ],
  "upstash, tcp, custom, lag-aware",
);

export const NodeSchema = v.strictObject({
  id,
  host,
  replication_host: v.optional(host),
  tls: flag,
  zone: v.optional(id),
  rest_url: v.optional(httpUrl),
  probe: v.optional(ProbeSchema),
  priority: v.optional(
    v.pipe(
      v.number("a whole number from 0 to 1000000"),
      v.integer("a whole number from 0 to 1000000"),
      v.minValue(0, "a whole number from 0 to 1000000"),
      v.maxValue(1_000_000, "a whole number from 0 to 1000000"),
    ),
  ),
  ...numbers(nodeSettings),
});

const RelaySchema = v.strictObject({
  id,
  url: httpUrl,
  local: v.optional(v.array(id, "a list of node ids"), []),
  control_token_secret: secretName,
  data_token_secret: secretName,
});

const zoneId = (form: RegExp, says: string) =>
  v.pipe(v.string(`the zone's id: ${says}`), v.regex(form, `the zone's id: ${says}`));

const DnsSchema = v.variant(
  "provider",
  [
    v.strictObject({
      provider: v.literal("cloudflare"),
      zone_id: zoneId(/^[0-9a-f]{32}$/, "32 hexadecimal digits"),
      token_secret: secretName,
      api_url: v.optional(httpUrl, "https://api.cloudflare.com/client/v4"),
      ...numbers(dnsSettings.cloudflare),
    }),
    v.strictObject({
      provider: v.literal("route53"),
      zone_id: zoneId(/^Z[0-9A-Z]{1,31}$/, "Z and capitals or digits, such as Z2FDTNDATAQYW2"),
      access_key_id_secret: secretName,
      secret_access_key_secret: secretName,
      api_url: v.optional(httpUrl, "https://route53.amazonaws.com"),
      ...numbers(dnsSettings.route53),
    }),
    v.strictObject({
      provider: v.literal("powerdns"),
      zone: hostname,
      server_id: v.optional(id, "localhost"),
      token_secret: secretName,
      api_url: httpUrl,
      ...numbers(dnsSettings.powerdns),
    }),
  ],
  "cloudflare, route53, powerdns",
);

const WebhookSchema = v.strictObject({
  name: id,
  url: webhookUrl,
  signing_secret: secretName,
  events: v.optional(
    some(
      v.picklist(toldNames, "the name of an event, see docs/webhooks.md"),
      "event",
      toldNames.length,
    ),
  ),
  allow_private: flag,
});

export const GroupSchema = v.strictObject({
  name: id,
  mode: v.optional(
    v.picklist(["replication", "active-active"], "replication, active-active"),
    "replication",
  ),
  fencing: v.optional(v.picklist(["none", "sealed", "lease"], "none, sealed, lease"), "none"),
  elect: v.optional(v.picklist(["priority", "data"], "priority, data"), "priority"),
  cross_zone: v.optional(v.picklist(["allow", "avoid", "refuse"], "allow, avoid, refuse"), "allow"),
  observe_only: flag,
  quiet: v.optional(v.boolean("true or false"), true),
  hostname: v.optional(hostname),
  replica_hostname: v.optional(hostname),
  drift: v.optional(v.picklist(["repair", "report"], "repair, report"), "repair"),
  location: v.optional(v.picklist(LOCATIONS, LOCATIONS.join(", "))),
  vantages: v.optional(some(v.string(`relay:<id>, or a region: ${REGIONS.join(", ")}`), "vantage")),
  relays: v.optional(
    v.pipe(v.array(RelaySchema, "a list of relay"), v.maxLength(32, "at most 32 relays")),
    [],
  ),
  probe_policy: v.optional(v.picklist(["all", "majority", "any"], "all, majority, any"), "all"),
  initial_health_policy: v.optional(
    v.picklist(["all", "majority", "one"], "all, majority, one"),
    "majority",
  ),
  nodes: some(NodeSchema, "node"),
  dns: v.optional(DnsSchema),
  webhooks: v.optional(some(WebhookSchema, "webhook", 8)),
  ...numbers(groupSettings),
});
/** Where a webhook may go: Cloudflare reaches no private address, and nothing else is to be asked to. */
export const mayBeTold = (url: string, allowPrivate: boolean) => allowPrivate || isPublicUrl(url);

/** `[vars.BRAKE]`. */
export const BrakeSchema = v.strictObject(numbers(brakeSettings));
export type RawGroup = v.InferOutput<typeof GroupSchema>;
export type RawNode = v.InferOutput<typeof NodeSchema>;

const isIpv4 = (text: string) =>
  /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/.test(text);
export const isAddress = (text: string) =>
  isIpv4(text) || (IPV6.test(text) && URL.canParse(`http://[${text}]/`));
const isHost = (text: string) => isAddress(text) || (HOSTNAME.test(text) && !/^[\d.]+$/.test(text));
