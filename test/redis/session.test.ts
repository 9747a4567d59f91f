import type { Socket } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { freePort, type RedisOptions, startRedis } from "../../scripts/redis-server.ts";
import { failureOf } from "../../worker/redis/connection.ts";
import { openSession, type Session } from "../../worker/redis/session.ts";
import { tcpServer } from "../support/tcp.ts";
import { until } from "../support/wait.ts";

async function redis(options: RedisOptions = {}) {
  const server = await startRedis(options);
  onTestFinished(() => server.stop());
  return server;
}

function sessionTo(port: number, password: string | null = null): Session {
  const session = openSession({ host: "127.0.0.1", port, username: null, password }, patient);
  onTestFinished(() => session.close());
  return session;
}

/** Long enough for a slow machine: whoever gets another answer than silence did not wait for it. */
const patient = 20_000;
const ping = (session: Session, deadlineMs = patient) => session.run([["PING"]], { deadlineMs });

describe("what is in the way is named, in time, and never executed", () => {
  test("nothing listens: refused at once, each time anew", async () => {
    const session = sessionTo(await freePort());
    for (let times = 0; times < 3; times += 1) {
      expect(await ping(session)).toMatchObject({ class: "refused", dispatched: false });
    }
  });

  test("a server that accepts and never answers: the deadline, each time", async () => {
    const session = sessionTo(await tcpServer(() => {}));
    for (let times = 0; times < 3; times += 1) {
      expect(await ping(session, 100)).toMatchObject({ class: "timeout", dispatched: false });
    }
  });

  test("a server that speaks HTTP", async () => {
    const session = sessionTo(await tcpServer((socket) => socket.write("HTTP/1.1 200 OK\r\n\r\n")));
    expect(await ping(session)).toMatchObject({
      class: "closed",
      dispatched: false,
      detail: "it does not speak the Redis protocol",
    });
  });

  test("a server that hangs up", async () => {
    const session = sessionTo(await tcpServer((socket) => socket.destroy()));
    expect(await ping(session)).toMatchObject({ class: "closed", dispatched: false });
  });

  test("a server that answered, and only takes connections since: as good as silence", async () => {
    const sockets: Socket[] = [];
    let answers = true;
    const port = await tcpServer((socket) => {
      sockets.push(socket);
      if (answers) socket.on("data", () => socket.write("+PONG\r\n"));
      else socket.destroy();
    });
    const session = sessionTo(port);
    await until("an answer", async () => (await ping(session)).kind === "replies");
    answers = false;
    for (const socket of sockets) socket.destroy();
    await until("its silence", async () => {
      const answer = await ping(session);
      return answer.kind === "failure" && answer.class === "timeout" && !answer.dispatched;
    });
  });

  test("a wrong password, a password too many, and none", async () => {
    const guarded = await redis({ args: ["--requirepass", "right"] });
    const wrong = await ping(sessionTo(guarded.port, "wrong-secret"));
    expect(wrong).toMatchObject({ class: "auth", dispatched: false });
    expect(JSON.stringify(wrong)).not.toContain("wrong-secret");
    expect(await ping(sessionTo(guarded.port))).toMatchObject({ class: "auth" });
    expect(await ping(sessionTo(guarded.port, "right"))).toMatchObject({ kind: "replies" });
    const open = await redis();
    expect(await ping(sessionTo(open.port, "any"))).toMatchObject({ class: "auth" });
  });

  test("no room for another client: Redis's own word", async () => {
    const full = await redis({ args: ["--maxclients", "1"] });
    const first = sessionTo(full.port);
    expect(await ping(first)).toMatchObject({ kind: "replies" });
    const turnedAway = await ping(sessionTo(full.port));
    expect(turnedAway.kind).toBe("replies");
    expect(turnedAway.kind === "replies" && String(turnedAway.replies[0])).toContain("max number");
  });

  test.each([
    ["ENOTFOUND", "dns"],
    ["EAI_AGAIN", "dns"],
    ["EHOSTUNREACH", "timeout"],
    ["ERR_TLS_CERT_ALTNAME_INVALID", "tls"],
    ["ECONNRESET", "closed"],
    ["EMFILE", "closed"],
  ])("%s is %s", (code, kind) => {
    expect(failureOf(Object.assign(new Error(code), { code }), false).class).toBe(kind);
  });
});

describe("a Redis that stops and comes back", () => {
  test("SIGSTOP costs the deadline and no more; SIGCONT, and it serves", async () => {
    const server = await redis();
    const session = sessionTo(server.port);
    await ping(session);
    await server.kill("SIGSTOP");
    expect(await ping(session, 200)).toMatchObject({ class: "timeout", dispatched: true });
    // The second came over a new connection, which nobody greeted: surely not executed.
    expect(await ping(session, 200)).toMatchObject({ class: "timeout", dispatched: false });
    await server.kill("SIGCONT");
    expect(await ping(session)).toMatchObject({ kind: "replies" });
  });

  test("a short deadline takes nothing from those who wait longer", async () => {
    const server = await redis();
    const session = sessionTo(server.port);
    await ping(session);
    await server.kill("SIGSTOP");
    const other = session.run([["SET", "k", "v"]], { deadlineMs: patient });
    expect(await ping(session, 50)).toMatchObject({ class: "timeout" });
    await server.kill("SIGCONT");
    expect(await other).toMatchObject({ kind: "replies" });
  });

  test("what was told to be unsent is never sent later", async () => {
    const server = await redis();
    const session = sessionTo(server.port);
    await server.kill("SIGSTOP");
    const opener = session.run([["PING"]], { deadlineMs: patient });
    const late = await session.run([["SET", "k", "v"]], { deadlineMs: 50 });
    expect(late).toMatchObject({ class: "timeout", dispatched: false });
    await server.kill("SIGCONT");
    await opener;
    expect(await session.run([["EXISTS", "k"]], { deadlineMs: patient })).toEqual({
      kind: "replies",
      replies: ["0"],
    });
  });

  test("killed: refused at once; started again: it serves", async () => {
    const server = await redis();
    const session = sessionTo(server.port);
    await ping(session);
    await server.kill();
    const look = session.run([["PING"]], { deadlineMs: patient, repeatable: true });
    expect(await look).toMatchObject({ class: "refused" });
    await server.start();
    expect(await ping(session)).toMatchObject({ kind: "replies" });
  });
});

describe("a drop in mid-command", () => {
  /** Greets everyone, serves PINGs, and hangs up on the first other command that it ever gets. */
  const moody = () => {
    let dropped = false;
    return tcpServer((socket) =>
      socket.on("data", (bytes) => {
        const other = !bytes.includes("PING");
        if (other && !dropped) {
          dropped = true;
          socket.destroy();
        } else {
          socket.write(other ? "+fine\r\n" : "+PONG\r\n");
        }
      }),
    );
  };

  test("a write is unknown and is not sent again", async () => {
    const session = sessionTo(await moody());
    await ping(session);
    const answer = await session.run([["INCR", "n"]], { deadlineMs: patient });
    expect(answer).toMatchObject({ class: "closed", dispatched: true });
  });

  test("a look on a used connection is asked again on a new one", async () => {
    const session = sessionTo(await moody());
    await ping(session);
    const look = await session.run([["ROLE"]], { deadlineMs: patient, repeatable: true });
    expect(look).toMatchObject({ kind: "replies" });
  });

  test("on a new connection the drop is the answer", async () => {
    const session = sessionTo(await moody());
    const look = await session.run([["ROLE"]], { deadlineMs: patient, repeatable: true });
    expect(look).toMatchObject({ class: "closed" });
  });
});

/** Something is done to the node until the returned function is called. */
function hold(session: Session): () => void {
  let finish = () => {};
  const work = new Promise<void>((resolve) => {
    finish = resolve;
  });
  session.holdDuring(work, "because");
  return finish;
}

describe("held while something else is done to the node", () => {
  test("commands wait for it, inside their deadline", async () => {
    const server = await redis();
    const session = sessionTo(server.port);
    const finish = hold(session);
    const write = session.run([["INCR", "n"]], { deadlineMs: patient });
    expect(await ping(session, 50)).toMatchObject({ class: "busy", dispatched: false });
    finish();
    expect(await write).toEqual({ kind: "replies", replies: ["1"] });
  });

  test("also those that wait for a connection when it begins", async () => {
    const server = await redis();
    const session = sessionTo(server.port);
    const write = session.run([["INCR", "n"]], { deadlineMs: patient });
    const brief = session.run([["INCR", "n"]], { deadlineMs: patient, holdMs: 50 });
    const finish = hold(session);
    expect(await brief).toMatchObject({ class: "busy", dispatched: false });
    const other = sessionTo(server.port);
    // By now that connection has long been open.
    for (let count = 0; count < 20; count += 1) await ping(other, patient);
    const got = await other.run([["GET", "n"]], { deadlineMs: patient });
    expect(got).toEqual({ kind: "replies", replies: [null] });
    finish();
    expect(await write).toEqual({ kind: "replies", replies: ["1"] });
  });

  test("or for as long as they may, and then their deadline begins", async () => {
    const server = await redis();
    const session = sessionTo(server.port);
    const finish = hold(session);
    const increase = [["INCR", "n"]];
    const brief = session.run(increase, { deadlineMs: patient, holdMs: 50 });
    expect(await brief).toMatchObject({ class: "busy", dispatched: false });
    const write = session.run(increase, { deadlineMs: patient, holdMs: patient });
    finish();
    expect(await write).toEqual({ kind: "replies", replies: ["1"] });
  });

  test("who was in flight and is dropped hears why", async () => {
    const session = sessionTo(
      await tcpServer((socket) =>
        socket.on("data", (bytes) => {
          if (bytes.includes("PING")) socket.write("+PONG\r\n");
          else setTimeout(() => socket.destroy(), 20);
        }),
      ),
    );
    await ping(session);
    const write = session.run([["INCR", "n"]], { deadlineMs: patient });
    await Promise.resolve();
    session.holdDuring(Promise.resolve(), "dropped by a verb");
    expect(await write).toMatchObject({ class: "closed", detail: "dropped by a verb" });
  });
});

test("commands given together stay together, under a crowd of others", async () => {
  const server = await redis();
  const session = sessionTo(server.port);
  const crowd = Array.from({ length: 200 }, (_, index) =>
    session.run([["MULTI"], ["INCR", "n"], ["INCR", "n"], ["EXEC"], ["GET", `k${index}`]], {
      deadlineMs: patient,
    }),
  );
  for (const [index, answer] of (await Promise.all(crowd)).entries()) {
    expect(answer.kind === "replies" && answer.replies[3]).toEqual([
      String(2 * index + 1),
      String(2 * index + 2),
    ]);
  }
});

test("many with the same deadline: each has its own end", async () => {
  const server = await redis();
  const deadlineMs = 400;
  const session = openSession(
    { host: server.host, port: server.port, username: null, password: null },
    deadlineMs,
  );
  onTestFinished(() => session.close());
  await until("it is open", async () => (await ping(session)).kind === "replies");
  // Answered ones come out of the middle of the list, and the others stay in it.
  const first = Array.from({ length: 5 }, () => session.run([["PING"]], { deadlineMs }));
  await Promise.all(first);
  await server.kill("SIGSTOP");
  const silent = Array.from({ length: 5 }, () => session.run([["PING"]], { deadlineMs }));
  for (const answer of await Promise.all(silent))
    expect(answer).toMatchObject({ class: "timeout" });
  await server.kill("SIGCONT");
  await until("it serves again", async () => {
    const answer = await session.run([["PING"]], { deadlineMs });
    return answer.kind === "replies";
  });
});

test("too much in flight is refused before it is sent", async () => {
  const session = sessionTo(await tcpServer(() => {}));
  const batch = Array.from({ length: 6000 }, () => ["PING"]);
  const first = session.run(batch, { deadlineMs: 100 });
  expect(await session.run(batch, { deadlineMs: 100 })).toMatchObject({
    class: "busy",
    dispatched: false,
  });
  await first;
});
