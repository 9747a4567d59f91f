/**
 * Route 53's XML: record sets out of a listing, a change batch into a request.
 *
 * Promises: what is not well formed is a SyntaxError, as JSON.parse has it; a listing that is not as
 * documented is null.
 * Must never: know what the records are for.
 */
import { XMLBuilder, XMLParser, XMLValidator } from "fast-xml-parser";
import * as v from "valibot";
import { canonical } from "./provider.ts";

/** One record set, as it is to be named for its deletion: TTL and values to the letter. */
export type RecordSet = {
  /** Canonical. */
  readonly name: string;
  readonly type: string;
  readonly ttlS: number;
  readonly values: readonly string[];
  /** It is no plain record set: an alias, or one of several by a routing policy. */
  readonly odd: string | null;
};

export type Change = { readonly action: "CREATE" | "DELETE" | "UPSERT"; readonly set: RecordSet };

const NAMESPACE = "https://route53.amazonaws.com/doc/2013-04-01/";
const LISTS = ["ResourceRecordSet", "ResourceRecord", "Message"];

const parser = new XMLParser({
  ignoreAttributes: true,
  parseTagValue: false,
  // Else it leaves the numeric references as they are, which any XML may hold.
  htmlEntities: true,
  isArray: (name) => LISTS.includes(name),
});
const builder = new XMLBuilder({ ignoreAttributes: false, attributeNamePrefix: "@" });

/** The inside of the one element that an answer is. */
export function parseXml(text: string): unknown {
  if (XMLValidator.validate(text) !== true) throw new SyntaxError("not XML");
  const parsed: unknown = parser.parse(text);
  const elements = Object.entries(parsed as object).filter(([name]) => !name.startsWith("?"));
  return elements[0]?.[1];
}

const listSchema = v.object({
  ResourceRecordSets: v.union([
    v.object({
      ResourceRecordSet: v.array(
        v.object({
          Name: v.string(),
          Type: v.string(),
          TTL: v.optional(v.pipe(v.string(), v.digits(), v.transform(Number)), "0"),
          SetIdentifier: v.optional(v.string()),
          AliasTarget: v.optional(v.object({ DNSName: v.string() })),
          ResourceRecords: v.optional(
            v.object({ ResourceRecord: v.array(v.object({ Value: v.string() })) }),
          ),
        }),
      ),
    }),
    // An element without content.
    v.pipe(
      v.literal(""),
      v.transform(() => ({ ResourceRecordSet: [] })),
    ),
  ]),
  IsTruncated: v.picklist(["true", "false"]),
});

export function recordSetsOf(body: unknown) {
  const parsed = v.safeParse(listSchema, body);
  if (!parsed.success) return null;
  const sets = parsed.output.ResourceRecordSets.ResourceRecordSet.map((each): RecordSet => {
    const { AliasTarget: alias, SetIdentifier: id } = each;
    const values = each.ResourceRecords?.ResourceRecord.map(({ Value }) => Value) ?? [];
    return {
      name: canonical(each.Name),
      type: each.Type,
      ttlS: each.TTL,
      values: alias === undefined ? values : [alias.DNSName],
      odd: alias !== undefined ? "an alias" : id === undefined ? null : `by routing policy, ${id}`,
    };
  });
  return { ok: true, sets, truncated: parsed.output.IsTruncated === "true" } as const;
}

/** @param comment for people who look at the change in CloudTrail. */
export function changeXml(comment: string, changes: readonly Change[]): string {
  const elements = changes.map(({ action, set }) => ({
    Action: action,
    ResourceRecordSet: {
      Name: `${set.name}.`,
      Type: set.type,
      TTL: set.ttlS,
      ResourceRecords: { ResourceRecord: set.values.map((Value) => ({ Value })) },
    },
  }));
  const xml = builder.build({
    ChangeResourceRecordSetsRequest: {
      "@xmlns": NAMESPACE,
      ChangeBatch: { Comment: comment, Changes: { Change: elements } },
    },
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n${xml}`;
}
