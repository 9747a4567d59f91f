/**
 * The one error shape of the API: RFC 9457 problem details.
 *
 * Must never: carry a secret, or tell an unauthorised caller anything about the system.
 */
import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";

export type Problem = {
  readonly status: ContentfulStatusCode;
  readonly title: string;
  readonly detail?: string;
  /** Machine-readable: INPROG, NOGOODSLAVE, … */
  readonly code?: string;
  readonly [extension: string]: unknown;
};

export function problem(context: Context, { status, title, ...rest }: Problem): Response {
  return context.body(JSON.stringify({ type: "about:blank", title, status, ...rest }), status, {
    "content-type": "application/problem+json",
  });
}

export const unauthorized = (context: Context): Response => {
  context.header("www-authenticate", "Bearer");
  return problem(context, { status: 401, title: "Unauthorized" });
};

export const notFound = (context: Context, detail: string): Response =>
  problem(context, { status: 404, title: "Not Found", detail });
