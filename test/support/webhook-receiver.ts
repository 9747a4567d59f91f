/**
 * A receiver of webhooks on this machine, as a reader of the Standard Webhooks specification builds one: it
 * verifies with the specification's own library before it believes a word.
 *
 * Promises: answers 204 unless told otherwise; keeps every delivery, right or wrong, in order of arrival.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Webhook } from "standardwebhooks";

/** 32 bytes, told apart at a glance. */
export const signingSecret = `whsec_${Buffer.from("a-signing-secret-of-the-tests-32").toString("base64")}`;

export type Delivery = {
  readonly id: string;
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
  readonly type: string;
  readonly timestamp: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** Why it must not be believed; null: its signature is right. */
  readonly problem: string | null;
};

/** A status; a status with headers; or whatever a receiver may do wrong. */
export type Behaviour =
  | number
  | { readonly status: number; readonly headers: Readonly<Record<string, string>> }
  | "hang" // reads it, and says nothing
  | "cut" // reads it, and closes the connection
  | "endless"; // says 200, and goes on saying more

export async function startReceiver(secret: string = signingSecret) {
  const deliveries: Delivery[] = [];
  let always: Behaviour = 204;
  let next: Behaviour[] = [];
  const chatter = new Set<ReturnType<typeof setInterval>>();
  const server = createServer(async (request, response) => {
    const text = await textOf(request);
    deliveries.push(deliveryOf(request, text, secret));
    behave(response, next.shift() ?? always);
  });

  function behave(response: ServerResponse, how: Behaviour): void {
    if (how === "hang") return;
    if (how === "cut") return void response.socket?.destroy();
    if (how === "endless") {
      response.writeHead(200);
      const more = setInterval(() => response.write("x".repeat(1000)), 10);
      chatter.add(more);
      response.on("close", () => clearInterval(more));
      return;
    }
    const { status, headers } = typeof how === "number" ? { status: how, headers: {} } : how;
    response.writeHead(status, headers).end();
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/hook`,
    port,
    deliveries: (): readonly Delivery[] => deliveries,
    /** Once each, in this order; afterwards as ever. */
    answerNext: (...behaviours: readonly Behaviour[]) => {
      next = [...behaviours];
    },
    answer: (behaviour: Behaviour) => {
      always = behaviour;
    },
    close: () => {
      for (const each of chatter) clearInterval(each);
      server.closeAllConnections();
      return new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

export type Receiver = Awaited<ReturnType<typeof startReceiver>>;

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

function deliveryOf({ headers }: IncomingMessage, text: string, secret: string): Delivery {
  const id = String(headers["webhook-id"] ?? "");
  const { type = "", timestamp = "", data = {} } = JSON.parse(text);
  return { id, headers, text, type, timestamp, data, problem: problemOf(headers, text, secret) };
}

function problemOf(headers: IncomingMessage["headers"], text: string, secret: string) {
  try {
    new Webhook(secret).verify(text, headers as Record<string, string>);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : "not verified";
  }
}
