import type { Capabilities, Feature, FeatureState } from "../api/capabilities.js";
import type { Store } from "../api/store.js";
import { InvalidOptionError } from "../errors/errors.js";
import { quote } from "../runtime/describe.js";

/** What a store has to have. */
const required = ["open", "acquire", "release", "abandon", "renew", "check", "ping", "close"] as const;

/** @throws InvalidOptionError when what a StoreFactory made is no store */
export function checkStore(store: unknown): Store {
  const members = (typeof store === "object" && store !== null ? store : {}) as Readonly<Record<string, unknown>>;
  const missing = required.find((name) => typeof members[name] !== "function");
  if (missing === undefined && typeof members.name === "string") {
    return store as Store;
  }
  const lack = missing === undefined ? "name" : `${missing}()`;
  const expected = `a function that returns a store: an object with name, ${required.map((name) => `${name}()`).join(", ")}; ${lack} is missing`;
  throw new InvalidOptionError({ option: "store", expected, received: store });
}

/** An object, so that the compiler notices one that is missing. */
const features: Readonly<Record<Feature, true>> = {
  "crash-detection": true,
  queue: true,
  "wake-ups": true,
  "shared-locks": true,
  "guarded-writes": true,
  "bounded-transactions": true,
  "failover-fences": true,
  "named-statements": true,
  "force-release": true,
  durable: true,
};

/** With each feature's state: what a store does not name is off. */
export function capabilitiesOf(store: Store, serverVersion: string): Capabilities {
  const missing: FeatureState = { isOn: false, why: `the store ${quote(store.name)} does not offer it` };
  const names = Object.keys(features) as Feature[];
  const states = Object.fromEntries(names.map((name) => [name, store.features?.[name] ?? missing]));
  return {
    serverVersion,
    schemaVersion: null,
    presence: "off",
    fenceSource: "auto",
    commands: "direct",
    features: states as Capabilities["features"],
  };
}
