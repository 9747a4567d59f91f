/**
 * What is counted, in the words of an invoice.
 *
 * Promises: only data; the counting Worker and the programs that read its counts load it.
 */

/** Of one handler: `Group.alarm`, `Fleet.keep`, `door.fetch`, … */
export type Tally = {
  calls: number;
  /** Wall time that it kept its objects active for. */
  activeMs: number;
  alarmsSet: number;
  alarmsDeleted: number;
  subrequests: number;
  kvReads: number;
  kvWrites: number;
  logs: number;
};

export const nothing = (): Tally => ({
  calls: 0,
  activeMs: 0,
  alarmsSet: 0,
  alarmsDeleted: 0,
  subrequests: 0,
  kvReads: 0,
  kvWrites: 0,
  logs: 0,
});

export type Rows = { readonly read: number; readonly written: number };

export type Counts = {
  readonly handlers: Readonly<Record<string, Readonly<Tally>>>;
  /** By class and statement: `Group: INSERT OR REPLACE INTO state`. */
  readonly rows: Readonly<Record<string, Rows>>;
};

/** What is run and counted. `ticks`: a look each second; `quiet`: left to cron and relays; `scheduled`: cron alone. */
export type Case = {
  readonly fencing: "none" | "sealed" | "lease";
  readonly mode: "ticks" | "quiet" | "scheduled";
  /** How many places look, beside the Group. */
  readonly regions: number;
};

/** What came of it within so many milliseconds, with so many crons among them. */
export type Counted = Case &
  Counts & {
    readonly ms: number;
    readonly crons: number;
    /** Of the machine in the last minute: where much else ran, `activeMs` is too high. */
    readonly load: number;
    /** Of the whole runtime, Durable Objects and all; 0: not known. */
    readonly cpuMs: number;
    readonly leaseMs: number;
    readonly nodes: number;
  };
