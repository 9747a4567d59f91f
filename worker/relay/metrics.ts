/**
 * What Prometheus is told of a relay. The names stand in docs/relay.md.
 *
 * Promises: every label has few values, all of them from the configuration or from the code; what every
 * request passes is a few additions (tally.ts), and turned into Prometheus's words when it asks.
 * Must never: take a label from what a caller sent.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { Count } from "../redis/session.ts";
import { createCounts, createTimes } from "./tally.ts";

export type Face = "rest" | "stream" | "route" | "look" | "verbs" | "operation" | "other";

export type Metrics = {
  readonly request: (face: Face, status: number, seconds: number) => void;
  /** For one node: hears of every run. */
  readonly commandsTo: (node: string) => Count;
  readonly verb: (verb: string, outcome: string) => void;
  readonly reload: (outcome: "done" | "refused") => void;
  readonly text: () => Promise<{ readonly type: string; readonly body: string }>;
};

/** What is asked for when Prometheus asks. */
type Usage = {
  readonly sockets: () => number;
  readonly bytes: () => { readonly received: number; readonly sent: number };
  readonly nodes: () => readonly {
    readonly node: string;
    readonly up: boolean;
    readonly connections: number;
    readonly waiting: number;
  }[];
};

type Sample = readonly [labels: Readonly<Record<string, string | number>>, value: number];

const PREFIX = "picket_relay_";

export function createMetrics(usage: Usage): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: PREFIX });
  const of = (name: string, help: string, labelNames: readonly string[]) => ({
    ...{ name: `${PREFIX}${name}`, help, labelNames: [...labelNames], registers: [registry] },
  });
  /** Both are filled anew each time: a node that was taken out is no longer spoken of. */
  const counted = (name: string, help: string, labels: string[], samples: () => Sample[]) =>
    new Counter({
      ...of(name, help, labels),
      collect() {
        this.reset();
        for (const [each, value] of samples()) this.inc(each, value);
      },
    });
  const measured = (name: string, help: string, labels: string[], samples: () => Sample[]) =>
    new Gauge({
      ...of(name, help, labels),
      collect() {
        this.reset();
        for (const [each, value] of samples()) this.set(each, value);
      },
    });

  const requests = createCounts<Face, number>();
  const times = createTimes<Face>();
  const commands = createCounts<string, string>();
  const verbs = new Counter(of("verbs_total", "Verbs, by outcome", ["verb", "outcome"]));
  const reloads = new Counter(of("reloads_total", "Configurations read again", ["outcome"]));

  counted("requests_total", "HTTP answers", ["face", "status"], () =>
    requests.all().map(([face, status, count]) => [{ face, status }, count]),
  );
  // prom-client's own histogram cannot be given its counts.
  registry.registerMetric(
    times.metric(
      `${PREFIX}request_seconds`,
      "From a request's headers to its answer's end",
      "face",
    ),
  );
  counted("commands_total", "Commands of apps, by what came of them", ["node", "outcome"], () =>
    commands.all().map(([node, outcome, count]) => [{ node, outcome }, count]),
  );
  measured("node_up", "1: the node answered lately", ["node"], () =>
    usage.nodes().map(({ node, up }) => [{ node }, up ? 1 : 0]),
  );
  measured("redis_connections", "Connections to a node", ["node"], () =>
    usage.nodes().map(({ node, connections }) => [{ node }, connections]),
  );
  measured("redis_waiting", "Requests that wait for a connection of their own", ["node"], () =>
    usage.nodes().map(({ node, waiting }) => [{ node }, waiting]),
  );
  measured("http_connections", "Open HTTP connections", [], () => [[{}, usage.sockets()]]);
  counted("http_bytes_total", "Bytes on HTTP connections", ["direction"], () =>
    Object.entries(usage.bytes())
      .filter(([direction]) => direction === "received" || direction === "sent")
      .map(([direction, count]) => [{ direction }, count]),
  );

  return {
    request: (face, status, seconds) => {
      requests.add(face, status, 1);
      times.add(face, seconds);
    },
    commandsTo: (node) => (count, answer) =>
      commands.add(node, answer.kind === "replies" ? "answered" : answer.class, count),
    verb: (verb, outcome) => verbs.inc({ verb, outcome }),
    reload: (outcome) => reloads.inc({ outcome }),
    text: async () => ({ type: registry.contentType, body: await registry.metrics() }),
  };
}
