/**
 * One connection to one Redis: opened, greeted, used, destroyed; never reopened.
 *
 * Promises: nothing is sent before this Redis answered a PING here, so whatever is sent went to a Redis
 * that was alive; commands given together are written together, nothing of others between them; nothing
 * rejects. Waits without a deadline of its own: session.ts holds it and ends it by `destroy`.
 * Must never: reconnect, or let a password into a text.
 */
import { ErrorReply, RESP_TYPES, RedisClient } from "@redis/client";

/** PEM texts; null: the system's authorities, no certificate of our own, the host's name. */
type Tls = {
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
  readonly serverName: string | null;
};

export type Endpoint = {
  readonly username: string | null;
  readonly password: string | null;
} & (
  | { readonly host: string; readonly port: number; readonly tls?: Tls | null }
  | { readonly socket: string }
);

export type Command = readonly (string | Buffer)[];

/** What Redis answered. A string is an integer's exact digits, a Buffer any string, an Error Redis's error. */
export type Reply = null | string | Buffer | Error | readonly Reply[];

export const isBytes = (reply: Reply): reply is Buffer => reply instanceof Uint8Array;

/** busy: no fault of the node, this process itself is in the way. */
type FailureClass = "refused" | "timeout" | "closed" | "auth" | "tls" | "dns" | "busy";

export type Failure = {
  readonly kind: "failure";
  readonly class: FailureClass;
  /** True: the commands may have been executed. False: surely not. */
  readonly dispatched: boolean;
  readonly detail: string;
};
type Replies = { readonly kind: "replies"; readonly replies: readonly Reply[] };
export type Answer = Replies | Failure;

/** Why commands cannot be sent: a failure, or Redis's own word on this connection (maxclients, DENIED). */
export type Closed = Failure | { readonly kind: "said"; readonly error: Error };

export type Connection = {
  /** Settles once: null when commands may be sent. */
  readonly opened: Promise<Closed | null>;
  /** Settles when it is lost or destroyed. */
  readonly ended: Promise<Failure>;
  /** Opened, and not ended since. */
  readonly isOpen: () => boolean;
  readonly isClosed: () => boolean;
  /** `done` is called once. Not a promise: this is in the way of every command of every app. */
  readonly send: (commands: readonly Command[], done: (answer: Answer) => void) => void;
  /** Hears what is published until `stop`; `word` settles when Redis has agreed, with null, or not. */
  readonly listen: (
    kind: "channels" | "patterns",
    name: string,
    hear: (payload: Buffer, channel: Buffer) => void,
  ) => { readonly word: Promise<Closed | null>; readonly stop: () => void };
  readonly destroy: () => void;
};

/** Bytes as Buffers and integers as digits: nothing that Redis says is rounded or re-encoded. */
const EXACT = {
  [RESP_TYPES.BLOB_STRING]: Buffer,
  [RESP_TYPES.SIMPLE_STRING]: Buffer,
  [RESP_TYPES.NUMBER]: String,
};

/** As the settings in force say it: one that was changed has to prove itself anew. */
const haveAnswered = new WeakSet<Endpoint>();

const PROTOCOL = { RESP: 2 } as const;
/** Made once: the library builds a class of all commands, some 20 ms of work, for every other address anew. */
const createClient = RedisClient.factory(PROTOCOL);

export function connect(endpoint: Endpoint, connectTimeoutMs: number): Connection {
  const client = createClient({
    // Each client reads it as well, though its type does not say so.
    ...PROTOCOL,
    maintNotifications: "disabled",
    disableClientInfo: true,
    disableOfflineQueue: true,
    // The library's own timer per command is off: the caller's deadline is the only one.
    commandOptions: { timeout: 0, typeMapping: EXACT },
    socket: {
      ...wayTo(endpoint),
      // The library cannot destroy a socket that is still connecting, so TCP gets the deadline as well.
      connectTimeout: connectTimeoutMs,
      reconnectStrategy: false,
    },
  });
  let cause: unknown = null;
  let state: "opening" | "open" | "closed" = "opening";
  let end: (why: Failure) => void = () => {};
  const ended = new Promise<Failure>((resolve) => {
    end = resolve;
  });
  // A server that does not speak RESP makes the decoder complain and leaves the socket open.
  client.on("error", (error) => destroy(error));

  function destroy(reason: unknown = null): void {
    cause ??= reason;
    client.destroy();
    if (state === "closed") return;
    state = "closed";
    end(failureOf(cause, true));
  }

  function send(commands: readonly Command[], done: (answer: Answer) => void): void {
    const replies: Reply[] = new Array(commands.length);
    let missing = commands.length;
    const take = (index: number, reply: Reply) => {
      replies[index] = reply;
      missing -= 1;
      if (missing === 0) done({ kind: "replies", replies });
    };
    // All of them are lost together: the first one tells, and the others say nothing more.
    const lose = (index: number, error: unknown) => {
      if (error instanceof ErrorReply) return take(index, error);
      destroy(error);
      if (missing === Number.POSITIVE_INFINITY) return;
      missing = Number.POSITIVE_INFINITY;
      done(failureOf(cause, true));
    };
    if (missing === 0) done({ kind: "replies", replies });
    for (let index = 0; index < commands.length; index += 1) {
      client.sendCommand<Reply>(commands[index] ?? []).then(
        (reply) => take(index, reply),
        (error) => lose(index, error),
      );
    }
  }

  const exchange = (commands: readonly Command[]) =>
    new Promise<Answer>((resolve) => send(commands, resolve));

  async function open(): Promise<Closed | null> {
    try {
      await client.connect();
    } catch (error) {
      destroy(error);
      return failureOf(cause, false);
    }
    // Destroyed while TCP was connecting: the library may have come up all the same.
    if (state === "closed") {
      client.destroy();
      return failureOf(cause, false);
    }
    const word = await greet(exchange, endpoint);
    if (word === undefined) return unanswered(failureOf(cause, false), endpoint);
    if (word !== null) destroy();
    else if (state === "opening") state = "open";
    if (word === null) haveAnswered.add(endpoint);
    return word;
  }

  function listen(
    kind: "channels" | "patterns",
    name: string,
    hear: (payload: Buffer, channel: Buffer) => void,
  ) {
    // The library would keep it for a connection to come.
    if (state !== "open") return { word: Promise.resolve(failureOf(cause, false)), stop: () => {} };
    const channels = kind === "channels";
    const begun = channels
      ? client.subscribe(name, hear, true)
      : client.pSubscribe(name, hear, true);
    const word = begun.then(
      () => null,
      (error: unknown): Closed => {
        if (error instanceof ErrorReply) return { kind: "said", error };
        destroy(error);
        return failureOf(cause, false);
      },
    );
    return {
      word,
      stop: () => {
        if (state !== "open") return;
        const done = channels
          ? client.unsubscribe(name, hear, true)
          : client.pUnsubscribe(name, hear, true);
        done.catch(destroy);
      },
    };
  }

  return {
    opened: open(),
    ended,
    isOpen: () => state === "open",
    isClosed: () => state === "closed",
    send,
    listen,
    destroy,
  };
}

function wayTo(endpoint: Endpoint) {
  if ("socket" in endpoint) return { path: endpoint.socket };
  const { host, port, tls = null } = endpoint;
  if (tls === null) return { host, port };
  return {
    ...{ host, port, tls: true as const },
    ...(tls.ca === null ? {} : { ca: tls.ca }),
    ...(tls.cert === null || tls.key === null ? {} : { cert: tls.cert, key: tls.key }),
    ...(tls.serverName === null ? {} : { servername: tls.serverName }),
  };
}

/** Null: welcome. Undefined: the connection was lost. */
async function greet(
  exchange: (commands: readonly Command[]) => Promise<Answer>,
  { username, password }: Endpoint,
): Promise<Closed | null | undefined> {
  if (password !== null) {
    const auth = username === null ? ["AUTH", password] : ["AUTH", username, password];
    const answer = await exchange([auth]);
    if (answer.kind === "failure") return undefined;
    const [error] = answer.replies;
    if (error instanceof Error) return turnedAway(error) ?? authFailure(error);
  }
  const answer = await exchange([["PING"]]);
  if (answer.kind === "failure") return undefined;
  const [error] = answer.replies;
  if (!(error instanceof Error)) return null;
  if (error.message.startsWith("NOAUTH")) return authFailure(error);
  // Any other error (LOADING, BUSY, MISCONF, NOPERM) is a living Redis: the command gets its own answer.
  return turnedAway(error);
}

/** Said by Redis to a connection that it closes at once. */
function turnedAway(error: Error): Closed | null {
  return /^(ERR max number of clients|DENIED)/.test(error.message) ? { kind: "said", error } : null;
}

const authFailure = (error: Error): Failure => failure("auth", false, error.message);

export function failure(kind: FailureClass, dispatched: boolean, detail: string): Failure {
  return { kind: "failure", class: kind, dispatched, detail: detail.slice(0, 200) };
}

/** The class of a socket's or the library's error. What is not known to be the node's silence is `closed`. */
export function failureOf(error: unknown, dispatched: boolean): Failure {
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : "";
  const [kind, detail] = classOf(code, message);
  return failure(kind, dispatched, detail);
}

/**
 * A proxy, a tunnel, or a container's port takes connections for a Redis that is gone, and closes them: as good as
 * silence, where Redis has answered before. Where it never has, a setting may be wrong: that is no dead one.
 */
function unanswered(lost: Failure, endpoint: Endpoint): Failure {
  const dropped = lost.class === "closed" && haveAnswered.has(endpoint);
  return dropped ? failure("timeout", false, `${lost.detail} before it answered`) : lost;
}

function classOf(code: string, message: string): readonly [FailureClass, string] {
  // ENOENT: a unix socket that nobody made.
  if (code === "ECONNREFUSED" || code === "ENOENT") return ["refused", "nothing listens there"];
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return ["dns", `${code} for its host name`];
  if (["ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH"].includes(code)) return ["timeout", code];
  if (message === "Connection timeout") return ["timeout", "no connection"];
  if (code === "EACCES") return ["auth", "no permission for its unix socket"];
  if (/^ERR_(TLS|SSL)|CERT|^UNABLE_TO_|^EPROTO$/.test(code)) return ["tls", code];
  if (message.startsWith("Unknown RESP type")) {
    return ["closed", "it does not speak the Redis protocol"];
  }
  return ["closed", code === "" ? "the connection was closed" : code];
}

/** node:net gathers the errors of several addresses in one; the first with a code speaks for it. */
function codeOf(error: unknown): string {
  if (typeof error !== "object" || error === null) return "";
  if ("code" in error && typeof error.code === "string") return error.code;
  return error instanceof AggregateError
    ? (error.errors.map(codeOf).find((code) => code) ?? "")
    : "";
}
