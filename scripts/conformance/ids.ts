/**
 * The scenarios that Picket answers for, by id, in its own words: what others test, promise, or went wrong at.
 *
 * Promises: an id is here once, and never changes its meaning. Tests carry ids at the head of their titles.
 * Must never: say how or whether something is tested: `notes.ts` and the tests do.
 */

export type Section = {
  readonly title: string;
  /** Where the scenarios come from. */
  readonly source: string;
  readonly rows: readonly Row[];
};

export type Row = { readonly id: string; readonly what: string };

/** One scenario a line: its id, two spaces, what it is. */
function section(title: string, source: string, lines: string): Section {
  const rows = lines
    .trim()
    .split("\n")
    .map((line) => {
      const [id = "", ...what] = line.trim().split("  ");
      return { id, what: what.join(" ").trim() };
    });
  return { title, source, rows };
}

export const sections: readonly Section[] = [
  section(
    "Sentinel",
    "Redis's own tests of Sentinel, tests/sentinel. A sentinel is a vantage here, or the Group; its commands are the API",
    `
    S00.0  the configuration written back is complete and in order
    S00.1  known commands work, anything else is unknown
    S00.2  HELP lists the commands
    S00.3  the identity of an instance is stable
    S00.4  INFO-CACHE: what a node last said, also when it is dead
    S00.5  PENDING-SCRIPTS: notifications that wait
    S00.6  lists of primaries, sentinels and replicas
    S00.7  SIMULATE-FAILURE lists its points
    S00.8  the primary is killed: everybody names another one
    S00.9  the new one says role:master
    S00.10  all other replicas follow it
    S00.11  the old primary is a replica when it returns
    S00.12  a quorum above the number of observers: never down, no failover
    S00.13  most observers away: no failover
    S00.14  a quorum of all observers: failover while all are there; roles match
    S00.15  RESET forgets replicas and sentinels
    S01.1  failover with one observer crashed
    S01.2  an observer that was away learns the state of the higher epoch
    S01.3  roles after that failover; log level at run time
    S02.1  replicas follow the primary, links up
    S02.2  after a crash and a failover they follow the new one, links up
    S02.3  a replica that was dead during the failover is repointed when it returns
    S03.1  a password changed at run time: who was told reconnects
    S03.2  access withdrawn on the primary: an observer without the new password loses it
    S03.3  quorum, down-after and others set at run time
    S03.4  bad values are rejected, and the old ones stay
    S03.5  a setting that cannot be: unknown, incomplete, not to be saved
    S04  no suitable replica: no failover; else the best offset. Sentinel's own file is empty: P1 to P14
    S05.1  failover by hand; a second call meanwhile: INPROG
    S05.2  roles after it: the new primary, replicas that follow, the old one demoted
    S05.3  crash after the election: another finishes
    S05.4  crash after the promotion: another finishes
    S06.1  CKQUORUM: OK, and how many observers are usable
    S06.2  CKQUORUM: the quorum cannot be reached
    S06.3  CKQUORUM: nobody could authorise, most observers are away
    S07.1  a hung primary is down; it goes on, and is up
    S07.2  a crashed primary is down; restarted it is up
    S07.3  a primary that says it is a replica is down; made a primary again it is up
    S07.4  MISCONF after a failed save is down; saving again it is up
    S07.5  PING renamed: down; renamed back: up
    S08  host names are announced as they are configured; back to addresses
    S09  observers that need a password for each other
    S10.1  replica-announced takes only yes and no
    S10.2  replicas that are not announced vanish from the list
    S11  an observer restarted at the same place is no second one
    S12.1  a primary rebooted at once that loads for too long: failover
    S12.2  roles after it: the new primary, replicas that follow, the old one demoted
    S13  INFO by section
    S14  timers changed for tests
    S15  settings at run time: several, patterns; one wrong value changes none
    `,
  ),
  section(
    "Selection",
    "what Sentinel does when it chooses a replica, and leaves untested; P12 from Patroni, P13 from orchestrator",
    `
    P1  lower priority beats the larger offset
    P2  equal priority: the larger offset
    P3  equal both: the smaller run id, whatever its case
    P4  a missing run id comes last
    P5  priority 0: never, however good the offset
    P6  a replica that is subjectively down: skipped
    P7  last good answer older than 5 s: skipped
    P8  INFO older than 5 s while the primary is down, 30 s otherwise: skipped
    P9  link down for longer than the primary, plus ten times down-after: skipped
    P10  none left: aborted with a reason for each; the route stays
    P11  the chosen one dies before it is promoted: given up by time, the next attempt takes another
    P12  further behind than the configured most: skipped
    P13  in a zone that is not allowed: skipped
    P14  still in its first synchronisation: skipped
    `,
  ),
  section(
    "redis_failover",
    "the specs of the Ruby library redis_failover",
    `
    F1  the primary dies: a replica is promoted, the old one is told unavailable
    F2  a replica dies: unavailable
    F3  a node that returns follows the primary of now
    F4  nothing changed: no command is sent
    F5  nobody is primary: one is promoted, and no replica is listed
    F6  a replica that synchronises: unavailable where stale reads are refused, else available
    F7  who is primary at the first start: none, several or unreachable is refused
    F8  several observers: a majority counts, a tie is available
    F9  observers that are required are away: nothing happens
    F10  a candidate that everybody sees, with the least latency
    F11  by hand: a target, any, a wrong one, the primary itself
    F12  clients: writes to the primary, reads to a replica
    F13  clients: commands that cannot be are refused
    F14  clients: a role that changed under them: rebuilt, and tried again
    F15  clients: the control plane is silent for long
    F16  who listens is told of real changes only
    F17  an operation that hangs is cut off
    `,
  ),
  section(
    "Clients with geographic failover",
    "the suites of redis-py, Jedis and Lettuce",
    `
    C1  the first choice is the heaviest healthy one
    C2  enough of all, most or any are healthy at the start, or it is refused
    C3  the active one is found unhealthy: the next, and the next, and none
    C4  a heavier one is back: returned to after the interval and its grace
    C5  returning is switched off: it stays
    C6  one that is back fails again within its grace: not returned to
    C7  several are back: the heaviest healthy one
    C8  the breaker: when so many and such a part of calls fail
    C9  failures of an earlier window do not count
    C10  only failures of the named kinds count
    C11  attempts within the delay count once
    C12  nobody is healthy: a passing error first, a lasting one after the last attempt
    C13  it recovers after the lasting one
    C14  added, removed and weighed at run time; the last one cannot go
    C15  one is named by hand: unhealthy or unknown ones are refused
    C16  pinned for a time
    C17  a command under way: completed, failed, repeated or not
    C18  a pipeline or transaction never spans two nodes
    C19  subscriptions move, and nothing comes from the old one
    C20  a switch is told with its reason, and only a real one
    C21  a health result that comes late is ignored
    C22  a host that does not resolve
    C23  a wrong password
    C24  a check that takes too long counts as unhealthy
    C25  lag-aware: behind for too long, no quorum, unknown to the server
    `,
  ),
  section(
    "redis-proxy",
    "what the proxy of that name does, and where it fails",
    `
    R1  one primary only, though two say so at the start
    R2  the choice by stored truth, not by who came first
    R3  all start as replicas: a primary is found
    R4  all down: a clear error, then it goes on
    R5  commands in upper and lower case are routed the same
    R6  a pipeline that begins with a read and holds a write goes to the primary
    R7  bytes split and joined anyhow, binary safe
    R8  INFO of a real server: run id and priority
    R9  existing replication is kept when it is sane
    `,
  ),
  section(
    "Planned switch",
    "Redis's own tests of FAILOVER, tests/integration/failover.tcl",
    `
    W1  no connected replica: an error
    W2  a host or port that is none: an error
    W3  sent to a replica: an error
    W4  to a named replica, and to any
    W5  forced after a timeout
    W6  the replica never catches up: timeout, given up, writes resumed on the old primary
    W7  given up by hand
    W8  the target rejects the synchronisation: given up
    W9  no acknowledged write is lost under load
    W10  the other replicas are repointed
    `,
  ),
  section(
    "Peers and issues",
    "orchestrator, Patroni, Respire, TILT, cloud load balancers, and issues of all of them",
    `
    G1  the primary is out of reach and its replicas still hear it: no failover, told as unreachable
    G2  one observer of three sees it down: no failover
    G3  blips shorter than the threshold, ten times: no failover
    G4  a second failure right after a failover: held by the cooldown; an acknowledgement lifts it
    G5  all stopped and started: the stored primary is restored, the others follow
    G6  the old primary returns with writes of its own: closed and demoted before any route to it
    G7  the primary restarts empty: nobody copies the emptiness
    G8  the controller restarts in any state of a failover: it finishes, or gives up cleanly
    G9  the clock jumps, an alarm comes late
    G10  a script blocks the primary for a minute: no failover by default
    G11  loading for longer than the limit: failover
    G12  wrong password, TLS, name: told by name, no failover
    G13  two primaries are seen: no blind change of route, settled by the epoch
    G14  nobody is primary: told, with a way out
    G15  replicas that follow each other: found and repaired
    G16  somebody else changes the roles: told, not fought
    G17  paused: nothing by itself; by hand it works; resumed, all is judged anew
    G18  KV or DNS fail in the middle: the promotion stands, publishing is tried again, drift is repaired
    G19  an edge app with an old route: READONLY, read again, never back to a lower epoch
    G20  an edge app that cannot read KV: the last good route
    G21  the relay of one node is away and others see the node: an observer failed, not the node
    G22  failovers of many groups at once: the brake
    G23  the addresses to probe, to replicate and to connect differ
    G24  min-replicas-to-write is missing: advice; set: the old primary stops within its lag
    G25  a webhook that fails: tried again, more slowly, without holding anything up
    G26  two nodes: the whole circle; without a replica it is told
    G27  the promoted one dies while the others are repointed: a new round at a higher epoch
    G28  a node now good, now bad: never eligible before a whole grace is clean
    `,
  ),
  section(
    "Faults",
    "our own catalogue of what breaks: all that breaks at a Redis, at its relay, or between them, and what else is tested under its number",
    `
    X1  the primary is killed, its machine is lost
    X2  the primary hangs
    X3  it hangs, is replaced, and wakes with clients at its address
    X4  the primary is slow, and answers
    X5  the primary is cut off from all others, with a client beside it
    X6  the controller cannot reach the primary, its replicas can
    X7  the replication links alone are down
    X8  the relay is down, hangs, answers 5xx or with a wrong TLS, has another token
    X16  the configuration changes in the middle of a failover
    X17  the old primary returns: empty, with newer data, at another address
    X18  the primary restarts empty, faster than anybody sees it gone
    X22  the answer to a promotion is lost
    X23  a script that has not written blocks the primary
    X24  a script that has written blocks the primary: nobody can end it
    X25  loading takes long
    X26  out of memory: no write is taken
    X27  MISCONF: snapshots fail
    X28  NOREPLICAS: the replicas are gone
    X29  the password or the rights are changed
    X30  writes are paused by somebody
    X31  a person makes the primary a replica
    X41  the primary answers again just as a failover was decided
    `,
  ),
];
