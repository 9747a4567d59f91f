/**
 * What people change in an active-active group at run time: weights, nodes added, nodes taken out.
 *
 * Rules: it lies on top of what is deployed, and survives deploys; but a deploy that says something new about the
 * same node wins: another weight, the node that was added, or no longer the one that was taken out.
 * Promises: pure; where nothing was changed the configuration is handed back as it is.
 */
import type { Overlay, Saved } from "./state.ts";
import type { GroupConfig, NodeConfig } from "./types.ts";

export const noOverlay: Overlay = { weights: {}, added: [], removed: [] };

const isEmpty = ({ weights, added, removed }: Overlay): boolean =>
  added.length + removed.length === 0 && Object.keys(weights).length === 0;

/** The configuration as people changed it. */
export function overlaid({ overlay }: Pick<Saved, "overlay">, config: GroupConfig): GroupConfig {
  if (isEmpty(overlay) || config.mode !== "active-active") return config;
  const { weights, added, removed } = overlay;
  const nodes = [...config.nodes, ...added]
    .filter(({ id }) => !removed.includes(id))
    .map((node) => {
      const changed = weights[node.id];
      return changed === undefined ? node : { ...node, weight: changed.weight };
    });
  return { ...config, nodes };
}

const isAt = (a: NodeConfig, b: NodeConfig) => a.host === b.host && a.port === b.port;

/**
 * Another mode: of the databases that all took writes one is the primary now. The others hold what is theirs alone: they
 * are unknown, and left alone until an operator says that they may join.
 */
function left(saved: Saved, config: GroupConfig): Saved {
  const members = [...config.nodes, ...saved.keptNodes]
    .filter(({ id }) => id === saved.primary)
    .slice(0, 1)
    .map(({ id, host, port }) => ({ id, host, port }));
  const none = {
    overlay: noOverlay,
    steering: null,
    readable: [],
    followed: [],
    replicaRunIds: {},
  };
  return { ...saved, ...none, members };
}

/** Forgets what a deploy has overtaken, and all of it in another mode. */
export function keepOverlay(saved: Saved, config: GroupConfig): Saved {
  const { overlay, steering } = saved;
  if (config.mode !== "active-active")
    return isEmpty(overlay) && steering === null ? saved : left(saved, config);
  if (isEmpty(overlay)) return saved;
  const deployed = (id: string) => config.nodes.find((node) => node.id === id);
  const added = overlay.added.filter(
    (each) => !config.nodes.some((node) => node.id === each.id || isAt(node, each)),
  );
  const gone = overlay.removed.filter((id) => deployed(id) !== undefined);
  // Somebody has to be left: whoever deploys nobody but who was taken out means them.
  const removed = gone.length === config.nodes.length && added.length === 0 ? [] : gone;
  const weights = Object.entries(overlay.weights).filter(([id, { over }]) => {
    const node = deployed(id) ?? added.find((each) => each.id === id);
    return node?.weight === over && !removed.includes(id);
  });
  const same =
    added.length === overlay.added.length &&
    removed.length === overlay.removed.length &&
    weights.length === Object.keys(overlay.weights).length;
  return same
    ? saved
    : { ...saved, overlay: { added, removed, weights: Object.fromEntries(weights) } };
}
