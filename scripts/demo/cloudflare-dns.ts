/**
 * The zone as the world sees it: an authoritative DNS server over UDP on 127.0.0.1.
 *
 * Promises: A, AAAA, TXT, and CNAME chains inside the zone; NXDOMAIN and NODATA with the SOA;
 * REFUSED for every other zone; a change of the records shows in the very next answer.
 * Must never: recurse, or answer on another interface.
 */
import { createSocket } from "node:dgram";
import * as packet from "dns-packet";
import type { CfRecord, Records } from "./cloudflare-records.ts";

export type DnsServer = { readonly port: number; readonly close: () => Promise<void> };

const rcodes = { NOERROR: 0, FORMERR: 1, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;
const MAX_CHAIN = 8;

export async function serveDns(zone: string, records: () => Records): Promise<DnsServer> {
  const socket = createSocket("udp4");
  socket.on("message", (bytes, from) => {
    const answer = reply(bytes, zone, records());
    if (answer !== null) socket.send(packet.encode(answer), from.port, from.address);
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(0, "127.0.0.1", resolve);
  });
  return {
    port: socket.address().port,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

function reply(bytes: Buffer, zone: string, records: Records): packet.Packet | null {
  let asked: packet.Packet;
  try {
    asked = packet.decode(bytes);
  } catch {
    return null; // Too short to say whom to answer.
  }
  if (asked.type !== "query") return null;
  const { questions = [], flags = 0, id = 0 } = asked;
  const [question] = questions;
  const response = (rcode: keyof typeof rcodes, rest: packet.Packet = {}): packet.Packet => ({
    type: "response",
    id,
    questions,
    ...rest,
    flags: (flags & packet.RECURSION_DESIRED) | (rest.flags ?? 0) | rcodes[rcode],
  });
  if (asked.opcode !== "QUERY") return response("NOTIMP");
  if (question === undefined || questions.length !== 1) return response("FORMERR");
  if (!inside(zone, question.name)) return response("REFUSED");
  const { rcode, answers, negative } = resolve(zone, records, question);
  return response(rcode, {
    flags: packet.AUTHORITATIVE_ANSWER,
    answers,
    authorities: negative ? [soa(zone)] : [],
  });
}

/** Follows CNAMEs while they stay inside the zone; the code is about the last name of the chain. */
function resolve(zone: string, records: Records, question: packet.Question) {
  const answers: packet.Answer[] = [];
  const ended = (rcode: "NOERROR" | "NXDOMAIN", negative: boolean) => ({
    rcode,
    answers,
    negative,
  });
  let name = question.name.toLowerCase();
  for (let hop = 0; hop < MAX_CHAIN && inside(zone, name); hop += 1) {
    const here = records.filter((each) => each.name === name);
    const matching = here.filter((each) => each.type === question.type);
    answers.push(...matching.map(answerOf));
    if (name === zone && question.type === "SOA") answers.push(soa(zone));
    if (answers.at(-1)?.type === question.type) return ended("NOERROR", false);
    const alias = here.find((each) => each.type === "CNAME");
    if (alias === undefined) {
      // A name with names below it exists, even without records of its own.
      const below = records.some((each) => each.name.endsWith(`.${name}`));
      return ended(here.length > 0 || below || name === zone ? "NOERROR" : "NXDOMAIN", true);
    }
    answers.push(answerOf(alias));
    if (alias.proxied) return ended("NOERROR", false);
    name = alias.content;
  }
  return ended("NOERROR", false);
}

function answerOf(record: CfRecord): packet.Answer {
  const { name, type, content, ttl } = record;
  // Automatic is five minutes. A proxied name resolves to Cloudflare, never to the server behind it.
  const seconds = ttl === 1 ? 300 : ttl;
  if (record.proxied) return { name, type: "A", ttl: seconds, data: "104.16.0.1" };
  return { name, type, ttl: seconds, data: content };
}

const inside = (zone: string, name: string) =>
  name.toLowerCase() === zone || name.toLowerCase().endsWith(`.${zone}`);

const soa = (zone: string): packet.Answer => ({
  name: zone,
  type: "SOA",
  ttl: 1800,
  data: {
    mname: `ns.${zone}`,
    rname: `dns.${zone}`,
    serial: 1,
    refresh: 10_000,
    retry: 2400,
    expire: 604_800,
    minimum: 60,
  },
});
