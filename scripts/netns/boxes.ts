/**
 * Machines of their own on this machine: network namespaces, each with a link to each other and to the edge,
 * which is where this process runs. A link can be cut, one way or both, and healed.
 *
 * Promises: a cut is silence, as between data centres: nothing is refused, no link is seen to go down, and what
 * was under way goes on when it heals; every namespace is gone after `stop`, with this process, or, had it no
 * time for that, with the next one that makes boxes.
 * Must never: touch a namespace that it did not make, or any address outside 198.18.0.0/15 (RFC 2544).
 */
import { execFileSync } from "node:child_process";
import { onPath } from "../debian.ts";

export const EDGE = "edge";

export type Boxes = {
  /** The one address of a box; of `edge` too. Everybody reaches it there. */
  readonly hostOf: (place: string) => string;
  /** A command that runs another one in a box: put in front of it. Empty for the edge. */
  readonly inside: (place: string) => readonly string[];
  /** What `from` sends no longer reaches `to`; and back, unless told otherwise. */
  readonly cut: (from: string, to: string, oneWay?: "one-way") => void;
  readonly heal: (from: string, to: string) => void;
  /** Every link is as it was at first. */
  readonly healAll: () => void;
  readonly stop: () => void;
};

/** Why there can be no boxes here; null: there can. */
export function whyNoBoxes(): string | null {
  if (process.platform !== "linux") return "network namespaces need Linux";
  if (process.getuid?.() !== 0) return "network namespaces need root";
  if (onPath("ip") === null) return "no ip on PATH: install iproute2";
  const probe = `picket-${process.pid}-probe`;
  try {
    ip("netns", "add", probe);
    ip("-n", probe, "link", "add", "x", "type", "veth", "peer", "name", "y");
    return null;
  } catch (error) {
    return `network namespaces with links cannot be made here: ${complaintOf(error)}`;
  } finally {
    quietly(() => ip("netns", "del", probe));
  }
}

let made = 0;

export function makeBoxes(ids: readonly string[]): Boxes {
  removeOrphans();
  made += 1;
  // Runs at the same time have networks of their own.
  const number = (process.pid * 4 + (made % 4)) % 512;
  const network = `198.${18 + Math.floor(number / 256)}.${number % 256}`;
  const places = [...ids, EDGE];
  const namespaces = new Map(ids.map((id) => [id, `picket-${process.pid}-${made}-${id}`]));
  const numberOf = (place: string) => (place === EDGE ? 254 : places.indexOf(place) + 1);
  const hostOf = (place: string) => `${network}.${numberOf(place)}`;
  const inNamespace = (place: string) => {
    const namespace = namespaces.get(place);
    return namespace === undefined ? [] : ["-n", namespace];
  };
  /** The name of the interface at `from` that leads to `to`: a machine may have those of many runs. */
  const device = (from: string, to: string) => `pk${number}x${numberOf(from)}x${numberOf(to)}`;
  const mac = (from: string, to: string) =>
    `02:00:00:00:${hex(numberOf(from))}:${hex(numberOf(to))}`;
  /** Where `from` believes `to` to be. Nobody has the wrong address: what is sent there is lost in silence. */
  const point = (from: string, to: string, right: boolean) => {
    const address = right ? mac(to, from) : "02:00:00:00:00:00";
    const at = ["dev", device(from, to), "nud", "permanent"];
    ip(...inNamespace(from), "neigh", "replace", hostOf(to), "lladdr", address, ...at);
  };

  function link(one: string, other: string): void {
    const first = namespaces.get(one);
    if (first === undefined) throw new Error(`no namespace for ${one}`);
    const peer = namespaces.get(other) ?? String(process.pid);
    ip(
      ...["-n", first, "link", "add", device(one, other), "address", mac(one, other)],
      ...["type", "veth", "peer", "name", device(other, one), "address", mac(other, one)],
      ...["netns", peer],
    );
    for (const [from, to] of [[one, other] as const, [other, one] as const]) {
      const at = inNamespace(from);
      if (from === EDGE) ip(...at, "addr", "add", `${hostOf(from)}/32`, "dev", device(from, to));
      ip(...at, "link", "set", device(from, to), "up");
      ip(...at, "route", "add", hostOf(to), "dev", device(from, to), "src", hostOf(from));
      point(from, to, true);
    }
  }

  const stop = () => {
    process.off("exit", stop);
    for (const [id, namespace] of namespaces) {
      // By itself: a connection that nobody ended may keep a namespace alive for a while, and its link here.
      quietly(() => ip("link", "del", device(EDGE, id)));
      quietly(() => ip("netns", "del", namespace));
    }
  };
  process.on("exit", stop);
  try {
    for (const [id, namespace] of namespaces) {
      ip("netns", "add", namespace);
      ip("-n", namespace, "link", "set", "lo", "up");
      ip("-n", namespace, "addr", "add", `${hostOf(id)}/32`, "dev", "lo");
    }
    for (const [at, one] of places.entries())
      for (const other of places.slice(at + 1)) link(one, other);
  } catch (error) {
    stop();
    throw new Error(`no boxes: ${complaintOf(error)}`);
  }
  const both = (right: boolean) => (from: string, to: string, oneWay?: "one-way") => {
    point(from, to, right);
    if (oneWay === undefined) point(to, from, right);
  };
  return {
    hostOf,
    inside: (place) => {
      const namespace = namespaces.get(place);
      return namespace === undefined ? [] : ["ip", "netns", "exec", namespace];
    },
    cut: both(false),
    heal: both(true),
    healAll: () => {
      for (const one of places)
        for (const other of places) if (one !== other) point(one, other, true);
    },
    stop,
  };
}

const hex = (number: number) => number.toString(16).padStart(2, "0");

/** Throws what `ip` complains of. */
function ip(...args: readonly string[]): string {
  return execFileSync("ip", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** Those of processes that are no more. */
function removeOrphans(): void {
  for (const line of ip("netns", "list").split("\n")) {
    const [, name = "", pid = ""] = /^(picket-(\d+)-\S+)/.exec(line) ?? [];
    if (name !== "" && !runs(Number(pid))) quietly(() => ip("netns", "del", name));
  }
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** On the way out: what cannot be removed was removed by somebody else. */
function quietly(work: () => unknown): void {
  try {
    work();
  } catch {
    // As said above.
  }
}

function complaintOf(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message?: string };
  return (stderr || message || String(error)).trim().slice(0, 300);
}
