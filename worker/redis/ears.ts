/**
 * Subscriptions to one Redis: all of them share one connection, which is there while somebody listens.
 *
 * Promises: `subscribe` settles by its deadline; a subscription ends when its signal aborts, or when the
 * connection is lost or falls silent, and says so: nothing is subscribed again behind the listener's back,
 * because messages of the time between are lost.
 * Must never: keep a message, or wait for a listener.
 */
import { type Closed, type Connection, type Failure, failure } from "./connection.ts";

export type Topics = {
  readonly kind: "channels" | "patterns";
  readonly names: readonly string[];
};

export type Message = {
  readonly pattern: string | null;
  readonly channel: Buffer;
  readonly payload: Buffer;
};

export type Subscription =
  | { readonly kind: "subscribed"; readonly ended: Promise<Failure> }
  /** A failure, or Redis's own word: no permission, no room. */
  | Closed;

type ListenOptions = { readonly deadlineMs: number; readonly signal: AbortSignal };

export type Ears = {
  readonly subscribe: (
    topics: Topics,
    hear: (message: Message) => void,
    options: ListenOptions,
  ) => Promise<Subscription>;
  readonly isOpen: () => boolean;
  /** Ends every subscription, and takes no other. */
  readonly close: () => void;
};

type Line = { readonly connection: Connection; readonly listeners: Set<(why: Failure) => void> };

/** A connection that only listens may be dead for hours before anybody notices. */
const PING_EVERY_MS = 10_000;

export function openEars(dial: () => Connection): Ears {
  let current: Line | null = null;
  let closed = false;

  function join(): Line {
    if (current !== null && !current.connection.isClosed()) return current;
    const line: Line = { connection: dial(), listeners: new Set() };
    void line.connection.ended.then((why) => {
      for (const end of line.listeners) end(why);
    });
    void keepAwake(line.connection);
    current = line;
    return line;
  }

  async function subscribe(
    topics: Topics,
    hear: (message: Message) => void,
    { deadlineMs, signal }: ListenOptions,
  ): Promise<Subscription> {
    if (signal.aborted) return left(false);
    if (closed) return failure("busy", false, "this relay takes no more subscriptions here");
    const { connection, listeners } = join();
    const stops: (() => void)[] = [];
    let end: (why: Failure) => void = () => {};
    const ended = new Promise<Failure>((resolve) => {
      end = resolve;
    });
    listeners.add(end);
    const leave = (why: Failure) => {
      if (!listeners.delete(end)) return;
      for (const stop of stops) stop();
      if (listeners.size === 0) connection.destroy();
      end(why);
    };
    const onAbort = () => leave(left(true));
    signal.addEventListener("abort", onAbort, { once: true });
    void ended.then(() => signal.removeEventListener("abort", onAbort));

    async function attempt(): Promise<Subscription> {
      const word = await connection.opened;
      if (word !== null) return word;
      if (!listeners.has(end)) return left(false);
      const listening = topics.names.map((name) => listenTo(connection, topics.kind, name, hear));
      stops.push(...listening.map((each) => each.stop));
      const words = await Promise.all(listening.map((each) => each.word));
      return words.find((each) => each !== null) ?? { kind: "subscribed", ended };
    }
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<Subscription>((resolve) => {
      const text = `no answer in ${Math.round(deadlineMs)} ms`;
      timer = setTimeout(() => resolve(failure("timeout", false, text)), deadlineMs);
    });
    try {
      const subscription = await Promise.race([attempt(), late, ended]);
      if (subscription.kind === "failure") leave(subscription);
      if (subscription.kind === "said") leave(left(false));
      return subscription;
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    subscribe,
    isOpen: () => current !== null && !current.connection.isClosed(),
    close: () => {
      closed = true;
      current?.connection.destroy();
    },
  };
}

const left = (dispatched: boolean): Failure =>
  failure("busy", dispatched, "the listener did not stay");

function listenTo(
  connection: Connection,
  kind: Topics["kind"],
  name: string,
  hear: (message: Message) => void,
) {
  const pattern = kind === "patterns" ? name : null;
  return connection.listen(kind, name, (payload, channel) => hear({ pattern, channel, payload }));
}

/** Asks now and then whether anybody is there; whoever is silent until the next time is given up. */
async function keepAwake(connection: Connection): Promise<void> {
  if ((await connection.opened) !== null) return;
  let awaited = false;
  const timer = setInterval(() => {
    if (awaited) return connection.destroy();
    awaited = true;
    connection.send([["PING"]], () => {
      awaited = false;
    });
  }, PING_EVERY_MS);
  await connection.ended;
  clearInterval(timer);
}
