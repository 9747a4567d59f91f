/** As much of IAM as a policy for Route 53 needs: actions, resources, and conditions over all values of a set. */
import type { Change53 } from "./route53-changes.ts";

export type Policy = {
  readonly Statement: readonly {
    readonly Effect: string;
    readonly Action: string;
    readonly Resource: string;
    readonly Condition?: {
      readonly "ForAllValues:StringEquals": Readonly<Record<string, readonly string[]>>;
    };
  }[];
};

/** The values of each condition key, as Route 53 names them. */
const keys = {
  "route53:ChangeResourceRecordSetsNormalizedRecordNames": ({ set }: Change53) =>
    set.name.toLowerCase().replace(/\.$/, ""),
  "route53:ChangeResourceRecordSetsRecordTypes": ({ set }: Change53) => set.type,
  "route53:ChangeResourceRecordSetsActions": ({ action }: Change53) => action,
};

export function allows(
  { Statement }: Policy,
  action: string,
  resource: string,
  changes: readonly Change53[] = [],
): boolean {
  return Statement.some(({ Effect, Action, Resource, Condition }) => {
    const all = Condition?.["ForAllValues:StringEquals"] ?? {};
    const fits = Object.entries(all).every(([key, values]) => {
      const named = keys[key as keyof typeof keys];
      return named !== undefined && changes.every((each) => values.includes(named(each)));
    });
    const where = Resource.replace(/\*$/, "");
    const arn = `arn:aws:route53:::${resource}`;
    const there = Resource.endsWith("*") ? arn.startsWith(where) : arn === where;
    return Effect === "Allow" && Action === `route53:${action}` && there && fits;
  });
}
