/**
 * The port of seeing: one look at one node, whatever the transport.
 *
 * Promises of every transport (test/contract/probe.ts): it never rejects, and ends by its deadline; `up` is only
 * what answered as a healthy node does; whatever cannot be understood is a class of its own; a detail has at most
 * 200 characters and no secret; nothing stays behind, neither a connection nor a timer.
 */
import type { ProbeConfig } from "../core/configured.ts";
import type { Found } from "../core/looking.ts";

export type Limits = {
  readonly timeoutMs: number;
  /** A secret by its name; empty where it is not set. */
  readonly secret: (name: string) => string;
};

/** What is configured of one transport. */
export type ProbeOf<T extends ProbeConfig["transport"]> = Extract<
  ProbeConfig,
  { readonly transport: T }
>;

export type Transport<Target> = (target: Target, limits: Limits) => Promise<Found>;

/** A look that came to nothing. */
export const failed = (kind: Found["class"], detail: string): Found => ({
  class: kind,
  detail,
  facts: null,
  relay: null,
});
