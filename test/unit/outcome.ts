// What has become of a promise, without waiting for it: under a manual clock nothing must be awaited that time has to bring about.

const pending = new Map<Outcome<unknown>, string>();

export class Outcome<Value> {
  /** How often it was settled, by whatever road: a promise hides all but the first. */
  state: "pending" | "resolved" | "rejected" = "pending";
  value: Value | undefined;
  error: unknown;

  constructor(promise: Promise<Value>, name: string) {
    pending.set(this, name);
    promise.then(
      (value) => {
        this.state = "resolved";
        this.value = value;
        pending.delete(this);
      },
      (error: unknown) => {
        this.state = "rejected";
        this.error = error;
        pending.delete(this);
      },
    );
  }

  /** @throws when it is not resolved */
  get result(): Value {
    if (this.state !== "resolved") {
      throw new Error(`expected it to be resolved, it is ${this.state}`, { cause: this.error });
    }
    return this.value as Value;
  }
}

/** A test must not end before what it watches is settled. */
export function watch<Value>(promise: Promise<Value>, name = "a promise"): Outcome<Value> {
  return new Outcome(promise, name);
}

/** Those that are not settled; forgotten afterwards. */
export function pendingPromises(): string[] {
  const names = [...pending.values()].map((name) => `${name} is still pending`);
  pending.clear();
  return names;
}
