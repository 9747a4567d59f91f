/**
 * Whether each node answers this relay: for /readyz, /metrics and the log. No vote: that is the Group's to
 * count, from looks of its own.
 *
 * Promises: every node is asked each second, by DBSIZE, on the connection for looks; a change is told once.
 * Must never: judge. A node that says LOADING is alive, and yet serves nothing.
 */
import type { Answer } from "../redis/connection.ts";
import type { Log } from "./log.ts";
import type { RelayNode } from "./verbs/hands.ts";

export type Health = {
  /** Node ids with "up", or why not. */
  readonly states: () => ReadonlyMap<string, string>;
  readonly close: () => void;
};

const EVERY_MS = 1000;
/** An answer older than this says nothing about now. */
const LATELY_MS = 5000;
const ASK = [["DBSIZE"]];

type Seen = { state: string; answeredAtMs: number; asked: boolean };

export function watchHealth(
  nodes: () => ReadonlyMap<string, RelayNode>,
  deadlineMs: () => number,
  log: Log,
): Health {
  const seen = new Map<string, Seen>();

  async function look(node: RelayNode): Promise<void> {
    const last = seen.get(node.id) ?? { state: "not asked yet", answeredAtMs: 0, asked: false };
    seen.set(node.id, last);
    if (last.asked) return;
    last.asked = true;
    const answer = await node.control.run(ASK, { deadlineMs: deadlineMs(), repeatable: true });
    last.asked = false;
    // Meanwhile the configuration may have put another in its place.
    if (nodes().get(node.id) !== node) return;
    const state = stateOf(answer);
    if (state !== last.state) {
      const detail =
        answer.kind === "failure" ? { class: state, detail: answer.detail } : { state };
      log(state === "up" ? "node-up" : "node-down", { node: node.id, ...detail });
    }
    last.state = state;
    if (state === "up") last.answeredAtMs = performance.now();
  }

  function round(): void {
    const now = nodes();
    for (const id of seen.keys()) if (!now.has(id)) seen.delete(id);
    for (const node of now.values()) void look(node);
  }

  const timer = setInterval(round, EVERY_MS);
  round();
  return {
    states: () => {
      const stale = performance.now() - LATELY_MS;
      return new Map(
        [...nodes().keys()].map((id) => {
          const { state, answeredAtMs } = seen.get(id) ?? {
            state: "not asked yet",
            answeredAtMs: 0,
          };
          return [id, state === "up" && answeredAtMs < stale ? "silent" : state] as const;
        }),
      );
    },
    close: () => clearInterval(timer),
  };
}

function stateOf(answer: Answer): string {
  if (answer.kind === "failure") return answer.class;
  const [said] = answer.replies;
  // Any other error is an answer: this Redis lives, and its user may not be allowed to ask.
  return said instanceof Error && said.message.startsWith("LOADING") ? "loading" : "up";
}
