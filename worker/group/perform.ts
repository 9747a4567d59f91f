/**
 * One action to its outcome, whoever carries it out: a relay, a publisher, the Fleet.
 *
 * Promises: never rejects; ends by the action's deadline.
 */
import { perform as performAtRelay } from "../act/relay.ts";
import type {
  Action,
  GroupConfig,
  NotifyAction,
  Outcome,
  PermitAction,
  PublishAction,
} from "../core/types.ts";
import { type Brake, fleetOf, inTime, type RawEnv, routesOf, secretOf } from "../env.ts";
import type { PublishResult } from "../publish/publisher.ts";
import { publishersFor } from "../publish/publishers.ts";
import { sendWebhook } from "../publish/webhook.ts";

/** @param config that of the moment of deciding: a node that was removed may still be in it. */
export async function perform(
  action: Action,
  config: GroupConfig,
  brake: Brake,
  env: RawEnv,
): Promise<Outcome> {
  try {
    switch (action.kind) {
      case "publish":
        return outcomeOf(action.id, await publish(action, config, env), Date.now());
      case "notify":
        return outcomeOf(action.id, await notify(action, config, env), Date.now());
      case "permit":
        return outcomeOf(action.id, await askPermit(action, config.name, brake, env), Date.now());
      default:
        return await performAtRelay(action, { group: config.name, now: Date.now, relay });
    }
  } catch (error) {
    console.error("action failed", action.kind, error instanceof Error ? error.message : "unknown");
    return outcomeOf(action.id, { kind: "unknown", detail: "an internal error" }, Date.now());
  }

  function relay(id: string) {
    const found = config.relays.find((each) => each.id === id);
    return found === undefined
      ? null
      : { url: found.url, token: secretOf(env, found.controlTokenSecret) };
  }
}

function outcomeOf(action: string, result: PublishResult, atMs: number): Outcome {
  const { retryAfterMs, ...said } = result;
  const outcome = { ...said, action, atMs };
  return retryAfterMs === undefined ? outcome : { ...outcome, retryAtMs: atMs + retryAfterMs };
}

async function publish(
  action: PublishAction,
  config: GroupConfig,
  env: RawEnv,
): Promise<PublishResult> {
  const secret = (name: string) => secretOf(env, name);
  const publishers = publishersFor(config, { routes: routesOf(env), secret });
  const publisher = publishers.find((each) => each.name === action.to);
  if (publisher === undefined)
    return { kind: "unreachable", detail: `${action.to} is no longer configured` };
  const { route, beat, receipt, deadlineMs } = action;
  return await publisher.publish(route, {
    timeoutMs: deadlineMs - Date.now(),
    ...(beat === null ? {} : { beat }),
    ...(receipt === null ? {} : { receipt }),
  });
}

async function notify(
  { to, notice, event, deadlineMs }: NotifyAction,
  { name, webhooks }: GroupConfig,
  env: RawEnv,
): Promise<PublishResult> {
  const webhook = webhooks.find((each) => each.name === to);
  if (webhook === undefined)
    return { kind: "unreachable", detail: `${to} is no longer configured` };
  return await sendWebhook(
    { id: notice, atMs: event.atMs, event, group: name },
    {
      url: webhook.url,
      secret: secretOf(env, webhook.signingSecret),
      timeoutMs: deadlineMs - Date.now(),
    },
  );
}

/** No answer is no refusal: a Fleet that is away must not hold up a failover. */
async function askPermit(
  { id, deadlineMs }: PermitAction,
  group: string,
  brake: Brake,
  env: RawEnv,
): Promise<PublishResult> {
  try {
    const asked = fleetOf(env).permit(group, id, brake);
    const { granted, detail } = await inTime(asked, deadlineMs - Date.now());
    return { kind: granted ? "done" : "refused", detail };
  } catch (error) {
    const why = error instanceof Error ? error.message : "no answer";
    return { kind: "unknown", detail: `the Fleet: ${why}` };
  }
}
