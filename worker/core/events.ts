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
  "+pause", // nothing is done by itself until it ends
  "-pause",
  "+downtime", // one node is left alone until it ends
  "-downtime",
  "+acknowledge", // the cooldown is lifted, the count of failovers begins anew
  "+reset-master", // what was believed is forgotten, an attempt that may end is ended
  "+drill", // the host dies on purpose at the next point that was named
  "+node-renamed", // the primary's address stands under another name: it goes on under that
  "+node-unknown", // it says that it is a primary, holds data, and was never one of the group: left alone
  "-node-unknown",
  "+node-kept", // the primary was removed from the configuration: kept until another one is primary
  "+raise-epoch", // a relay holds a higher epoch than was ever begun: the same primary goes on above it
  // health
  "+sdown", // one vantage believes that a node is down
  "-sdown",
  "+odown", // enough vantages agree that the primary is down
  "-odown",
  "+reboot", // a node answers under another run id
  "+fault", // a class that is no death: policy, auth, tls, dns, a script, a relay that nobody reaches
  "-fault",
  "+vantage-fault", // a vantage does not answer: an observer fails, which says nothing of a node
  "-vantage-fault",
  "+misplaced", // a vantage runs elsewhere than where it was asked for
  "-misplaced",
  "+discovered", // the primary has replicas that are not configured
  "-discovered",
  "+unavailable", // active-active: no node is healthy; permanent after all attempts
  "-unavailable",
  "+pinned", // active-active: nothing but a person's word moves it until then
  "-pinned",
  "+node-added", // active-active, at run time
  "-node-removed",
  "+weight",
  "+link-down", // a replica lost its primary while the primary is up: it falls behind
  "-link-down",
  "+unreachable", // the primary is down for the vantages, and a replica still hears from it: no failover
  "-unreachable",
  "+several-primaries",
  "-several-primaries",
  "+no-primary", // every node answers and none is a primary
  "-no-primary",
  "+cycle", // nodes that follow each other
  "-cycle",
  "+wiped", // the primary came back with its data gone, and a replica still has it
  "+script-kill",
  "+outage", // no node of the group is up
  "-outage",
  // failover
  "+held", // a failover is due and does not begin, and why
  "-held",
  "+would-failover", // observing only: what would be done
  "+brake-unknown", // the Fleet did not answer in time: granted
  "-failover-abort-brake", // too many failovers in all groups together
  "-failover-abort-paused",
  "-failover-abort-observing", // a deploy made the group one that is only observed
  "-failover-abort-not-sealed", // a planned one: the primary could not be sealed, and is not forced
  "+switchover", // the primary was told to hand over
  "-switchover-aborted", // it stays, and takes writes
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
  "+role-change", // the primary says that it is a replica, and was not restarted
  "+failover-detected", // somebody else switched: adopted as the next epoch
  "+lost-writes", // what the old primary holds and the group does not
  // publishing
  "+route", // (epoch, rev) changed
  "+published",
  "-publish-failed",
  "+drift", // a destination holds something else than was published: set right, or only told
  "-drift",
  "-webhook-failed", // no webhook is told of these two
  "-webhook-gave-up", // a notice that was never taken
] as const;

export type EventName = (typeof eventNames)[number];

/** What webhooks are told of: not of webhooks, or two that fail would tell of each other for ever. */
export const toldNames = eventNames.filter((name) => !name.startsWith("-webhook-"));

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
