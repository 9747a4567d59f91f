/** A client of ioredis that is always the primary's. */
import { Redis } from "ioredis";
import { type FollowSource, follow } from "picket/client";

export function withIoredis(sources: readonly FollowSource[], group: string, password?: string) {
  let current: Redis | null = null;
  const follower = follow(
    sources,
    ({ primary: { host, port, tls } }) => {
      const old = current;
      current = new Redis({
        host,
        port,
        connectionName: "node-app",
        ...(tls ? { tls: {} } : {}),
        ...(password === undefined ? {} : { password }),
        // What was under way when a connection ended may have been executed: it fails, and is not sent again.
        autoResendUnfulfilledCommands: false,
        // A host that is gone does not answer, and does not refuse either.
        connectTimeout: 2000,
        commandTimeout: 2000,
      });
      // Otherwise it writes to the console; the commands fail by themselves.
      current.on("error", () => {});
      // Ends it for good: it never comes back to the old primary, and what was under way there fails.
      old?.disconnect();
    },
    { group, onProblem: (problem) => console.error(JSON.stringify(problem)) },
  );
  return {
    /** Ask for it for every use; null until the first route is known. */
    client: () => current,
    sadd: async (key: string, member: string): Promise<void> => {
      if (current === null) throw new Error("no primary is known yet");
      await current.sadd(key, member);
    },
    close: () => {
      follower.close();
      current?.disconnect();
    },
  };
}
