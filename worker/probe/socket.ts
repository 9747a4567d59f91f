/**
 * A connection of the Worker's own runtime, for one look: opened, spoken on, closed. And why one did not open.
 *
 * The runtime says the same words whether nothing listens, the TLS handshake failed or the name does not resolve.
 * So it is found out, after the failure: a plain connection that opens where TLS did not is a TLS fault; what is
 * left is refused for an address, and for a name that resolves.
 * Promises: every connection is closed when `signal` says so, at the latest; but for TLS handshakes that hang, of
 * which few are begun.
 * Must never: wait longer than its caller, who has the deadline, or hold more than `mostBytes`.
 */
import type { Found } from "../core/looking.ts";
import { request } from "../relay/request.ts";
import { failed } from "./probe.ts";

export type Place = { readonly host: string; readonly port: number };

/** What became of a connection; `lost` also when it ended before `enough`. */
type Talk =
  | { readonly kind: "unopened" }
  | { readonly kind: "lost"; readonly said: boolean }
  | { readonly kind: "enough" }
  | { readonly kind: "too much" };

type Line = {
  readonly place: Place;
  readonly tls: boolean;
  readonly bytes: Uint8Array;
  /** Resolves when it is time to speak; a server that hangs up before that did so of its own accord. */
  readonly before?: () => Promise<unknown>;
  /** The connection is being opened: a TLS handshake may have to wait for those that hang there. */
  readonly begun?: () => void;
  readonly opened?: () => void;
  /** All that came so far; true: that is all that was waited for. */
  readonly hear: (heard: Uint8Array) => boolean;
  readonly mostBytes: number;
  readonly signal: AbortSignal;
};

export async function talk(line: Line): Promise<Talk> {
  const socket = await open(line.place, line.tls, line.signal, line.begun);
  if (socket === null) return { kind: "unopened" };
  line.opened?.();
  let said = false;
  const speak = async () => {
    await line.before?.();
    if (line.signal.aborted) return;
    said = true;
    await socket.writable.getWriter().write(line.bytes);
  };
  try {
    // What went wrong with it shows in what is read.
    void speak().catch(() => {});
    return (await listen(socket, line)) ?? { kind: "lost", said };
  } catch {
    return { kind: "lost", said };
  } finally {
    close(socket);
  }
}

/** Null: it ended. */
async function listen(
  socket: Socket,
  { hear, mostBytes }: Line,
): Promise<Extract<Talk, { kind: "enough" | "too much" }> | null> {
  const reader: ReadableStreamDefaultReader<Uint8Array> = socket.readable.getReader();
  let room = new Uint8Array(16 << 10);
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return null;
    if (length + value.length > mostBytes) return { kind: "too much" };
    if (length + value.length > room.length) {
      const larger = new Uint8Array(Math.max(room.length * 2, length + value.length));
      larger.set(room.subarray(0, length));
      room = larger;
    }
    room.set(value, length);
    length += value.length;
    if (hear(room.subarray(0, length))) return { kind: "enough" };
  }
}

/** Null: it does not open. Where it says nothing at all, this never settles. */
async function open(
  place: Place,
  tls: boolean,
  signal: AbortSignal,
  begun?: () => void,
): Promise<Socket | null> {
  // Not at the top: only Workers have it, and whoever runs a look there.
  const { connect } = await import("cloudflare:sockets");
  const hostname = place.host.includes(":") ? `[${place.host}]` : place.host;
  if (tls) await turnAt(`${hostname}:${place.port}`, signal);
  if (signal.aborted) return null;
  begun?.();
  let settled = false;
  try {
    const secureTransport = tls ? "on" : "off";
    const socket = connect(
      { hostname, port: place.port },
      { secureTransport, allowHalfOpen: false },
    );
    socket.closed.catch(() => {});
    const leave = () => {
      if (tls && !settled) hang(`${hostname}:${place.port}`, socket.opened);
      close(socket);
    };
    signal.addEventListener("abort", leave, { once: true });
    await socket.opened;
    return socket;
  } catch {
    return null;
  } finally {
    settled = true;
  }
}

/**
 * Handshakes that outlived their look: the runtime ends none that is under way, only the server does. So while some
 * hang at a place, others are begun there more and more rarely, or an hour of silence would fill the memory.
 */
const hanging = new Map<
  string,
  { count: number; lastAtMs: number; readonly waiting: Set<() => void> }
>();
/** For each that hangs; and however many do, so that who is back behind a new address is not missed for long. */
const REST_MS = 5000;
const MOST_REST_MS = 60_000;

/** When a handshake may be begun: at once, as a rule; or when one that hung has ended. */
async function turnAt(at: string, signal: AbortSignal): Promise<void> {
  const hung = hanging.get(at);
  if (hung === undefined) return;
  const restMs = Math.min(hung.count * REST_MS, MOST_REST_MS);
  if (performance.now() - hung.lastAtMs >= restMs) return;
  await new Promise<void>((resolve) => {
    const go = () => {
      hung.waiting.delete(go);
      resolve();
    };
    hung.waiting.add(go);
    signal.addEventListener("abort", go, { once: true });
  });
}

function hang(at: string, opened: Promise<unknown>): void {
  const hung = hanging.get(at) ?? { count: 0, lastAtMs: 0, waiting: new Set() };
  hanging.set(at, hung);
  hung.count += 1;
  hung.lastAtMs = performance.now();
  const ended = () => {
    hung.count -= 1;
    if (hung.count === 0) hanging.delete(at);
    for (const go of hung.waiting) go();
  };
  opened.then(ended, ended);
}

function close(socket: Socket): void {
  void socket.close().catch(() => {});
}

/** Whether a connection opens at all. */
export async function opens(place: Place, tls: boolean, signal: AbortSignal): Promise<boolean> {
  const socket = await open(place, tls, signal);
  if (socket === null) return false;
  close(socket);
  return true;
}

/** What becomes of a connection on which nothing is said for so long. */
async function unused(
  place: Place,
  forMs: number,
  signal: AbortSignal,
): Promise<"unopened" | "dropped" | "open"> {
  const enough = new AbortController();
  let stood = false;
  const heard = await talk({
    ...{ place, tls: false, bytes: new Uint8Array(), mostBytes: 0, hear: () => true },
    signal: AbortSignal.any([signal, enough.signal]),
    before: async () => {
      await passed(forMs, signal);
      stood = true;
      enough.abort();
    },
  });
  if (heard.kind === "unopened") return "unopened";
  return heard.kind === "lost" && !stood ? "dropped" : "open";
}

/** Ends early when `signal` does: no timer outlives a look. */
export const passed = (ms: number, signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });

type Asking = {
  readonly tls: boolean;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /**
   * Over 0 where it has answered before: then who takes connections, and drops them unused within so long, stands in
   * front of one that is gone.
   */
  readonly unusedMs?: number;
};

/** Why a connection does not open, once it did not. `meanwhile` hears what it is if this takes too long. */
export async function whyUnopened(
  place: Place,
  { tls, timeoutMs, signal, unusedMs = 0 }: Asking,
  meanwhile: (late: Found) => void,
): Promise<Found> {
  const fault = failed("tls", "the TLS handshake failed: its certificate, or no TLS there");
  meanwhile(tls ? fault : unknownName);
  if (signal.aborted) return unknownName;
  if (tls && unusedMs > 0) {
    const plain = await unused(place, unusedMs, signal);
    if (plain === "dropped") return dropped;
    if (plain === "open") return fault;
  } else if (tls && (await opens(place, false, signal))) return fault;
  if (isAddress(place.host)) return nobody;
  meanwhile(unknownName);
  const known = await resolves(place.host, timeoutMs);
  if (known === null) return unknownName;
  return known ? nobody : failed("dns", "its host name does not resolve");
}

const dropped = failed(
  "timeout",
  "no TLS handshake, and a connection is dropped before anything was asked",
);
const nobody = failed("refused", "no connection: nothing listens there");
const unknownName = failed("dns", "no connection, and whether its name resolves is not known");

const isAddress = (host: string) => host.includes(":") || /^\d+\.\d+\.\d+\.\d+$/.test(host);

/** Null: not known. The runtime's own node:dns calls every trouble of the resolver a name that is not there. */
async function resolves(host: string, timeoutMs: number): Promise<boolean | null> {
  const [v4, v6] = await Promise.all([has(host, "A", 1), has(host, "AAAA", 28)]);
  if (v4 === true || v6 === true) return true;
  return v4 === false && v6 === false ? false : null;

  async function has(name: string, type: string, code: number): Promise<boolean | null> {
    const query = new URLSearchParams({ name, type });
    const headers = { accept: "application/dns-json" };
    const answer = await request(
      { method: "GET", url: `https://cloudflare-dns.com/dns-query?${query}`, headers },
      { timeoutMs, maxBytes: 16 << 10 },
    );
    if (answer.kind !== "json" || answer.status !== 200) return null;
    const { Status, Answer = [] } = Object(answer.body) as { Status?: unknown; Answer?: unknown };
    if (Status === 3) return false;
    if (Status !== 0 || !Array.isArray(Answer)) return null;
    return Answer.some((each) => Object(each).type === code);
  }
}
