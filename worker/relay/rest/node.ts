/**
 * What the REST face needs of a node.
 *
 * Promises: nothing here but names.
 * Must never: know how a connection is made.
 */
import type { NodeLinks } from "../../redis/node.ts";

export type RestNode = Pick<NodeLinks, "data" | "control" | "pool"> & { readonly id: string };
