/** Groups for the tests inside workerd, as the variables of wrangler.toml would give them. */
const group = (name: string, settings: Readonly<Record<string, unknown>> = {}) => ({
  name,
  check_interval_ms: 5000,
  relays: [
    {
      id: "a",
      url: `http://relay-a.${name}.test`,
      local: ["a"],
      control_token_secret: "RELAY_CONTROL",
      data_token_secret: "RELAY_DATA",
    },
  ],
  nodes: [{ id: "a", host: "10.0.0.1" }],
  ...settings,
});

const two = {
  nodes: [
    { id: "a", host: "10.0.0.1" },
    { id: "b", host: "10.0.0.2" },
  ],
};

/** A variable holds 5 KB: further groups go to the next one. */
export const variables = {
  GROUPS: [
    group("alarmed"),
    group("scheduled", { check_interval_ms: 60_000 }),
    group("faulty"),
    group("lost"),
    group("saving"),
    group("twice", { command_timeout_ms: 10_000, promote_timeout_ms: 20_000 }),
    // A slow look would set its alarm once more.
    group("steady", { check_interval_ms: 1000, drift_interval_ms: 86_400_000 }),
  ],
  GROUPS_2: [
    group("superseded"),
    group("unreadable"),
    group("asked", two),
    group("braked", two),
    group("unanswered", two),
    group("drill-after-election", two),
    group("drill-after-promotion", two),
    group("leased", { fencing: "lease" }),
    group("routed", two),
    group("drifting", two),
  ],
  GROUPS_3: [
    // Regions that see the relay, and have no vote.
    group("watched", { vantages: ["relay:a", "weur", "enam"], check_interval_ms: 1000 }),
    group("seen-from-afar", { vantages: ["relay:a", "oc"], quiet: false }),
    group("left-alone", {
      ...two,
      vantages: ["relay:a", "relay:b", "eeur"],
      relays: ["a", "b"].map((id) => ({
        ...{ id, url: `http://relay-${id}.left-alone.test`, local: [id] },
        ...{ control_token_secret: "RELAY_CONTROL", data_token_secret: "RELAY_DATA" },
      })),
    }),
  ],
  RELAY_CONTROL: "control-token-of-the-tests",
  RELAY_DATA: "data-token-of-the-tests",
  TRACE_URL: "",
  READ_TOKEN: "read-token-of-the-tests",
  OPERATE_TOKEN: "operate-token-of-the-tests",
};
