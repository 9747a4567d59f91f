/** DNS questions in tests, over real UDP. */
export { type DnsAnswer, query } from "../../scripts/demo/dns-query.ts";
