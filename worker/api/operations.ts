/**
 * What operators can ask of a group, in one list: method, path below the group, body, the request it becomes.
 *
 * Promises: a body has no key that is not listed here. Must never: judge whether it can be done: the core does.
 */
import * as v from "valibot";
import type { Complaint, ParsedNode } from "../core/config.ts";
import { nodeSettings } from "../core/settings.ts";
import type { OperatorRequest } from "../core/state.ts";
import { exactly, milliseconds, nodeId, numberWithin, reason, required } from "./input.ts";

type Unnumbered<T> = T extends unknown ? Omit<T, "id"> : never;
type Wrong = { readonly kind: "wrong"; readonly complaints: readonly Complaint[] };
/**
 * All of a request but its id; the node is the one in the path, where the path has one. `parse` checks a node as the
 * group's configuration is checked.
 */
type ToRequest = (
  node: string,
  parse: (raw: unknown) => ParsedNode,
) => Unnumbered<OperatorRequest> | Wrong;

export type Operation = {
  readonly method: "POST" | "DELETE";
  readonly path: string;
  readonly body: v.GenericSchema<unknown, ToRequest>;
};

const DAYS_30_MS = 30 * 24 * 3600 * 1000;
const forMs = milliseconds(1000, DAYS_30_MS);
const timeoutMs = milliseconds(100, 600_000);
const drillPoint = v.picklist(
  ["after-election", "after-promotion"],
  "after-election or after-promotion",
);
const flag = v.boolean("true or false");
const weight = numberWithin(nodeSettings.weight.min, nodeSettings.weight.max);

export const operations: readonly Operation[] = [
  operation("POST", "/failover", { to: v.nullish(nodeId, null) }, ({ to }) => () => ({
    kind: "failover",
    to,
  })),
  operation(
    "POST",
    "/switchover",
    {
      to: v.nullish(nodeId, null),
      timeout_ms: v.nullish(timeoutMs, null),
      force: v.optional(flag, false),
    },
    ({ to, timeout_ms, force }) =>
      () => ({ kind: "switchover", to, timeoutMs: timeout_ms, force }),
  ),
  operation("POST", "/switchover/abort", {}, () => () => ({ kind: "abort-switchover" })),
  operation("POST", "/bootstrap", { primary: required(nodeId) }, ({ primary }) => () => ({
    kind: "bootstrap",
    primary,
  })),
  operation(
    "POST",
    "/pause",
    { reason: required(reason), for_ms: v.nullish(forMs, null) },
    ({ reason, for_ms }) =>
      () => ({ kind: "pause", reason, forMs: for_ms }),
  ),
  operation("POST", "/resume", {}, () => () => ({ kind: "resume" })),
  operation(
    "POST",
    "/nodes/:node/downtime",
    { reason: required(reason), for_ms: required(forMs) },
    ({ reason, for_ms }) =>
      (node) => ({ kind: "downtime", node, reason, forMs: for_ms }),
  ),
  operation("DELETE", "/nodes/:node/downtime", {}, () => (node) => ({
    kind: "end-downtime",
    node,
  })),
  operation("POST", "/acknowledge", {}, () => () => ({ kind: "acknowledge" })),
  operation("POST", "/reset", {}, () => () => ({ kind: "reset" })),
  operation("POST", "/drill", { at: required(drillPoint) }, ({ at }) => () => ({
    kind: "drill",
    at,
  })),
  // Active-active, from here on.
  operation(
    "POST",
    "/select",
    { node: v.nullish(nodeId, null), pin_ms: v.nullish(forMs, null) },
    ({ node, pin_ms }) =>
      () => ({ kind: "select", node, pinMs: pin_ms }),
  ),
  operation("POST", "/unpin", {}, () => () => ({ kind: "unpin" })),
  operation(
    "POST",
    "/weight",
    { node: required(nodeId), weight: required(weight) },
    ({ node, weight }) =>
      () => ({ kind: "weight", node, weight }),
  ),
  {
    method: "POST",
    path: "/nodes",
    body: v.pipe(
      v.unknown(),
      v.transform(
        (raw): ToRequest =>
          (_, parse) => {
            const parsed = parse(raw);
            return parsed.ok
              ? { kind: "add-node", node: parsed.node }
              : { kind: "wrong", complaints: parsed.complaints };
          },
      ),
    ),
  },
  operation("DELETE", "/nodes/:node", {}, () => (node) => ({ kind: "remove-node", node })),
];

function operation<E extends v.ObjectEntries>(
  method: Operation["method"],
  path: string,
  entries: E,
  toRequest: (body: v.InferOutput<ReturnType<typeof exactly<E>>>) => ToRequest,
): Operation {
  return { method, path, body: v.pipe(exactly(entries), v.transform(toRequest)) };
}
