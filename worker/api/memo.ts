/**
 * One question at a time per name, whose answer is everyone's for a moment.
 *
 * Promises: what is told was asked for (or given, where that counts) at most `freshMs` before its caller came; while a question is under way
 * nobody asks another one of the same name; an answer that tells nothing is shared by those who waited for it,
 * and not remembered; everyone is answered within two questions' time, also when whoever asked goes away.
 * Must never: answer with something old because the new one failed.
 */
import { type Answer, inTime } from "../env.ts";

/** Answers are thrown away past so many names. */
const MOST = 1000;

export type MemoLimits = {
  readonly freshMs: number;
  /** From when on an answer grows old: when it was asked for, unless the question is one that waits. */
  readonly from?: "asked" | "given";
  /** How long one question may take. */
  readonly withinMs: number;
  readonly silence: string;
  readonly now?: () => number;
};

type Question<T> = {
  readonly askedAtMs: number;
  readonly answer: Promise<Answer<T>>;
  /** Null while it is under way. */
  given: Answer<T> | null;
  givenAtMs: number;
};

/** Asks; `hold` keeps what asks alive when the caller that it was for goes away. */
export type Ask<T> = {
  readonly question: () => Promise<Answer<T>>;
  readonly hold: (work: Promise<unknown>) => void;
};

export function createMemo<T>(limits: MemoLimits) {
  const { freshMs, from = "asked", withinMs, silence, now = Date.now } = limits;
  const questions = new Map<string, Question<T>>();

  return async function tell(name: string, ask: Ask<T>): Promise<Answer<T>> {
    const oldestMs = now() - freshMs;
    const isFresh = ({ askedAtMs, givenAtMs }: Question<T>) => {
      const atMs = from === "asked" ? askedAtMs : givenAtMs;
      return atMs >= oldestMs && atMs <= now();
    };
    let last = questions.get(name);
    if (last !== undefined && isUnderWay(last)) {
      const given = await answerOf(last);
      if (given.kind !== "told" || isFresh(last)) return given;
      // Asked for too long before this caller came. What has been asked for meanwhile is everyone's again.
      last = questions.get(name);
      if (last !== undefined && isUnderWay(last)) return await answerOf(last);
    }
    if (last?.given?.kind === "told" && isFresh(last)) return last.given;
    return await answerOf(begin(name, ask));
  };

  function begin(name: string, { question, hold }: Ask<T>): Question<T> {
    const answer = inTime(question(), withinMs)
      .catch((error: unknown): Answer<T> => {
        console.error("a group did not answer", error instanceof Error ? error.message : "unknown");
        return { kind: "unavailable", detail: silence };
      })
      .then((given) => {
        asked.given = given;
        asked.givenAtMs = now();
        return given;
      });
    const asked: Question<T> = { askedAtMs: now(), answer, given: null, givenAtMs: 0 };
    if (questions.size >= MOST)
      for (const [each, { given }] of questions) if (given) questions.delete(each);
    questions.set(name, asked);
    hold(answer);
    return asked;
  }

  /** A clock that went back makes a question look young for ever: it is given up. */
  function isUnderWay({ given, askedAtMs }: Question<T>): boolean {
    const ageMs = now() - askedAtMs;
    return given === null && ageMs >= 0 && ageMs < withinMs;
  }

  /** With a timer of each caller's own: that of the question ends with the caller who began it. */
  function answerOf({ answer, askedAtMs }: Question<T>): Promise<Answer<T>> {
    const late = (): Answer<T> => ({ kind: "unavailable", detail: silence });
    return inTime(answer, askedAtMs + withinMs - now()).catch(late);
  }
}
