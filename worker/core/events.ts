/**
 * What is told: every event has a name, signed as Sentinel signs them, and one sentence.
 *
 * Promises: the same name in the log, the API, webhooks and tests; Sentinel's own where it has one.
 * Must never: carry a secret.
 */
export const eventNames = [
  // membership and control
  "+monitor", // a primary was adopted or bootstrapped: the group is watched
  "+tilt", // the clock went back: passive
  "-tilt",
  // health
  "+sdown", // one vantage believes that a node is down
  "-sdown",
  "+odown", // enough vantages agree that the primary is down
  "-odown",
  "+reboot", // a node answers under another run id
  "+outage", // no node of the group is up
  "-outage",
  // failover
  "+new-epoch",
  "+try-failover",
  "+sealed", // the old primary confirmed that it takes no writes
  "-sealed", // it could not be sealed, and why; the failover goes on
  "+failover-state-select-slave",
  "-failover-abort-no-good-slave",
  "-failover-abort-not-elected", // too few vantages answered to be sure
  "-failover-abort-primary-up", // the primary answered again before anything was promoted
  "+selected-slave",
  "+failover-state-send-slaveof-noone",
  "-failover-abort-slave-timeout", // the promotion was never seen
  "+promoted-slave",
  "+switch-master",
  "+failover-state-reconf-slaves",
  "+slave-reconf-sent",
  "+slave-reconf-done",
  "+failover-end",
  "+failover-end-for-timeout",
  // repair
  "+convert-to-slave", // a node that is not the primary said it is one: sealed, then demoted
  "+fix-slave-config", // a replica followed somebody else
  "+restore-primary", // the stored primary came back as a replica after a restart: promoted again
  "+unseal", // the primary in force was found sealed
  "+role-change", // the primary says that it is a replica, and was not restarted: reported only
  // publishing
  "+route", // (epoch, rev) changed
  "+published",
  "-publish-failed",
] as const;

export type EventName = (typeof eventNames)[number];

export type GroupEvent = {
  readonly atMs: number;
  readonly name: EventName;
  readonly epoch: number;
  readonly node: string | null;
  /** One sentence for people. */
  readonly text: string;
  /** The evidence, for machines. */
  readonly data: Readonly<Record<string, unknown>>;
};
