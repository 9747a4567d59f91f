/**
 * Whether a url leads into the public Internet, as far as the url itself can tell.
 *
 * Promises: `https` only; every notation of an address that a url may have is judged as what it means, for the
 * parser of urls brings them all to one. What a public name resolves to it cannot know.
 * Must never: resolve a name.
 */

/** Not globally reachable, by IANA's registry of special-purpose addresses; with multicast and reserved ones. */
const v4Special: readonly string[] = [
  "0.0.0.0/8", // this network
  "10.0.0.0/8", // private
  "100.64.0.0/10", // between a carrier and its customers
  "127.0.0.0/8", // loopback
  "169.254.0.0/16", // link-local; where clouds keep their metadata
  "172.16.0.0/12", // private
  "192.0.0.0/24", // protocol assignments
  "192.0.2.0/24", // documentation
  "192.88.99.0/24", // 6to4 relays, once
  "192.168.0.0/16", // private
  "198.18.0.0/15", // benchmarks
  "198.51.100.0/24", // documentation
  "203.0.113.0/24", // documentation
  "224.0.0.0/4", // multicast
  "240.0.0.0/4", // reserved, broadcast
];

/** Of IPv6 only 2000::/3 is given out: loopback, ULA, link-local, multicast, mapped IPv4 and NAT64 lie elsewhere. */
const v6Public = "2000::/3";
const v6Special: readonly string[] = [
  "2001::/23", // protocol assignments; Teredo
  "2001:db8::/32", // documentation
  "2002::/16", // 6to4: an IPv4 address inside
  "3fff::/20", // documentation
];

/** Names that mean something only within one network, with everything below them. */
const localNames = /(?:^|\.)(?:localhost|localdomain|local|internal|home\.arpa)$/;

export function isPublicUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname } = new URL(text);
  return protocol === "https:" && isPublicHost(hostname);
}

/** A host as `URL` gives it: lower case, IPv4 in dotted decimals, IPv6 in brackets and shortened. */
export function isPublicHost(hostname: string): boolean {
  if (hostname.startsWith("[")) {
    const bits = v6Bits(hostname.slice(1, -1));
    return (
      isWithin(bits, v6Public, v6Bits) && !v6Special.some((net) => isWithin(bits, net, v6Bits))
    );
  }
  const name = hostname.replace(/\.$/, "");
  if (/^\d+\.\d+\.\d+\.\d+$/.test(name)) {
    const bits = v4Bits(name);
    return !v4Special.some((net) => isWithin(bits, net, v4Bits));
  }
  return name.includes(".") && !localNames.test(name);
}

function isWithin(bits: string, net: string, bitsOf: (address: string) => string): boolean {
  const [address = "", length = ""] = net.split("/");
  return bits.startsWith(bitsOf(address).slice(0, Number(length)));
}

const binary = (value: number, width: number) => value.toString(2).padStart(width, "0");

const v4Bits = (address: string): string =>
  address
    .split(".")
    .map((part) => binary(Number(part), 8))
    .join("");

function v6Bits(address: string): string {
  const [head = "", tail] = address.split("::");
  const words = (text: string) => (text === "" ? [] : text.split(":"));
  const [first, last] = [words(head), words(tail ?? "")];
  const zeros = Array<string>(tail === undefined ? 0 : 8 - first.length - last.length).fill("0");
  return [...first, ...zeros, ...last]
    .map((word) => binary(Number.parseInt(word, 16), 16))
    .join("");
}
