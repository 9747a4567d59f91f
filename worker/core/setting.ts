/**
 * What a setting is: a plain number with a default and a range.
 */
export type Setting = {
  /** A fraction is allowed. */
  readonly fraction?: true;
  readonly fallback: number;
  readonly min: number;
  readonly max: number;
  readonly source: string;
  readonly why: string;
};

export const setting = (
  fallback: number,
  min: number,
  max: number,
  source: string,
  why: string,
): Setting => ({ fallback, min, max, source, why });
