/**
 * What changes nothing: an existing replication, looks while all is well, and requests that are not right.
 */
import { readFile, stat } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Scene, startScene, tokens } from "../support/stack.ts";

describe("a group that is well", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene();
    await scene.published();
  });
  afterAll(() => scene?.stop());

  /** Everything that an action would leave a trace in. */
  const traces = async () => ({
    version: await scene.version(),
    lastEvent: await scene.mark(),
    dnsCalls: scene.cloudflare.requests(),
    published: (await scene.view()).publishers,
    kv: await scene.kvRoute(),
    journals: await Promise.all(
      scene.ids.map(async (id) => {
        const { ino, mtimeMs } = await stat(scene.relay(id).stateFile);
        return { id, ino, mtimeMs };
      }),
    ),
    commands: await Promise.all(scene.ids.map(topologyCommands)),
  });
  /** Commands that change a Redis, as it counted them itself. */
  const topologyCommands = async (id: string) => {
    const [stats] = await scene.ask(id, ["INFO", "commandstats"]);
    return String(stats)
      .split("\r\n")
      .filter((line) =>
        /cmdstat_(replicaof|slaveof|config\|set|config\|rewrite|client\|kill)/.test(line),
      );
  };

  it("R9 the replication that was found is kept: no node was sent a command", async () => {
    for (const id of scene.ids) {
      expect(await topologyCommands(id)).toEqual([]);
      const journal = JSON.parse(await readFile(scene.relay(id).stateFile, "utf8"));
      expect(journal.actions).toEqual([]);
    }
    expect(await scene.route()).toMatchObject({ epoch: 1, primary: { id: "a" } });
  });

  it("F4 nothing changed: many looks, and no command, no row, no event, no KV write, no DNS call", async () => {
    const before = await traces();
    await scene.looks(20);
    expect(await traces()).toEqual(before);
  });

  it("without the right token nobody is told anything, whatever the path", async () => {
    const before = await traces();
    for (const path of ["/v1/groups", "/v1/groups/cache", "/v1/groups/none", "/v1/x", "/x"]) {
      for (const authorization of [undefined, "Bearer wrong", `Basic ${tokens.read}`, "Bearer "]) {
        const response = await scene.worker.fetch(new URL(path, scene.url).href, {
          headers: authorization === undefined ? {} : { authorization },
        });
        expect(response.status).toBe(401);
        expect(response.headers.get("content-type")).toBe("application/problem+json");
        expect(response.headers.get("www-authenticate")).toBe("Bearer");
        const body = await response.json();
        expect(body).toEqual({ type: "about:blank", title: "Unauthorized", status: 401 });
      }
    }
    expect(await traces()).toEqual(before);
  });

  it("the read token cannot operate, whether the group exists or not", async () => {
    for (const path of ["cache/failover", "cache/bootstrap", "none/failover"]) {
      const asked = await scene.api(`/v1/groups/${path}`, { token: tokens.read, body: {} });
      expect(asked).toMatchObject({ status: 401, body: { title: "Unauthorized" } });
    }
  });

  it("unknown groups, nodes and paths are 404, and a body that is not right is 400 with the reason", async () => {
    const before = await traces();
    const post = (path: string, body: unknown) => scene.api(`/v1/groups/${path}`, { body });
    expect(await scene.api("/v1/groups/none")).toMatchObject({ status: 404 });
    expect(await scene.api("/v1/nothing")).toMatchObject({ status: 404 });
    expect(await post("none/failover", {})).toMatchObject({ status: 404 });
    expect(await post("cache/failover", { to: "z" })).toMatchObject({ status: 404 });
    expect(await post("cache/bootstrap", { primary: "z" })).toMatchObject({ status: 404 });
    expect(await post("cache/bootstrap", {})).toMatchObject({ status: 400 });
    const wrong = await post("cache/failover", { to: 7, force: true });
    expect(wrong).toMatchObject({ status: 400, body: { title: "Bad Request" } });
    const { complaints } = wrong.body as { complaints: { path: string }[] };
    expect(complaints.map(({ path }) => path).sort()).toEqual(["force", "to"]);
    const page = await scene.api("/v1/groups/cache/events?after=x&limit=0");
    expect(page).toMatchObject({ status: 400 });
    expect(await traces()).toEqual(before);
  });

  it("a body that is no JSON is 400 and one too large 413, both as problems", async () => {
    const before = await traces();
    const send = async (body: string, type = "application/json") => {
      const response = await scene.worker.fetch(
        new URL("/v1/groups/cache/failover", scene.url).href,
        {
          method: "POST",
          headers: {
            authorization: `Bearer ${tokens.operate}`,
            "content-type": type,
          },
          body,
        },
      );
      expect(response.headers.get("content-type")).toBe("application/problem+json");
      return { status: response.status, body: await response.json() };
    };
    expect(await send("{")).toMatchObject({ status: 400, body: { status: 400 } });
    expect(await send("null")).toMatchObject({ status: 400, body: { status: 400 } });
    // Not declared as JSON, the target would be overlooked and anybody promoted.
    for (const type of ["application/x-www-form-urlencoded", "text/plain"])
      expect(await send('{"to":"b"}', type)).toMatchObject({ status: 400 });
    const large = JSON.stringify({ to: "x".repeat(20_000) });
    expect(await send(large)).toMatchObject({ status: 413, body: { status: 413 } });
    expect(await traces()).toEqual(before);
  });
});
