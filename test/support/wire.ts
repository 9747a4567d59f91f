/**
 * The way from a relay to a redis-server, as a test wants it: slow, silent, or losing one answer.
 *
 * Promises: whatever is not broken passes as it is; what was held passes when it is let go, in order.
 */
import { Transform } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { openLink } from "../../scripts/demo/link.ts";

export type Wire = Awaited<ReturnType<typeof openWire>>;

export async function openWire() {
  let delayMs = 0;
  let held: PromiseWithResolvers<void> | null = null;
  let losing: string | null = null;

  /** True: it is to be lost, with its connection. */
  const isLost = async (answer: Buffer): Promise<boolean> => {
    if (delayMs > 0) await pause(delayMs);
    await held?.promise;
    if (losing === null || !answer.includes(losing)) return false;
    losing = null;
    return true;
  };
  const back = () =>
    new Transform({
      transform(answer: Buffer, _, done) {
        void isLost(answer).then((lost) => (lost ? done(new Error("lost")) : done(null, answer)));
      },
    });
  const link = await openLink("127.0.0.1", back);
  return {
    ...link,
    /** Every answer comes so much later; 0: as it is. */
    slow: (ms: number) => {
      delayMs = ms;
    },
    /** No answer passes, and nothing is closed. */
    hold: () => {
      held ??= Promise.withResolvers();
    },
    release: () => {
      held?.resolve();
      held = null;
    },
    /** The first answer that holds this word is lost; what was asked is done. */
    lose: (word: string) => {
      losing = word;
    },
    hasLost: () => losing === null,
  };
}
