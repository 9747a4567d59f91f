/** The XML of the Route 53 stand-in: its own, so that what writes a request is not what reads it. */
import { XMLParser, XMLValidator } from "fast-xml-parser";
import type { Change53, Set53 } from "./route53-changes.ts";

export const NAMESPACE = "https://route53.amazonaws.com/doc/2013-04-01/";

const escaped = (text: string) => text.replace(/[&<>"]/g, (each) => `&#${each.charCodeAt(0)};`);

/** Text inside is escaped; a list is of elements that stand already. */
export function element(
  name: string,
  inside: string | readonly string[],
  attributes: Readonly<Record<string, string>> = {},
): string {
  const given = Object.entries(attributes).map(([key, value]) => ` ${key}="${escaped(value)}"`);
  const content = typeof inside === "string" ? escaped(inside) : inside.join("");
  return content === ""
    ? `<${name}${given.join("")}/>`
    : `<${name}${given.join("")}>${content}</${name}>`;
}

export const errorXml = (code: string, message: string) =>
  element(
    "ErrorResponse",
    [
      element("Error", [
        element("Type", "Sender"),
        element("Code", code),
        element("Message", message),
      ]),
      element("RequestId", "b25f48e8-84fd-11e6-80d9-574e0c4664cb"),
    ],
    { xmlns: NAMESPACE },
  );

export const setXml = ({ name, type, ttlS, values, alias, setIdentifier }: Set53) =>
  element("ResourceRecordSet", [
    element("Name", name),
    element("Type", type),
    ...(setIdentifier === undefined ? [] : [element("SetIdentifier", setIdentifier)]),
    ...(alias === undefined
      ? [
          element("TTL", String(ttlS)),
          element(
            "ResourceRecords",
            values.map((value) => element("ResourceRecord", [element("Value", value)])),
          ),
        ]
      : [
          element("AliasTarget", [
            element("HostedZoneId", "Z35SXDOTRQ7X7K"),
            element("DNSName", alias),
            element("EvaluateTargetHealth", "false"),
          ]),
        ]),
  ]);

/** Every element in its place and order, as the original's schema has it; else what is wrong. */
export function changesOf(text: string): readonly Change53[] | string {
  if (XMLValidator.validate(text) !== true) return "Invalid XML";
  const root = new XMLParser({ preserveOrder: true, ignoreAttributes: false, parseTagValue: false })
    .parse(text)
    .filter((each: object) => !("?xml" in each));
  try {
    const [request] = inside(root, ["ChangeResourceRecordSetsRequest"]);
    if (root[0]?.[":@"]?.["@_xmlns"] !== NAMESPACE) return `not of the namespace ${NAMESPACE}`;
    const [batch] = inside(request, ["ChangeBatch"]);
    const [comment, changes] = inside(batch, ["Comment", "Changes"]);
    if (textIn(comment).length > 256) return "Comment: at most 256 characters";
    const all = (changes as Node[]).map((change) => {
      const [action, set] = inside(all1([change], "Change"), ["Action", "ResourceRecordSet"]);
      const [name, type, ttl, records] = inside(set, ["Name", "Type", "TTL", "ResourceRecords"]);
      const values = (records as Node[]).map((record) =>
        textIn(inside(all1([record], "ResourceRecord"), ["Value"])[0]),
      );
      return {
        action: textIn(action) as Change53["action"],
        set: { name: textIn(name), type: textIn(type), ttlS: Number(textIn(ttl)), values },
      };
    });
    return all.length > 0 && all.length <= 1000 ? all : "1 to 1000 changes";
  } catch (error) {
    return error instanceof Error ? error.message : "Invalid XML";
  }
}

type Node = Readonly<Record<string, unknown>>;

const tagOf = (node: Node) => Object.keys(node).find((key) => key !== ":@");

function inside(nodes: unknown, names: readonly string[]): readonly unknown[] {
  const list = nodes as readonly Node[];
  const found = list.map(tagOf);
  if (found.join() !== names.join()) throw new Error(`Invalid XML: ${found} is not ${names}`);
  return list.map((node) => node[tagOf(node) ?? ""]);
}

const all1 = (nodes: readonly Node[], name: string) => inside(nodes, [name])[0];

const textIn = (nodes: unknown): string =>
  (nodes as readonly Node[]).map((node) => String(node["#text"] ?? "")).join("");
