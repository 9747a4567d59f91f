/**
 * A check of somebody's own: any HTTPS url that says by its status, and by its body where that is wanted, whether a
 * node is to be used.
 *
 * Promises: as every transport (probe.ts); `up` needs the very status, and the text within the first 64 KiB; any other
 * answer is `unavailable`, unless it speaks of the request and not of the node.
 */

import { faultOf, firstBytes, overHttp } from "./http.ts";
import { failed, type ProbeOf, type Transport } from "./probe.ts";

const MOST_BYTES = 64 << 10;

export const custom: Transport<ProbeOf<"custom">> = (target, limits) =>
  overHttp(target, limits, async (get) => {
    const { expectStatus, expectBody } = target;
    const holds = (text: string) => expectBody === null || text.includes(expectBody);
    const got = await get(new URL(target.url), "*/*", async (response) => {
      if (response.status === expectStatus && expectBody !== null)
        return holds((await firstBytes(response, MOST_BYTES, holds)).text);
      await response.body?.cancel().catch(() => {});
      return true;
    });
    if (got.kind === "none") return got.found;
    const { status, value } = got;
    if (status !== expectStatus)
      return faultOf(status) ?? failed("unavailable", `HTTP ${status}, not ${expectStatus}`);
    return value
      ? { class: "up", detail: `HTTP ${status}`, facts: null, relay: null }
      : failed("unavailable", `HTTP ${status}, without the text that it should hold`);
  });
