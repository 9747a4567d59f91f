/**
 * The errors of geographic failover, named as redis-py names them.
 *
 * Must never: hold a command, an argument or a token.
 */

/** Nobody is healthy by now; it is tried again, for `failoverAttempts` times `failoverDelayMs` in all. */
export class TemporaryUnavailableError extends Error {
  /** When the next attempt is counted, at the earliest. */
  readonly retryAfterMs: number;
  constructor(retryAfterMs: number) {
    super("Picket: no database is healthy at the moment: try again later");
    this.name = "TemporaryUnavailableError";
    this.retryAfterMs = retryAfterMs;
  }
}

/** Nobody was healthy over all attempts. The client goes on looking: a database that recovers is used. */
export class NoValidDatabaseError extends Error {
  constructor(message = "Picket: no database is healthy, and none was for all attempts") {
    super(message);
    this.name = "NoValidDatabaseError";
  }
}

/** That one is not healthy: it was not made the active one, or not added. */
export class UnhealthyDatabaseError extends NoValidDatabaseError {
  readonly database: string;
  constructor(database: string) {
    super(`Picket: database ${database} is not healthy`);
    this.name = "UnhealthyDatabaseError";
    this.database = database;
  }
}

/** At the first command fewer databases were healthy than `initialHealthCheckPolicy` asks for. */
export class InitialHealthCheckFailedError extends Error {
  readonly unhealthy: readonly string[];
  constructor(policy: string, unhealthy: readonly string[], all: number) {
    const which = unhealthy.length === 0 ? "" : `: ${unhealthy.join(", ")}`;
    super(
      `Picket: ${unhealthy.length} of ${all} databases not healthy${which}; wanted is ${policy}`,
    );
    this.name = "InitialHealthCheckFailedError";
    this.unhealthy = unhealthy;
  }
}

/** The group's route is of mode "replication": one node takes writes, and `connect()` follows it. */
export class WrongModeError extends Error {
  readonly group: string;
  constructor(group: string) {
    super(`Picket: group ${group} is not active-active: use connect()`);
    this.name = "WrongModeError";
    this.group = group;
  }
}
