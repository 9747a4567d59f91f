/**
 * One connection to one Redis: opened, greeted, used, destroyed; never reopened.
 *
 * Promises: nothing is sent before this Redis answered a PING here, so whatever is sent went to a Redis
 * that was alive; commands given together are written together, nothing of others between them; nothing
 * rejects. Waits without a deadline of its own: session.ts holds it and ends it by `destroy`.
 * Must never: reconnect, or let a password into a text.
 */
import { createClient, ErrorReply, RESP_TYPES } from "@redis/client";

/** PEM texts; null: the system's authorities, no certificate of our own, the host's name. */
export type Tls = {
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
export type FailureClass = "refused" | "timeout" | "closed" | "auth" | "tls" | "dns" | "busy";

export type Failure = {
  readonly kind: "failure";
  readonly class: FailureClass;
  /** True: the commands may have been executed. False: surely not. */
  readonly dispatched: boolean;
  readonly detail: string;
};
export type Replies = { readonly kind: "replies"; readonly replies: readonly Reply[] };
export type Answer = Replies | Failure;

/** Why commands cannot be sent: a failure, or Redis's own word on this connection (maxclients, DENIED). */
type Closed = Failure | { readonly kind: "said"; readonly error: Error };

export type Connection = {
  /** Settles once: null when commands may be sent. */
  readonly opened: Promise<Closed | null>;
  readonly isClosed: () => boolean;
  readonly send: (commands: readonly Command[]) => Promise<Answer>;
  readonly destroy: () => void;
};

/** Bytes as Buffers and integers as digits: nothing that Redis says is rounded or re-encoded. */
const EXACT = {
  [RESP_TYPES.BLOB_STRING]: Buffer,
  [RESP_TYPES.SIMPLE_STRING]: Buffer,
  [RESP_TYPES.NUMBER]: String,
};

export function connect(endpoint: Endpoint, connectTimeoutMs: number): Connection {
  const client = createClient({
    RESP: 2,
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
  let closed = false;
  // A server that does not speak RESP makes the decoder complain and leaves the socket open.
  client.on("error", (error) => destroy(error));

  function destroy(reason: unknown = null): void {
    cause ??= reason;
    closed = true;
    client.destroy();
  }

  async function exchange(commands: readonly Command[]): Promise<readonly Reply[] | null> {
    try {
      return await Promise.all(
        commands.map((command) =>
          client.sendCommand<Reply>(command).catch((error: unknown) => {
            if (error instanceof ErrorReply) return error;
            throw error;
          }),
        ),
      );
    } catch (error) {
      destroy(error);
      return null;
    }
  }

  async function open(): Promise<Closed | null> {
    try {
      await client.connect();
    } catch (error) {
      destroy(error);
      return failureOf(cause, false);
    }
    // Destroyed while TCP was connecting: the library may have come up all the same.
    if (closed) {
      client.destroy();
      return failureOf(cause, false);
    }
    const word = await greet(exchange, endpoint);
    if (word === undefined) return failureOf(cause, false);
    if (word !== null) destroy();
    return word;
  }

  return {
    opened: open(),
    isClosed: () => closed,
    send: async (commands) => {
      const replies = await exchange(commands);
      return replies === null ? failureOf(cause, true) : { kind: "replies", replies };
    },
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
  exchange: (commands: readonly Command[]) => Promise<readonly Reply[] | null>,
  { username, password }: Endpoint,
): Promise<Closed | null | undefined> {
  if (password !== null) {
    const auth = username === null ? ["AUTH", password] : ["AUTH", username, password];
    const replies = await exchange([auth]);
    if (replies === null) return undefined;
    const error = replies[0];
    if (error instanceof Error) return turnedAway(error) ?? authFailure(error);
  }
  const replies = await exchange([["PING"]]);
  if (replies === null) return undefined;
  const error = replies[0];
  if (!(error instanceof Error)) return null;
  if (error.message.startsWith("NOAUTH")) return authFailure(error);
  // Any other error (LOADING, BUSY, MISCONF, NOPERM) is a living Redis: the command gets its own answer.
  return turnedAway(error);
}

/** Said by Redis to a connection that it closes at once. */
function turnedAway(error: Error): Closed | null {
  return /^(ERR max number of clients|DENIED)/.test(error.message) ? { kind: "said", error } : null;
}

function authFailure(error: Error): Failure {
  return { kind: "failure", class: "auth", dispatched: false, detail: error.message.slice(0, 200) };
}

/** The class of a socket's or the library's error. What is not known to be the node's silence is `closed`. */
export function failureOf(error: unknown, dispatched: boolean): Failure {
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : "";
  const failure = (kind: FailureClass, detail: string): Failure => ({
    kind: "failure",
    class: kind,
    dispatched,
    detail: detail.slice(0, 200),
  });
  if (code === "ECONNREFUSED") return failure("refused", "nothing listens there");
  if (code === "ENOTFOUND" || code === "EAI_AGAIN")
    return failure("dns", `${code} for its host name`);
  if (["ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH"].includes(code)) return failure("timeout", code);
  if (message === "Connection timeout") return failure("timeout", "no TCP connection");
  if (/^ERR_(TLS|SSL)|CERT/.test(code)) return failure("tls", code);
  if (message.startsWith("Unknown RESP type")) {
    return failure("closed", "it does not speak the Redis protocol");
  }
  return failure("closed", code === "" ? "the connection was closed" : code);
}

/** node:net gathers the errors of several addresses in one; the first with a code speaks for it. */
function codeOf(error: unknown): string {
  if (typeof error !== "object" || error === null) return "";
  if ("code" in error && typeof error.code === "string") return error.code;
  return error instanceof AggregateError
    ? (error.errors.map(codeOf).find((code) => code) ?? "")
    : "";
}
