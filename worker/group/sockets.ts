/**
 * The relays that hold a connection: what they tell, and what they are told.
 *
 * Promises: a relay's connection speaks for that relay alone, whatever its messages say; a message that is
 * wrong, and a relay that never stops talking, end the connection with a reason; who says nothing new is told
 * nothing, and wakes nobody: the runtime answers its pings.
 * Must never: judge what was seen, or believe a relay's clock.
 */
import type { State } from "../core/state.ts";
import type { GroupConfig, Observation } from "../core/types.ts";
import { closeCodes, MAX_MESSAGES_PER_S, PING, PONG, parseLooks } from "../relay/push.ts";
import { observationsOf, watchOf } from "./pushed.ts";

/** Kept by the runtime with the connection while the Group sleeps. */
type Attached = {
  readonly relay: string;
  /** What it was told last. */
  readonly told: string;
};

/** How many messages may come at once before the rate counts. */
const BURST = 4 * MAX_MESSAGES_PER_S;

export type Sockets = ReturnType<typeof createSockets>;

export function createSockets(ctx: DurableObjectState) {
  const budgets = new WeakMap<WebSocket, { left: number; atMs: number }>();
  ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG));

  /** What the runtime keeps, read once: it is asked for several times a second. */
  const known = new WeakMap<WebSocket, Attached>();
  let last: {
    readonly saved: State["saved"];
    readonly config: GroupConfig;
    readonly text: string;
  } | null = null;

  function attached(socket: WebSocket): Attached | null {
    if (socket.readyState !== WebSocket.OPEN) return null;
    const found = known.get(socket) ?? (socket.deserializeAttachment() as Attached);
    known.set(socket, found);
    return found;
  }

  function attach(socket: WebSocket, what: Attached): void {
    socket.serializeAttachment(what);
    known.set(socket, what);
  }

  function messageOf(saved: State["saved"], config: GroupConfig): string {
    if (last?.saved !== saved || last.config !== config)
      last = { saved, config, text: JSON.stringify(watchOf(saved, config)) };
    return last.text;
  }

  const open = (relay?: string) => ctx.getWebSockets(relay).filter((each) => attached(each));

  function withinBudget(socket: WebSocket, nowMs: number): boolean {
    const { left, atMs } = budgets.get(socket) ?? { left: BURST, atMs: nowMs };
    const gained = (Math.max(0, nowMs - atMs) / 1000) * MAX_MESSAGES_PER_S;
    const next = Math.min(BURST, left + gained) - 1;
    budgets.set(socket, { left: next, atMs: nowMs });
    return next >= 0;
  }

  function tellOne(socket: WebSocket, relay: string, message: string): void {
    try {
      socket.send(message);
      attach(socket, { relay, told: message });
    } catch (error) {
      // It is closing: its end is heard by itself.
      console.error("a relay was not told", error instanceof Error ? error.message : "unknown");
    }
  }

  return {
    /** The connection of a relay whose token was found right. An older one of the same relay ends. */
    accept(relay: string): Response {
      const before = open(relay);
      const { 0: theirs, 1: ours } = new WebSocketPair();
      ctx.acceptWebSocket(ours, [relay]);
      attach(ours, { relay, told: "" });
      for (const each of before) each.close(closeCodes.replaced, "this relay has connected again");
      return new Response(null, { status: 101, webSocket: theirs });
    },

    /** Relays whose connection stands. */
    connected: (): readonly string[] => [
      ...new Set(open().flatMap((each) => attached(each)?.relay ?? [])),
    ],

    /** What a relay saw, or null: the connection is ended. */
    heard(
      socket: WebSocket,
      data: unknown,
      state: State,
      nowMs: number,
    ): readonly Observation[] | null {
      const relay = attached(socket)?.relay;
      if (relay === undefined) return null;
      if (!withinBudget(socket, nowMs)) {
        socket.close(closeCodes.tooMany, `at most ${MAX_MESSAGES_PER_S} messages a second`);
        return null;
      }
      const message = parseLooks(data);
      if (message !== null) return observationsOf(relay, message, state, nowMs);
      socket.close(closeCodes.badMessage, "not a message of this protocol: docs/relay.md");
      return null;
    },

    /** Everyone who does not know it yet is told what to watch, and the route. */
    tell({ saved }: State, config: GroupConfig): void {
      const sockets = open();
      if (sockets.length === 0) return;
      const message = messageOf(saved, config);
      for (const socket of sockets) {
        const { relay, told } = attached(socket) ?? { relay: "", told: "" };
        if (!config.relays.some(({ id }) => id === relay)) {
          socket.close(closeCodes.gone, "this relay is not one of the group");
        } else if (told !== message) tellOne(socket, relay, message);
      }
    },

    /** The group is no longer configured. */
    endAll(): void {
      for (const socket of open()) socket.close(closeCodes.gone, "no such group");
    },
  };
}
