/**
 * Requests at work: how many there are, and how much is held for them.
 *
 * Promises: bodies that are half sent and answers that nobody reads are bounded, for one connection, for one
 * token and for all together: beyond that a request is refused before it is sent; who takes nothing for long is
 * ended, who reads slowly is not.
 * Must never: look into a body.
 */
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { refuse, respond } from "./answer.ts";
import { createBacklog } from "./backlog.ts";
import { type Desk, type Job, say } from "./job.ts";
import type { Limits } from "./policy.ts";

/** How long a large answer may lie unread without a byte of progress; and any, once there is no room. */
const PATIENCE_MS = 20_000;
/** The same while more is held than may be. */
const STUCK_MS = 10_000;
/** Below this nothing is counted: the number of requests bounds it. */
const LARGE = 64 * 1024;
const MAX_STREAM_BACKLOG = 1024 * 1024;

const most = ({ maxReplyBytes, maxBodyBytes }: Limits): number =>
  16 * 1024 * 1024 + 4 * (maxReplyBytes + maxBodyBytes);

/** Listeners that are the same for every request find it here. */
const JOB = Symbol("job");
type WithJob = ServerResponse & { [JOB]?: Job };
/** Requests of one connection that were sent without waiting for answers. */
const AT_ONCE = Symbol("at once");
/** What the other side had taken when somebody looked, and since when. */
const TAKEN = Symbol("taken");
type Shared = Socket & { [AT_ONCE]?: number; [TAKEN]?: { bytes: number; sinceMs: number } };
/** Their answers wait for each other, and so for a reader who may be slow. */
const MAX_AT_ONCE = 16;

export function createDesk(): Desk {
  // No Set: one that is added to and deleted from all day keeps its dead alive until the next full collection.
  const atWork: Job[] = [];
  const backlog = createBacklog();
  let held = 0;
  /** By token. */
  const heldFor = new Map<string, number>();

  function hold(job: Job, bytes: number): void {
    const more = bytes - job.heldBytes;
    job.heldBytes = bytes;
    held += more;
    const token = tokenOf(job);
    const own = (heldFor.get(token) ?? 0) + more;
    if (own === 0) heldFor.delete(token);
    else heldFor.set(token, own);
  }

  /** For everybody; and at so many times the bound for tokens with at least an equal share of it. */
  function isFull(job: Job, times: number): boolean {
    const limit = most(job.limits);
    if (held > 2 * limit) return true;
    return held > times * limit && (heldFor.get(tokenOf(job)) ?? 0) * heldFor.size >= held;
  }

  /** Who has unread answers on this very connection goes no further; the others of its token a while longer. */
  function isOver(job: Job): boolean {
    if (held <= most(job.limits)) return false;
    makeRoom(STUCK_MS);
    return isFull(job, 1.5) || atWork.some((other) => isBehind(job, other));
  }

  function leave(this: WithJob): void {
    const job = this[JOB];
    const last = atWork.pop();
    if (job === undefined || last === undefined) return;
    if (last !== job) {
      last.slot = job.slot;
      atWork[last.slot] = last;
    }
    if (job.heldBytes > 0) hold(job, 0);
    if (isStream(job)) backlog.leave(job.res);
    const socket: Shared = job.req.socket;
    socket[AT_ONCE] = (socket[AT_ONCE] ?? 1) - 1;
  }

  /** By those who were answered and have taken nothing for long. */
  function makeRoom(afterMs: number): void {
    const now = performance.now();
    for (const { req, res, answeredAtMs } of atWork) {
      if (answeredAtMs === null) continue;
      if (now - Math.max(answeredAtMs, idleSinceMs(req.socket)) >= afterMs) res.destroy();
    }
  }

  function read(job: Job, take: (job: Job, body: Buffer) => void): void {
    const { req, res, limits } = job;
    const { maxBodyBytes } = limits;
    const tooLarge = () =>
      refuse(req, res, 413, `ERR a body has at most ${maxBodyBytes} bytes, limits.max_body_bytes`);
    if (Number(req.headers["content-length"] ?? 0) > maxBodyBytes) return tooLarge();
    let first: Buffer | null = null;
    let more: Buffer[] | null = null;
    let size = 0;
    const onData = (chunk: Buffer) => {
      if (first === null) first = chunk;
      else if (more === null) more = [first, chunk];
      else more.push(chunk);
      size += chunk.length;
      if (size >= LARGE) weigh();
    };
    const onEnd = () => {
      if (job.heldBytes > 0) hold(job, 0);
      take(job, more === null ? (first ?? Buffer.alloc(0)) : Buffer.concat(more));
    };
    const weigh = () => {
      hold(job, size);
      const over = size > maxBodyBytes;
      if (!over && !isFull(job, 1)) return;
      req.off("data", onData);
      req.off("end", onEnd);
      first = more = null;
      hold(job, 0);
      if (over) return tooLarge();
      refuse(req, res, 503, "RELAY_BUSY too much is being sent to it; it was not executed");
    };
    req.on("data", onData);
    req.on("end", onEnd);
  }

  return {
    begin: (job) => {
      const { maxRequests } = job.limits;
      // Looks need no room: apps that wait must not make a node look unreachable.
      if (atWork.length >= maxRequests && job.caller.face !== "control") {
        makeRoom(PATIENCE_MS);
        return `${maxRequests} requests are at work, limits.max_requests`;
      }
      if (job.caller.face !== "control" && isOver(job)) {
        return "too much of what it has answered lies unread";
      }
      const socket: Shared = job.req.socket;
      const atOnce = socket[AT_ONCE] ?? 0;
      if (atOnce >= MAX_AT_ONCE) return `${MAX_AT_ONCE} requests are at work on this connection`;
      socket[AT_ONCE] = atOnce + 1;
      job.slot = atWork.length;
      atWork.push(job);
      (job.res as WithJob)[JOB] = job;
      job.res.on("close", leave);
      return null;
    },
    read,
    answer: (job, status, body, headers) => {
      const { res, limits } = job;
      // Its effect cannot be taken back, and its connection is not dropped: the client would send it again.
      if (body.length > LARGE && held + body.length > 2 * most(limits)) {
        return say(job, 400, UNREAD);
      }
      const bytes = respond(res, status, body, headers);
      job.answeredAtMs = performance.now();
      if (bytes < LARGE || res.destroyed) return;
      hold(job, bytes);
      res.setTimeout(PATIENCE_MS, () => res.destroy());
    },
    tell: ({ res, limits }, told) => {
      if (res.destroyed || res.writableEnded) return;
      if (res.writableLength > MAX_STREAM_BACKLOG) res.destroy();
      else backlog.write(res, told, most(limits));
    },
    watch: ({ res }) => {
      // The beats keep a reader's connection from being silent for so long.
      res.setTimeout(PATIENCE_MS, () => {
        if (res.writableLength > 0) res.destroy();
      });
    },
  };
}

const UNREAD =
  "RELAY_BUSY what others have not read leaves no room for this answer; it was executed";

const tokenOf = ({ caller }: Job): string => (caller.face === "data" ? caller.token.token : "");

const isBehind = (job: Job, other: Job): boolean =>
  other !== job && other.heldBytes > 0 && other.req.socket === job.req.socket;

/** Since when the other side has taken nothing, as far as anybody looked. */
function idleSinceMs(socket: Shared): number {
  const bytes = socket.bytesWritten - socket.writableLength;
  const last = socket[TAKEN];
  if (last?.bytes === bytes) return last.sinceMs;
  const sinceMs = performance.now();
  socket[TAKEN] = { bytes, sinceMs };
  return sinceMs;
}

const isStream = ({ target }: Job): boolean =>
  target.kind === "subscribe" || target.kind === "psubscribe";
