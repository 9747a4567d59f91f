/**
 * Subscriptions as server-sent events: `data: message,<channel>,<payload>`.
 *
 * Promises: the caller's end is the subscription's end, and the other way round; a connection to Redis that is
 * lost is sought again for a while, at the node that the configuration has by then, and another `subscribe`
 * line tells that there was a gap.
 * Must never: tell anything to a token that is not valid any more; let a caller who does not read hold more than a bounded piece of memory.
 */
import type { Message, Subscription, Topics } from "../../redis/ears.ts";
import { type Told, toldOf } from "./backlog.ts";
import { type Desk, headersOf, type Job, lose, say } from "./job.ts";
import type { RestNode } from "./node.ts";

/** Proxies close what is silent for a minute. */
const BEAT_MS = 15_000;
const SEEK_AGAIN_MS = 250;
const SEEK_FOR_MS = 10_000;

/** How things stand by now; asked again as long as the stream is open. */
export type Now = {
  /** Whether the token still opens it: asked at each message and each beat. */
  readonly may: () => boolean;
  /** Asked when the subscription ended. */
  readonly nodeNow: () => RestNode | undefined;
  /** Aborts when the relay ends. */
  readonly ending: AbortSignal | undefined;
};

export async function stream(
  job: Job,
  desk: Desk,
  topics: Topics,
  { may, nodeNow, ending }: Now,
): Promise<void> {
  const { res, nodeTimeoutMs: deadlineMs } = job;
  const gone = new AbortController();
  const leave = () => gone.abort();
  res.once("close", leave);
  // What is written to a caller who has just left.
  res.on("error", leave);
  ending?.addEventListener("abort", leave, { once: true });
  const { signal } = gone;
  let { node } = job;
  const open = () =>
    node.pool.subscribe(topics, (message) => tell(lineOf(message)), { deadlineMs, signal });
  /** Where the node is by now, and the same one only after a while. Null: it is not to be had. */
  async function seek(): Promise<Subscription | null> {
    const until = performance.now() + SEEK_FOR_MS;
    while (!signal.aborted && performance.now() < until) {
      const now = nodeNow();
      if (now === undefined) return null;
      if (now === node) await pause(SEEK_AGAIN_MS, signal);
      node = now;
      const subscription = await open();
      if (subscription.kind === "subscribed") return subscription;
    }
    return null;
  }
  let opened = false;
  // What is published before the caller was told that it listens comes after that.
  const early: Told[] = [];
  function tell(told: Told): void {
    if (!opened) early.push(told);
    else if (!may()) leave();
    else desk.tell(job, told);
  }

  let beat: NodeJS.Timeout | undefined;
  try {
    let subscription: Subscription | null = await open();
    if (signal.aborted) return;
    if (subscription.kind !== "subscribed") return fail(job, subscription);
    res.writeHead(200, [
      ...["content-type", "text/event-stream", "cache-control", "no-cache"],
      ...["x-accel-buffering", "no"],
      ...headersOf(job),
    ]);
    res.socket?.setNoDelay(true);
    beat = setInterval(() => tell(toldOf(": beat\n\n")), BEAT_MS);
    desk.watch(job);
    while (subscription?.kind === "subscribed" && may()) {
      opened = true;
      res.write(greeting(topics));
      for (const told of early.splice(0)) desk.tell(job, told);
      await subscription.ended;
      opened = false;
      subscription = await seek();
    }
  } finally {
    clearInterval(beat);
    res.off("close", leave);
    ending?.removeEventListener("abort", leave);
    gone.abort();
    res.end();
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}

function fail(job: Job, word: Exclude<Subscription, { kind: "subscribed" }>): void {
  if (word.kind === "said") return say(job, 400, word.error.message);
  // A subscription that did not come about has done nothing.
  lose(job, { ...word, dispatched: false });
}

const greeting = ({ kind, names }: Topics): string =>
  names
    .map((name, index) => {
      const verb = kind === "channels" ? "subscribe" : "psubscribe";
      return event(`${verb},${name},${index + 1}`);
    })
    .join("");

/** Whoever hears a message is handed the same payload: it is written once for all of them. */
const written = new WeakMap<Buffer, Told>();

function lineOf({ pattern, channel, payload }: Message): Told {
  const found = written.get(payload);
  if (found !== undefined) return found;
  const head = pattern === null ? "message" : `pmessage,${pattern}`;
  const told = toldOf(
    event(`${head},${oneLine(channel.toString())},${quoted(payload.toString())}`),
  );
  written.set(payload, told);
  return told;
}

const BREAK = /[\r\n]/;

/** The client takes every line for an event of its own: a payload of two could forge a message. */
const quoted = (text: string): string => (BREAK.test(text) ? JSON.stringify(text) : text);

/** Only a pattern hears of such a channel. */
const oneLine = (text: string): string =>
  BREAK.test(text) ? JSON.stringify(text).slice(1, -1) : text;

/** `data` is one line. */
const event = (data: string): string => `data: ${data}\n\n`;
