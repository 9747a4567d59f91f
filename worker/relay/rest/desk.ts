/**
 * Requests at work: how many there are, and how much is held for them.
 *
 * Promises: bodies that are half sent and answers that nobody reads are bounded, for one caller and for all
 * together; who keeps an answer unread for too long is ended.
 * Must never: look into a body.
 */
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { refuse, respond } from "./answer.ts";
import { createBacklog } from "./backlog.ts";
import type { Desk, Job } from "./job.ts";
import type { Limits } from "./policy.ts";

/** How long a large answer may lie unread without a byte of progress; and any, once there is no room. */
const PATIENCE_MS = 20_000;
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
type Shared = Socket & { [AT_ONCE]?: number };
/** Their answers wait for each other, and so for a reader who may be slow. */
const MAX_AT_ONCE = 16;

export function createDesk(): Desk {
  // No Set: one that is added to and deleted from all day keeps its dead alive until the next full collection.
  const atWork: Job[] = [];
  const backlog = createBacklog();
  let held = 0;

  function hold(job: Job, bytes: number): void {
    held += bytes - job.heldBytes;
    job.heldBytes = bytes;
  }

  function leave(this: WithJob): void {
    const job = this[JOB];
    const last = atWork.pop();
    if (job === undefined || last === undefined) return;
    if (last !== job) {
      last.slot = job.slot;
      atWork[last.slot] = last;
    }
    held -= job.heldBytes;
    if (isStream(job)) backlog.leave(job.res);
    const socket: Shared = job.req.socket;
    socket[AT_ONCE] = (socket[AT_ONCE] ?? 1) - 1;
  }

  /** By those who were answered long ago and never read it. */
  function makeRoom(): void {
    const now = performance.now();
    for (const { res, answeredAtMs } of atWork) {
      if (answeredAtMs !== null && now - answeredAtMs >= PATIENCE_MS) res.destroy();
    }
  }

  /** The oldest go first. */
  function letGo(down: number): void {
    const unread = atWork.filter(({ answeredAtMs, heldBytes }) => answeredAtMs && heldBytes > 0);
    unread.sort((one, other) => (one.answeredAtMs ?? 0) - (other.answeredAtMs ?? 0));
    let left = held;
    for (const { res, heldBytes } of unread) {
      if (left <= down) return;
      left -= heldBytes;
      res.destroy();
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
      if (!over && held <= most(limits)) return;
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
        makeRoom();
        return `${maxRequests} requests are at work, limits.max_requests`;
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
      const { res } = job;
      const bytes = respond(res, status, body, headers);
      job.answeredAtMs = performance.now();
      if (bytes < LARGE || res.destroyed) return;
      hold(job, bytes);
      res.setTimeout(PATIENCE_MS, () => res.destroy());
      if (held > most(job.limits)) letGo(most(job.limits) / 2);
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

const isStream = ({ target }: Job): boolean =>
  target.kind === "subscribe" || target.kind === "psubscribe";
