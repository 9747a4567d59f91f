/**
 * Who saw what by which path: a table for machines, and the same at a glance for people.
 *
 * Promises: one row for each way by which a node is looked at, with the newest look; the vote beside it is of whom
 * the look belongs to, so that two ways through one relay show one vote.
 * Must never: hold a secret.
 */
import { accepts } from "hono/accepts";
import type { GroupView, NodeView, PathView } from "../core/view.ts";
import { answer, type Ctx } from "./asking.ts";

/** GET /v1/groups/:group/vantages; as text for who asks for `text/plain`. */
export function vantages(context: Ctx): Promise<Response> {
  const form = accepts(context, {
    header: "Accept",
    supports: ["application/json", "text/plain"],
    default: "application/json",
  });
  return answer(
    context,
    (group, name) => group.view(name),
    (view) => {
      context.header("vary", "accept");
      return form === "text/plain" ? context.text(textOf(view)) : context.json(tableOf(view));
    },
  );
}

const tableOf = ({ name, quorum, vantages: regions, nodes }: GroupView) => ({
  group: name,
  quorum,
  vantages: regions,
  nodes: nodes.map((node) => ({
    id: node.id,
    verdict: node.verdict,
    votes: Object.fromEntries(
      Object.entries(node.vantages).map(([vantage, { vote }]) => [vantage, vote]),
    ),
    paths: pathsOf(node).map((path) => ({ ...path, vote: voteOf(node, path) })),
  })),
});

/** In the same order whoever was quicker. */
const pathsOf = ({ paths }: NodeView) =>
  paths.toSorted((a, b) => a.from.localeCompare(b.from) || a.vantage.localeCompare(b.vantage));

/** Null: whoever looked has no vote. */
const voteOf = ({ vantages: votes }: NodeView, { vantage }: PathView) =>
  votes[vantage]?.vote ?? null;

function textOf({ name, quorum, because, vantages: regions, nodes }: GroupView): string {
  const seen = nodes.map((node) => {
    const votes = Object.values(node.vantages).map(({ vote }) => vote);
    const down = votes.filter((vote) => vote === "down").length;
    return [node.id, node.verdict, `${down} of ${votes.length}, quorum ${quorum}`];
  });
  const ways = nodes.flatMap((node) =>
    pathsOf(node).map((path) => [
      node.id,
      wayOf(path),
      path.class,
      `${path.tookMs}`,
      `${path.agoMs}`,
      voteOf(node, path) ?? "-",
      inLine(path.detail),
    ]),
  );
  const places = regions.map(({ region, votes, failures, colo, runsIn, agoMs, detail }) => [
    region,
    votes ? "yes" : "no",
    failures === 0 ? "answers" : `silent ${failures} times`,
    runsIn === null ? "-" : `${runsIn} (${colo})`,
    agoMs === null ? "-" : `${agoMs}`,
    inLine(detail),
  ]);
  return [
    `${name}: ${because}`,
    aligned([["node", "verdict", "down"], ...seen]),
    aligned([["node", "path", "class", "ms", "ago ms", "vote", "detail"], ...ways]),
    ...(places.length === 0
      ? []
      : [aligned([["region", "votes", "state", "runs in", "ago ms", "detail"], ...places])]),
  ].join("\n\n");
}

/** From where, and through what. */
const wayOf = ({ from, vantage, transport }: PathView) =>
  transport === "relay" ? `${from} > ${vantage}` : `${from} > ${transport}`;

/** A detail may quote what a server said. */
const inLine = (text: string) => text.replace(/[\p{C}\p{Z}]+/gu, " ").slice(0, 120);

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, at) =>
    Math.max(...rows.map((row) => (row[at] ?? "").length)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
