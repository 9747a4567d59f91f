/**
 * What Prometheus is told of a relay. The names stand in docs/relay.md.
 *
 * Promises: every label has few values, all of them from the configuration or from the code; nothing here
 * costs a request more than a few additions.
 * Must never: take a label from what a caller sent.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Count } from "../redis/session.ts";

export type Face = "rest" | "stream" | "route" | "verbs" | "operation" | "other";

export type Metrics = {
  readonly request: (face: Face, status: number, seconds: number) => void;
  /** For one node: hears of every run. */
  readonly commandsTo: (node: string) => Count;
  readonly verb: (verb: string, outcome: string) => void;
  readonly reload: (outcome: "done" | "refused") => void;
  readonly text: () => Promise<{ readonly type: string; readonly body: string }>;
};

/** What is asked for when Prometheus asks. */
export type Usage = {
  readonly sockets: () => number;
  readonly bytes: () => { readonly received: number; readonly sent: number };
  readonly nodes: () => readonly {
    readonly node: string;
    readonly up: boolean;
    readonly connections: number;
    readonly waiting: number;
  }[];
};

/** From half a millisecond to the longest wait that a request may ask for, roughly doubled. */
const SECONDS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

export function createMetrics(usage: Usage): Metrics {
  const registers = [new Registry()];
  const [registry] = registers;
  if (registry === undefined) throw new Error("there is no registry");
  collectDefaultMetrics({ register: registry, prefix: "picket_relay_" });
  const of = (name: string, help: string, ...labelNames: string[]) => ({
    ...{ name: `picket_relay_${name}`, help, labelNames, registers },
  });

  const requests = new Counter(of("requests_total", "HTTP answers", "face", "status"));
  const seconds = new Histogram({
    ...of("request_seconds", "From a request's headers to its answer's end", "face"),
    buckets: SECONDS,
  });
  const secondsOf = remembered((face) => seconds.labels(face));
  const requestsOf = remembered((face, status) => requests.labels(face, status ?? ""));
  const commands = new Counter(
    of("commands_total", "Redis commands of apps, by what became of them", "node", "outcome"),
  );
  const verbs = new Counter(of("verbs_total", "Verbs, by outcome", "verb", "outcome"));
  const reloads = new Counter(of("reloads_total", "Configurations read again", "outcome"));
  gauge("node_up", "1: the node answered lately", "node", (set) => {
    for (const { node, up } of usage.nodes()) set(node, up ? 1 : 0);
  });
  gauge("redis_connections", "Connections to a node", "node", (set) => {
    for (const { node, connections } of usage.nodes()) set(node, connections);
  });
  gauge("redis_waiting", "Requests that wait for a connection of their own", "node", (set) => {
    for (const { node, waiting } of usage.nodes()) set(node, waiting);
  });
  gauge("http_connections", "Open HTTP connections", null, (set) => set(null, usage.sockets()));
  const bytes = new Counter({
    ...of("http_bytes_total", "Bytes on HTTP connections", "direction"),
    collect() {
      const { received, sent } = usage.bytes();
      this.reset();
      this.inc({ direction: "received" }, received);
      this.inc({ direction: "sent" }, sent);
    },
  });
  void bytes;

  function gauge(
    name: string,
    help: string,
    label: string | null,
    fill: (set: (value: string | null, count: number) => void) => void,
  ): void {
    new Gauge({
      ...of(name, help, ...(label === null ? [] : [label])),
      collect() {
        // A node that was taken out of the configuration is no longer spoken of.
        this.reset();
        fill((value, count) =>
          label === null || value === null ? this.set(count) : this.set({ [label]: value }, count),
        );
      },
    });
  }

  return {
    request: (face, status, took) => {
      requestsOf(face, String(status)).inc();
      secondsOf(face).observe(took);
    },
    commandsTo: (node) => {
      const outcomes = remembered((outcome) => commands.labels(node, outcome));
      return (count, answer) =>
        outcomes(answer.kind === "replies" ? "answered" : answer.class).inc(count);
    },
    verb: (verb, outcome) => verbs.inc({ verb, outcome }),
    reload: (outcome) => reloads.inc({ outcome }),
    text: async () => ({ type: registry.contentType, body: await registry.metrics() }),
  };
}

/** Found by a string or two without hashing an object of labels: this is in the way of every request. */
function remembered<T>(make: (first: string, second?: string) => T) {
  const known = new Map<string, T>();
  return (first: string, second?: string): T => {
    const key = second === undefined ? first : `${first} ${second}`;
    let found = known.get(key);
    if (found === undefined) {
      found = make(first, second);
      known.set(key, found);
    }
    return found;
  };
}
