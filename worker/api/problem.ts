/**
 * The one error shape of the API: RFC 9457 problem details, with the title that the status has in HTTP.
 *
 * Must never: carry a secret, or tell an unauthorised caller anything about the system.
 */
import type { Context } from "hono";

const titles = {
  400: "Bad Request",
  401: "Unauthorized",
  404: "Not Found",
  409: "Conflict",
  413: "Content Too Large",
  426: "Upgrade Required",
  500: "Internal Server Error",
  503: "Service Unavailable",
} as const;

type Status = keyof typeof titles;

export type Problem = {
  readonly status: Status;
  readonly detail?: string;
  /** Machine-readable: INPROG, NOGOODSLAVE, … */
  readonly code?: string;
  readonly [extension: string]: unknown;
};

export function problem(context: Context, { status, ...rest }: Problem): Response {
  const body = { type: "about:blank", title: titles[status], status, ...rest };
  return context.body(JSON.stringify(body), status, { "content-type": "application/problem+json" });
}

/** Any other status is a fault of this code. */
export const knownStatus = (status: number): Status =>
  Object.hasOwn(titles, status) ? (status as Status) : 500;

export const unauthorized = (context: Context): Response => {
  context.header("www-authenticate", "Bearer");
  return problem(context, { status: 401 });
};

export const notFound = (context: Context, detail: string): Response =>
  problem(context, { status: 404, detail });
