/**
 * Virtual time: what happens when. Things due at the same moment happen in the order they were planned.
 *
 * Promises: time never goes back; running does not wait for anything.
 */
export type Queue = {
  nowMs: number;
  seq: number;
  readonly heap: Entry[];
};

type Entry = { readonly atMs: number; readonly seq: number; readonly run: () => void };

export const newQueue = (): Queue => ({ nowMs: 0, seq: 0, heap: [] });

const before = (a: Entry, b: Entry) => a.atMs < b.atMs || (a.atMs === b.atMs && a.seq < b.seq);

export function after(queue: Queue, ms: number, run: () => void): void {
  at(queue, queue.nowMs + ms, run);
}

export function at(queue: Queue, atMs: number, run: () => void): void {
  const { heap } = queue;
  queue.seq += 1;
  const entry: Entry = { atMs: Math.max(queue.nowMs, Math.round(atMs)), seq: queue.seq, run };
  let place = heap.length;
  heap.push(entry);
  while (place > 0) {
    const parent = (place - 1) >> 1;
    const above = heap[parent] as Entry;
    if (before(above, entry)) break;
    heap[place] = above;
    place = parent;
  }
  heap[place] = entry;
}

/** Runs everything that is due by then. Returns how many things happened. */
export function runUntil(queue: Queue, untilMs: number): number {
  let happened = 0;
  for (;;) {
    const first = queue.heap[0];
    if (first === undefined || first.atMs > untilMs) break;
    removeFirst(queue.heap);
    queue.nowMs = first.atMs;
    first.run();
    happened += 1;
  }
  queue.nowMs = untilMs;
  return happened;
}

function removeFirst(heap: Entry[]): void {
  const last = heap.pop() as Entry;
  const size = heap.length;
  if (size === 0) return;
  let place = 0;
  for (;;) {
    let child = 2 * place + 1;
    if (child >= size) break;
    if (child + 1 < size && before(heap[child + 1] as Entry, heap[child] as Entry)) child += 1;
    const below = heap[child] as Entry;
    if (before(last, below)) break;
    heap[place] = below;
    place = child;
  }
  heap[place] = last;
}
