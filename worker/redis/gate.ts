/**
 * What everyone on the way to one Redis has to know of what this process itself is doing to it: when to wait,
 * and which drops and silences are its own work and no fault of the node.
 *
 * Promises: opens again when the work ends, however it ends.
 * Must never: hide a refusal or an answer; only silence and drops can be excused.
 */
import { type Answer, failure } from "./connection.ts";

export type Gate = {
  /** Null while it is open; else settles when it may have opened: ask again. */
  readonly closed: () => Promise<unknown> | null;
  /** Commands wait while `work` runs, and start on new connections. `reason`: why the old ones may drop. */
  readonly holdDuring: (work: Promise<unknown>, reason: string) => void;
  /** For so long, silence and drops are told as `busy` with this reason. 0 ends it. */
  readonly excuseFor: (ms: number, reason: string) => void;
  readonly excused: (answer: Answer) => Answer;
  /** Called at the start of every hold: connections of before are not to be used again. */
  readonly onHold: (retire: (reason: string) => void) => void;
};

export function createGate(): Gate {
  let held: Promise<unknown> | null = null;
  let excuse = { until: 0, reason: "" };
  const retirers: ((reason: string) => void)[] = [];

  return {
    closed: () => held,
    holdDuring: (work, reason) => {
      for (const retire of retirers) retire(reason);
      const now: Promise<void> = work.then(ended, ended);
      held = now;
      function ended(): void {
        if (held === now) held = null;
      }
    },
    excuseFor: (ms, reason) => {
      excuse = { until: performance.now() + ms, reason };
    },
    excused: (answer) => {
      if (answer.kind !== "failure" || excuse.until === 0) return answer;
      if (answer.class !== "timeout" && answer.class !== "closed") return answer;
      if (performance.now() >= excuse.until) return answer;
      return { ...answer, class: "busy", detail: excuse.reason };
    },
    onHold: (retire) => retirers.push(retire),
  };
}

/** For a command that was held for as long as it may be. */
export const heldBackFor = (ms: number): Answer =>
  failure("busy", false, `held back for ${Math.round(ms)} ms by a change of this node`);
