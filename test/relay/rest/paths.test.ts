import { expect, test } from "vitest";
import { DATA } from "../support.ts";
import { rest } from "./support.ts";

test("a command is a path, by GET, HEAD, POST and PUT", async () => {
  const { ask } = await rest();
  expect(await ask("/set/foo/bar")).toMatchObject({ status: 200, body: { result: "OK" } });
  expect((await ask("/SET/foo/bar/EX/100")).body).toEqual({ result: "OK" });
  expect((await ask("/ttl/foo")).body).toEqual({ result: 100 });
  expect((await ask("/get/foo", { method: "POST" })).body).toEqual({ result: "bar" });
  expect((await ask("/get/foo", { method: "PUT" })).body).toEqual({ result: "bar" });
  const head = await ask("/get/foo", { method: "HEAD" });
  expect([head.status, head.body]).toEqual([200, ""]);
  expect(head.headers.get("content-length")).toBe(String('{"result":"bar"}'.length));
  await ask("/zadd/teams/100/team-x/90/team-y");
  expect((await ask("/zrange/teams/0/-1")).body).toEqual({ result: ["team-y", "team-x"] });
  expect((await ask("/mget/foo/none")).body).toEqual({ result: ["bar", null] });
  expect((await ask("/get/foo/too/many")).status).toBe(400);
});

test("a body is the last argument, whatever it holds, and a query stands after it", async () => {
  const { ask, run } = await rest();
  const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
  const set = await ask("/set/foo?EX=100&GET", { method: "POST", body: bytes });
  expect(set.body).toEqual({ result: null });
  expect((await ask("/ttl/foo")).body).toEqual({ result: 100 });
  const got = await ask("/get/foo", { headers: { "upstash-encoding": "base64" } });
  expect(got.body).toEqual({ result: Buffer.from(bytes).toString("base64") });
  await ask("/set/json", { method: "PUT", body: '{"a":[1,2]}' });
  expect((await run("GET", "json")).body).toEqual({ result: '{"a":[1,2]}' });
  expect((await ask("/set/foo?KEEPTTL=", { method: "POST", body: "x" })).body).toEqual({
    result: "OK",
  });
  expect((await ask("/set/foo/y?XX&PX=5000")).body).toEqual({ result: "OK" });
  expect((await ask("/echo?a+b%2Bc")).body).toEqual({ result: "a b+c" });
  const wrong = await ask("?EX=100", { method: "POST", body: '["SET","k","v"]' });
  expect(wrong).toMatchObject({ status: 400, body: { error: expect.stringContaining("query") } });
  expect((await run("EXISTS", "k")).body).toEqual({ result: 0 });
});

test("escapes are the bytes that they stand for", async () => {
  const { ask, run } = await rest();
  await ask(`/set/${encodeURIComponent("a/b?c d")}/${encodeURIComponent("žlutý 🐎")}`);
  expect((await run("GET", "a/b?c d")).body).toEqual({ result: "žlutý 🐎" });
  await ask("/set/raw/%FF%00%fe");
  const got = await ask("/get/raw", { headers: { "upstash-encoding": "base64" } });
  expect(got.body).toEqual({ result: Buffer.from([255, 0, 254]).toString("base64") });
  expect((await ask("/get/raw")).body).toEqual({ result: "\ufffd\u0000\ufffd" });
  await ask("/set//an-empty-key");
  expect((await ask("/get/")).body).toEqual({ result: "an-empty-key" });
  for (const path of ["/get/%zz", "/get/%f", "/get/a?x=%"]) {
    const said = await ask(path);
    expect(said).toMatchObject({ status: 400, body: { error: expect.stringContaining("%25") } });
  }
});

test("a token may stand in the address, and only an app's", async () => {
  const { base } = await rest();
  const of = async (path: string, headers = {}) => {
    const response = await fetch(base + path, { headers });
    return [response.status, await response.json()];
  };
  expect(await of(`/set/k/v?_token=${DATA}`)).toEqual([200, { result: "OK" }]);
  expect(await of(`/set/k/w?EX=100&_token=${DATA}`)).toEqual([200, { result: "OK" }]);
  expect(await of(`/get/k?_token=${DATA}`)).toEqual([200, { result: "w" }]);
  expect(await of("/get/k?_token=wrong")).toMatchObject([
    401,
    { error: expect.stringContaining("no such token") },
  ]);
  expect(await of("/get/k?_token=")).toMatchObject([
    401,
    { error: expect.stringContaining("no token") },
  ]);
  const header = { authorization: "Bearer wrong" };
  expect(await of(`/get/k?_token=${DATA}`, header)).toMatchObject([401, {}]);
  expect(await of("/ping?_token=control-token-of-the-tests")).toMatchObject([401, {}]);
});

test("other methods are 405, and say which are answered", async () => {
  const { ask } = await rest();
  for (const method of ["DELETE", "PATCH", "OPTIONS"]) {
    const said = await ask("/get/k", { method });
    expect(said).toMatchObject({
      status: 405,
      body: { error: expect.stringContaining("GET, HEAD") },
    });
  }
  for (const path of ["", "/", "/pipeline", "/multi-exec"]) {
    for (const method of ["GET", "DELETE"]) {
      expect((await ask(path, { method })).status).toBe(405);
    }
    expect((await ask(path, { method: "HEAD" })).status).toBe(405);
  }
  expect((await ask("/subscribe/ch", { method: "PUT" })).status).toBe(405);
});

test("RESP2 instead of JSON, as a client over TCP would read it", async () => {
  const { ask, run } = await rest();
  const resp2 = { "upstash-response-format": "resp2" };
  const raw = async (path: string, body?: string) => {
    const said = await ask(path, {
      headers: resp2,
      ...(body === undefined ? {} : { method: "POST", body }),
    });
    return [said.status, said.headers.get("content-type"), said.body];
  };
  const octets = "application/octet-stream";
  expect(await raw("/set/foo/bar")).toEqual([200, octets, "+OK\r\n"]);
  expect(await raw("/get/foo")).toEqual([200, octets, "$3\r\nbar\r\n"]);
  expect(await raw("/get/none")).toEqual([200, octets, "$-1\r\n"]);
  expect(await raw("/incrby/n/9007199254740993")).toEqual([200, octets, ":9007199254740993\r\n"]);
  expect(await raw("/mget/foo/none")).toEqual([200, octets, "*2\r\n$3\r\nbar\r\n$-1\r\n"]);
  expect(await raw("/incr/foo")).toEqual([
    400,
    octets,
    expect.stringMatching(/^-ERR value.*\r\n$/),
  ]);
  expect(await raw("/monitor")).toEqual([400, octets, expect.stringMatching(/^-NOPERM .*\r\n$/)]);
  expect(await raw("/pipeline", '[["GET","foo"],["INCR","foo"],["PING"]]')).toEqual([
    200,
    octets,
    expect.stringMatching(/^\$3\r\nbar\r\n-ERR [^\r]*\r\n\$4\r\nPONG\r\n$/),
  ]);
  const multi = await ask("/multi-exec", {
    method: "POST",
    body: '[["GET","foo"]]',
    headers: resp2,
  });
  expect(multi.body).toEqual([{ result: "bar" }]);
  for (const headers of [
    { ...resp2, "upstash-encoding": "base64" },
    { "upstash-response-format": "resp3" },
  ]) {
    const said = await ask("/set/foo/changed", { headers });
    expect(said).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining("Upstash-") },
    });
  }
  expect((await ask("/get/foo", { headers: { "upstash-response-format": "json" } })).body).toEqual({
    result: "bar",
  });
  expect((await run("GET", "foo")).body).toEqual({ result: "bar" });
});
