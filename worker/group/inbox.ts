/**
 * Who waits for the Group: operators for a reply, others for the next look.
 *
 * Promises: everyone is answered, at the latest after `ASK_MS`; an answer that is not the reply says whether
 * what was asked for may have been done. Must never: decide anything.
 */
import type { OperatorRequest, Reply } from "../core/state.ts";
import type { Answer } from "../env.ts";

/** Whoever asks for something waits for at most so long. */
const ASK_MS = 30_000;

export type WhyNot = Exclude<Answer<never>, { kind: "told" }>;

type Asked = {
  readonly request: OperatorRequest;
  readonly answer: (answer: Answer<Reply>) => void;
};
type Decided = Asked & { readonly reply: Reply };

export const unavailable = (detail: string): WhyNot => ({ kind: "unavailable", detail });

const NOT_DONE = "nothing was done";
const NOT_KNOWN = "whether it was done is not known";

export function createInbox() {
  let waiting: readonly Asked[] = [];
  /** Decided and saved, not answered yet. */
  let decided: readonly Decided[] = [];
  let lookers: readonly (() => void)[] = [];

  return {
    ask: (request: OperatorRequest): Promise<Answer<Reply>> =>
      new Promise((resolve) => {
        const answer = (given: Answer<Reply>) => {
          clearTimeout(timer);
          resolve(given);
        };
        const asked = { request, answer };
        const timer = setTimeout(() => {
          const fate = waiting.includes(asked) ? NOT_DONE : NOT_KNOWN;
          waiting = waiting.filter((each) => each !== asked);
          answer(unavailable(`the group did not answer in time; ${fate}`));
        }, ASK_MS);
        waiting = [...waiting, asked];
      }),

    nextLook: (): Promise<void> =>
      new Promise((resolve) => {
        lookers = [...lookers, resolve];
      }),

    /** Those that nobody decided on. They stay until `decided` says that a decision was saved. */
    requests: (): readonly OperatorRequest[] => waiting.map(({ request }) => request),

    decided(replies: readonly Reply[]): void {
      const replyTo = ({ request }: Asked) => replies.find(({ id }) => id === request.id);
      decided = waiting.flatMap((asked) => {
        const reply = replyTo(asked);
        return reply === undefined ? [] : [{ ...asked, reply }];
      });
      waiting = waiting.filter((asked) => replyTo(asked) === undefined);
    },

    /** Gives out what was decided. */
    answer(): void {
      for (const { reply, answer } of decided) answer({ kind: "told", value: reply });
      decided = [];
      looked();
    },

    /** Nobody is left waiting when a round does not come to its end. */
    giveUp({ kind, detail }: WhyNot): void {
      for (const { answer } of waiting) answer({ kind, detail: `${detail}; ${NOT_DONE}` });
      for (const { answer } of decided) answer({ kind, detail: `${detail}; ${NOT_KNOWN}` });
      [waiting, decided] = [[], []];
      looked();
    },
  };

  function looked(): void {
    for (const seen of lookers) seen();
    lookers = [];
  }
}
