/**
 * A user's own configuration: its groups, as the Worker itself reads them.
 *
 * Promises: everything that is wrong is told, in the Worker's words; secrets are not asked for: they are not in
 * the file.
 */
import { statSync } from "node:fs";
import { parseConfig } from "../../worker/core/config.ts";
import type { GroupConfig } from "../../worker/core/types.ts";
import type { Shape } from "./month.ts";

export type OwnGroup = {
  readonly name: string;
  readonly nodes: number;
  readonly regions: readonly string[];
  readonly shape: Shape;
};

export type Own =
  | {
      readonly ok: true;
      readonly groups: readonly OwnGroup[];
    }
  | { readonly ok: false; readonly complaints: readonly string[] };

const wrong = (file: string, why: string): Own => ({ ok: false, complaints: [`${file}: ${why}`] });

export async function readOwn(file: string, env: string | undefined): Promise<Own> {
  if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true)
    return wrong(file, "there is no such file");
  // Takes a second to load, and only this needs it.
  const { experimental_readRawConfig: readRaw, unstable_readConfig: readWhole } = await import(
    "wrangler"
  );
  try {
    // Asked for one that is not there, wrangler takes what stands outside of all of them.
    const known = Object.keys(readRaw({ config: file }).rawConfig.env ?? {});
    if (env !== undefined && !known.includes(env))
      return wrong(
        file,
        `env: given ${env}; allowed: ${known.join(", ") || "none: it has no environments"}`,
      );
    const args = { config: file, ...(env === undefined ? {} : { env }) };
    const { vars, observability } = readWhole(args, { hideWarnings: true });
    const parsed = parseConfig(vars, () => true);
    if (!parsed.ok) {
      const told = parsed.complaints.map(
        ({ path, given, allowed }) => `${file}: ${path}: given ${given}; allowed: ${allowed}`,
      );
      return { ok: false, complaints: told };
    }
    const logs = observability?.enabled === true && observability.logs?.enabled !== false;
    const invocationLogs = logs && observability.logs?.invocation_logs !== false;
    const groups = parsed.groups.map((group) => ({
      name: group.name,
      nodes: group.nodes.length,
      regions: group.regions,
      shape: shapeOf(group, invocationLogs),
    }));
    return { ok: true, groups };
  } catch (error) {
    return wrong(file, error instanceof Error ? error.message.trim() : "cannot be read");
  }
}

export const shapeOf = (group: GroupConfig, invocationLogs: boolean): Shape => ({
  fencing: group.fencing,
  intervalMs: group.checkIntervalMs,
  quiet: canBeQuiet(group),
  relays: group.relays.length,
  regions: group.regions.length,
  leaseMs: group.leaseMs,
  invocationLogs,
});

/** While its relays are connected: each node is watched by one that stands on another machine. */
const canBeQuiet = ({ quiet, mode, relays, nodes }: GroupConfig): boolean =>
  quiet &&
  mode === "replication" &&
  relays.length >= 2 &&
  nodes.every(({ id }) => relays.some(({ local }) => !local.includes(id)));
