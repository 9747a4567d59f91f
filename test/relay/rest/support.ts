/**
 * One Redis, one relay and its addresses, for the tests of the REST face.
 *
 * Promises: everything started here is gone after the test that asked for it.
 */
import type { RedisProcess } from "../../../scripts/redis-server.ts";
import type { RelaySettings } from "../../../worker/relay/config.ts";
import type { Limits } from "../../../worker/relay/rest/policy.ts";
import type { Relay } from "../../../worker/relay/serve.ts";
import { DATA, nodeAt, redis, relayDefaults, relayOver, settingsFor } from "../support.ts";

export type Rest = {
  readonly server: RedisProcess;
  readonly relay: Relay;
  readonly base: string;
  /** Status and parsed body; the data token unless the headers say otherwise. */
  readonly ask: (path: string, init?: Init) => Promise<Heard>;
  readonly run: (...command: readonly unknown[]) => Promise<Heard>;
};

export type Init = {
  readonly method?: string;
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
};

export type Heard = {
  readonly status: number;
  readonly body: unknown;
  readonly headers: Headers;
};

export const asApp = { authorization: `Bearer ${DATA}` };

export const limits = (more: Partial<Limits> = {}): Limits => ({
  ...relayDefaults.limits,
  ...more,
});

export async function rest(
  more: Partial<RelaySettings> = {},
  args: readonly string[] = [],
): Promise<Rest> {
  const server = await redis({ args });
  const relay = await relayOver(await settingsFor([nodeAt("a", server)], more));
  const base = `${relay.url}/nodes/a`;
  const ask = async (path: string, { method = "GET", body, headers }: Init = {}) => {
    const response = await fetch(base + path, {
      method,
      headers: { ...asApp, ...headers },
      ...(body === undefined ? {} : { body }),
    });
    const text = await response.text();
    const json = response.headers.get("content-type") === "application/json" && text !== "";
    return {
      status: response.status,
      body: json ? JSON.parse(text) : text,
      headers: response.headers,
    };
  };
  const run = (...command: readonly unknown[]) =>
    ask("", { method: "POST", body: JSON.stringify(command) });
  return { server, relay, base, ask, run };
}
