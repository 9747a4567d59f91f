/** The part of dns-packet that is used here; the package brings no types. */
declare module "dns-packet" {
  export type Question = { name: string; type: string; class?: string };
  export type Answer = {
    name: string;
    type: string;
    class?: string;
    ttl?: number;
    data: unknown;
  };
  export type Packet = {
    id?: number;
    type?: "query" | "response";
    flags?: number;
    opcode?: string;
    rcode?: string;
    questions?: Question[];
    answers?: Answer[];
    authorities?: Answer[];
    additionals?: Answer[];
  };
  export function encode(packet: Packet): Buffer;
  export function decode(buffer: Uint8Array): Packet;
  export const AUTHORITATIVE_ANSWER: number;
  export const RECURSION_AVAILABLE: number;
  export const RECURSION_DESIRED: number;
}
