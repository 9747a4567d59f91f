/**
 * New connections to one Redis at a bounded rate: what stands between a crowd of apps and a server that is
 * down.
 *
 * Promises: after a failed attempt the next one waits a little longer, up to a quarter of a second, and
 * whoever asks meanwhile is told at once what the last attempt met; one success, or `forget`, and it starts
 * over.
 * Must never: stand in the way of a look: those dial for themselves.
 */
import { type Connection, connect, type Endpoint, type Failure, failure } from "./connection.ts";

type Dialler = { readonly dial: () => Connection; readonly forget: () => void };

const FIRST_WAIT_MS = 10;
const LONGEST_WAIT_MS = 250;

export function createDialler(endpoint: Endpoint, connectTimeoutMs: number): Dialler {
  let waitMs = 0;
  let again: { readonly atMs: number; readonly last: Failure } | null = null;

  function dial(): Connection {
    if (again !== null && performance.now() < again.atMs) return stillborn(again.last);
    const connection = connect(endpoint, connectTimeoutMs);
    void connection.opened.then((word) => {
      if (word?.kind === "failure") {
        waitMs = Math.min(LONGEST_WAIT_MS, Math.max(FIRST_WAIT_MS, waitMs * 2));
        // Not all relays at the same moment, when a server comes back.
        again = { atMs: performance.now() + waitMs * (0.5 + Math.random() / 2), last: word };
      } else {
        forget();
      }
    });
    return connection;
  }

  function forget(): void {
    waitMs = 0;
    again = null;
  }

  return { dial, forget };
}

function stillborn(last: Failure): Connection {
  const word = failure(last.class, false, last.detail);
  return {
    opened: Promise.resolve(word),
    ended: Promise.resolve(word),
    isOpen: () => false,
    isClosed: () => true,
    send: (_, done) => done(word),
    listen: () => ({ word: Promise.resolve(word), stop: () => {} }),
    destroy: () => {},
  };
}
