/** What the counting Worker tells: of all groups together. */
export type Counted = {
  /** Of each tick: its start after the time that its alarm was set for. */
  readonly lateMs: readonly number[];
  /** Of each tick: from its start to its end, waiting included. */
  readonly tookMs: readonly number[];
  /** Requests to relays, and to whomever else. */
  readonly fetches: number;
  readonly alarmsSet: number;
  /** Without alarms, of which each is a row as well. */
  readonly rowsWritten: number;
};
