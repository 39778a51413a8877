import { subscribe, unsubscribe } from "node:diagnostics_channel";

/** Subscribes to channels until `stop`. */
export class Subscriptions {
  readonly #ends: (() => void)[] = [];

  on<Message>(name: string, listener: (message: Message) => void): void {
    const onMessage = (message: unknown): void => listener(message as Message);
    subscribe(name, onMessage);
    this.#ends.push(() => unsubscribe(name, onMessage));
  }

  stop(): void {
    for (const end of this.#ends.splice(0)) {
      end();
    }
  }
}
