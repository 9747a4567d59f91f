/**
 * What an operator is answered: done, or why not.
 */
import type { Draft } from "./draft.ts";
import type { Refusal, RefusalCode } from "./state.ts";

export type Answer =
  | { readonly ok: true; readonly detail: string }
  | {
      readonly ok: false;
      readonly code: RefusalCode;
      readonly detail: string;
      readonly reasons?: readonly Refusal[];
    };

export const yes = (detail: string): Answer => ({ ok: true, detail });
export const no = (code: RefusalCode, detail: string, reasons?: readonly Refusal[]): Answer =>
  reasons === undefined ? { ok: false, code, detail } : { ok: false, code, detail, reasons };

export const noSuchNode = ({ config }: Draft, node: string, code: RefusalCode): Answer =>
  no(code, `no node ${node} in this group: ${config.nodes.map(({ id }) => id).join(", ")}`);
