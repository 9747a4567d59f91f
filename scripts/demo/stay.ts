/**
 * After the round: the demo stays up, says how to look at it, and goes on telling what happens.
 *
 * Promises: a redis-server that somebody kills is started again after a few seconds, as a supervisor would.
 * Must never: end by itself.
 */
import { setTimeout as pause } from "node:timers/promises";
import { grouped, type Screen } from "./screen.ts";
import { type Demo, edgeHost } from "./set-up.ts";
import { group, hostname, tokens } from "./stack.ts";
import { eventsAfter, followEvents, routeNow } from "./watch.ts";

const restartAfterMs = 5000;

export async function stay(demo: Demo, screen: Screen, signal: AbortSignal): Promise<void> {
  const { stack } = demo;
  const route = await routeNow(stack);
  showHints(demo, screen, stack.redis[route?.primary?.id ?? ""]?.pid ?? -1);
  const lastSeq = (await eventsAfter(stack, 0)).at(-1)?.seq ?? 0;
  const clock = () => new Date().toTimeString().slice(0, 8);
  const tell = (name: string, text: string) =>
    screen.line(`  ${screen.paint("dim", clock())}  ${name.padEnd(14)} ${text}`);
  await Promise.all([
    followEvents(stack, lastSeq, ({ name, text }) => tell(name, text), { everyMs: 200, signal }),
    restartTheDead(demo, tell, signal),
    showProgress(demo, screen, signal),
  ]);
}

function showHints({ stack }: Demo, { line, paint }: Screen, primaryPid: number): void {
  const { origin } = stack.url;
  const auth = (token: string) => `-H 'authorization: Bearer ${token}'`;
  const hint = (what: string, command: string) =>
    line(`  ${paint("dim", `# ${what}`)}\n  ${command}`);
  line();
  line(paint("bold", "Try it yourself"));
  hint("what Picket says, in full", `curl -s ${auth(tokens.read)} ${origin}/v1/groups/${group}`);
  hint("its log", `curl -s ${auth(tokens.read)} ${origin}/v1/groups/${group}/events`);
  hint("the name", `dig +noall +answer @127.0.0.1 -p ${stack.cloudflare.dnsPort} ${hostname}`);
  hint("the edge app", `curl -s -H 'host: ${edgeHost}' ${origin}/`);
  const to = `-X POST ${auth(tokens.operate)} -H 'content-type: application/json' -d '{}'`;
  hint("move the primary by hand", `curl -s ${to} ${origin}/v1/groups/${group}/failover`);
  const back = `it is started again after ${restartAfterMs / 1000} s`;
  hint(`kill the primary; ${back}`, `kill -9 ${primaryPid}`);
  line();
  line(`  read token ${tokens.read}   operators' token ${tokens.operate}`);
  line(`  ${paint("bold", "Ctrl-C")} ends it and leaves nothing behind.`);
  line();
}

async function restartTheDead(
  { stack }: Demo,
  tell: (name: string, text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  await Promise.all(
    stack.ids.map(async (id) => {
      const redis = stack.redis[id];
      while (redis !== undefined && (await waited(500, signal))) {
        if (runs(redis.pid)) continue;
        tell("demo", `redis-server ${id} is gone`);
        if (!(await waited(restartAfterMs, signal))) return;
        const started = await redis.start().then(
          () => true,
          () => false,
        );
        if (started) tell("demo", `redis-server ${id} started again, pid ${redis.pid}`);
      }
    }),
  );
}

async function showProgress(demo: Demo, screen: Screen, signal: AbortSignal): Promise<void> {
  do screen.progress(steady(demo));
  while (await waited(500, signal));
}

/** How the writing goes, in a line. */
export const steady = ({ writer }: Demo): string =>
  `  writing ${String(writer.rate()).padStart(3)}/s   acknowledged ${grouped(writer.acked.size)}`;

/** False when the signal came. */
const waited = (ms: number, signal: AbortSignal) => pause(ms, true, { signal }).catch(() => false);

function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
