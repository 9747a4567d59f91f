/**
 * A relay's watch over one group: its eyes, what they tell the Group, and the route that it serves.
 *
 * Promises: what is news is told at once, and never so often that the Group would hang up; everything is told
 * when the connection opens and on a slow beat; a node that comes back as a primary and must not be one is
 * sealed before anybody else has heard of it.
 * Must never: tell a node down that it has not asked as often and as long as the group wants it.
 */
import { isNewer, type Route } from "../../core/route.ts";
import type { RelayNodeConfig } from "../config.ts";
import type { Log } from "../log.ts";
import { type LooksMessage, MAX_MESSAGES_PER_S, parseWatch, type WatchMessage } from "../push.ts";
import type { Hands, RelayNode } from "../verbs/hands.ts";
import { dial } from "./dial.ts";
import { type Eye, openEye } from "./eye.ts";
import { lookOf } from "./gaze.ts";
import { sealStranger } from "./stranger.ts";

export type WatchDeps = {
  readonly group: { readonly name: string; readonly url: string };
  readonly relay: string;
  readonly tokens: readonly string[];
  readonly nodes: readonly RelayNodeConfig[];
  readonly nodeOf: (id: string) => RelayNode | undefined;
  readonly hands: Hands;
  readonly clock: () => { readonly boot: string; readonly ms: number };
  readonly log: Log;
  /** The last route, and each one that follows it. */
  readonly routed: (route: Route) => void;
};

const SLOW_BEAT_MS = 300_000;
/** Half of what the Group bears. */
const GAP_MS = 2000 / MAX_MESSAGES_PER_S;

export function watchGroup(deps: WatchDeps): { readonly close: () => void } {
  const { group, relay, hands, clock, log } = deps;
  const now = () => clock().ms;
  const eyes = new Map<string, Eye>();
  const untold = new Set<string>();
  let watch: WatchMessage | null = null;
  /** It was said over the connection that stands. */
  let current = false;
  let route: Route | null = null;
  let lastSentAtMs = Number.NEGATIVE_INFINITY;
  let soon: NodeJS.Timeout | undefined;

  const path = `/v1/groups/${encodeURIComponent(group.name)}/relays/${encodeURIComponent(relay)}/push`;
  const line = dial({
    url: group.url + path,
    tokens: deps.tokens,
    opened: () => {
      current = false;
      tell(false);
    },
    heard,
    log,
  });
  const beat = setInterval(() => tell(false), SLOW_BEAT_MS);

  function heard(text: string): void {
    const message = parseWatch(text);
    if (message === null || message.group !== group.name)
      return log("group-said-nonsense", { group: group.name });
    watch = message;
    current = true;
    if (route === null || isNewer(message.route, route)) {
      route = message.route;
      deps.routed(route);
    }
    const wanted = deps.nodes.filter(({ id }) => message.nodes.includes(id));
    for (const [id, eye] of eyes) {
      if (wanted.some((node) => node.id === id)) continue;
      eye.close();
      eyes.delete(id);
    }
    for (const node of wanted) if (!eyes.has(node.id)) eyes.set(node.id, open(node, message));
  }

  const open = (node: RelayNodeConfig, first: WatchMessage): Eye =>
    openEye(node.id, node, {
      plan: () => watch ?? first,
      now,
      saw: ({ news, firstSight }) => {
        if (firstSight) void strangerAt(node.id);
        if (!news) return;
        untold.add(node.id);
        soon ??= setTimeout(tellNews, Math.max(0, lastSentAtMs + GAP_MS - now()));
      },
    });

  async function strangerAt(id: string): Promise<void> {
    const node = deps.nodeOf(id);
    const facts = eyes.get(id)?.gaze().last?.facts;
    if (node === undefined || watch === null || facts?.role !== "primary") return;
    if (!line.isOpen() || !current) return;
    const sealed = await sealStranger(node, facts, watch, hands);
    if (!sealed) return;
    log("stranger-sealed", { group: group.name, node: id, epoch: watch.epoch });
    eyes.get(id)?.look();
  }

  function tellNews(): void {
    clearTimeout(soon);
    soon = undefined;
    tell(true);
  }

  /** With news only what is new, else everything that was ever seen. */
  function tell(news: boolean): void {
    const told = [...eyes.values()].filter(({ node }) => !news || untold.has(node));
    const looks = told.flatMap(({ node, gaze }) => lookOf(node, gaze(), now()) ?? []);
    if (looks.length === 0) return;
    const { boot, ms } = clock();
    const epoch = hands.epochOf(group.name);
    const message: LooksMessage = { v: 1, kind: "looks", news, boot, ms, epoch, looks };
    if (!line.send(JSON.stringify(message))) return;
    lastSentAtMs = now();
    untold.clear();
  }

  return {
    close: () => {
      clearInterval(beat);
      clearTimeout(soon);
      line.close();
      for (const eye of eyes.values()) eye.close();
    },
  };
}
