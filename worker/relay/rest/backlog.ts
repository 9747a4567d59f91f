/**
 * What streams were told and have not read yet.
 *
 * Promises: a message is kept once, for however many streams; all of them together are bounded: beyond that,
 * those that are furthest behind are ended.
 * Must never: wait for a reader.
 */
import type { ServerResponse } from "node:http";

/** One event, as it goes out to everybody who hears it. */
export type Told = { readonly bytes: Buffer; readonly unread: Set<ServerResponse> };

export const toldOf = (text: string): Told => ({ bytes: Buffer.from(text), unread: new Set() });

export function createBacklog() {
  /** The oldest first. */
  const kept = new Set<Told>();
  let held = 0;

  function drop(told: Told, res: ServerResponse): void {
    if (!told.unread.delete(res) || told.unread.size > 0) return;
    kept.delete(told);
    held -= told.bytes.length;
  }

  function leave(res: ServerResponse): void {
    for (const told of kept) drop(told, res);
  }

  function end(res: ServerResponse): void {
    leave(res);
    res.destroy();
  }

  return {
    write: (res: ServerResponse, told: Told, mostBytes: number): void => {
      if (told.unread.size === 0) {
        kept.add(told);
        held += told.bytes.length;
      }
      told.unread.add(res);
      res.write(told.bytes, () => drop(told, res));
      for (const oldest of kept) {
        if (held <= mostBytes) return;
        for (const each of [...oldest.unread]) end(each);
      }
    },
    leave,
  };
}
