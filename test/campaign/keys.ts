// What is locked in a round. Few keys, so that processes meet.
export interface Keys {
  readonly exclusive: readonly string[];
  readonly shared: readonly string[];
  readonly semaphore: readonly { readonly key: string; readonly capacity: number }[];
  /** With a row in campaign.accounts each. */
  readonly accounts: readonly string[];
  /** What many stand in line for. */
  readonly waits: readonly string[];
}

const long = "long:".padEnd(499, "x");

export const keys: Keys = {
  exclusive: ["plain:1", "plain:2", "plain:3", "plain:4", `${long}:a`, `${long}:b`],
  shared: ["shared:1", "shared:2"],
  semaphore: [
    { key: "semaphore:1", capacity: 1 },
    { key: "semaphore:2", capacity: 3 },
    { key: "semaphore:3", capacity: 8 },
  ],
  accounts: ["account:1", "account:2", "account:3", "account:4"],
  waits: ["line:1", "line:2"],
};

export const openingBalance = 1_000;

export function allKeys({ exclusive, shared, semaphore, accounts, waits }: Keys): readonly string[] {
  return [...exclusive, ...shared, ...semaphore.map(({ key }) => key), ...accounts, ...waits];
}
