/**
 * What a person sees: lines, colours, and one last line that is rewritten while something is waited for.
 *
 * Promises: no escape code where nobody would see it: not a terminal, or NO_COLOR is set; without a
 * terminal there is no progress line at all.
 * Must never: choose its stream: with `--json` stdout belongs to a machine.
 */
import { styleText } from "node:util";
import type { Row } from "./round.ts";

export type Screen = ReturnType<typeof screenOn>;

type Style = Parameters<typeof styleText>[0];

const tones: Readonly<Record<Row["tone"], Style>> = { bad: "red", good: "green", plain: "dim" };

export function screenOn(stream: NodeJS.WriteStream) {
  const live = stream.isTTY === true;
  const colour = live && !process.env.NO_COLOR;
  let last = "";
  const paint = (style: Style, text: string) =>
    colour ? styleText(style, text, { validateStream: false }) : text;
  const rewrite = (text: string) => {
    if (live) stream.write(`\r\x1b[2K${text}`);
  };
  const line = (text = "") => {
    if (last !== "") rewrite("");
    stream.write(`${text}\n`);
    if (last !== "") rewrite(last);
  };
  return {
    paint,
    line,
    /** The line that is rewritten; an empty text takes it away. */
    progress: (text: string) => {
      last = text;
      rewrite(text);
    },
    /** One row of a timeline: when, what, and in words. */
    row: ({ ms, what, text, tone }: Row) =>
      line(
        `  ${paint("dim", `+${(ms / 1000).toFixed(3)} s`.padStart(10))}  ${paint(tones[tone], what.padEnd(20))} ${text}`,
      ),
  };
}

/** 12345 as 12,345. */
export const grouped = (count: number): string => count.toLocaleString("en-US");
