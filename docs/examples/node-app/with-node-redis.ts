/** A client of @redis/client that is always the primary's. */
import { createClient } from "@redis/client";
import { type FollowSource, follow } from "picket/client";

export function withNodeRedis(sources: readonly FollowSource[], group: string, password?: string) {
  let current: ReturnType<typeof open> | null = null;
  const follower = follow(
    sources,
    ({ primary: { host, port, tls } }) => {
      const old = current;
      current = open(host, port, tls, password);
      // Rejects only when it is destroyed before it was connected; the commands fail by themselves.
      current.connect().catch(() => {});
      // Ends it for good: it never comes back to the old primary, and what was under way there fails.
      old?.destroy();
    },
    { group, onProblem: (problem) => console.error(JSON.stringify(problem)) },
  );
  return {
    /** Ask for it for every use; null until the first route is known. */
    client: () => current,
    sadd: async (key: string, member: string): Promise<void> => {
      if (current === null) throw new Error("no primary is known yet");
      await current.sAdd(key, member);
    },
    close: () => {
      follower.close();
      current?.destroy();
    },
  };
}

function open(host: string, port: number, tls: boolean, password?: string) {
  const client = createClient({
    socket: { host, port, connectTimeout: 2000, ...(tls ? { tls: true as const } : {}) },
    ...(password === undefined ? {} : { password }),
    name: "node-app",
    // A host that is gone does not answer, and does not refuse either.
    commandOptions: { timeout: 2000 },
  });
  // Without a listener an error would end the process; the commands fail by themselves.
  client.on("error", () => {});
  return client;
}
