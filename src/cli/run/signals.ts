import { constants } from "node:os";
import { signalCode } from "../exit-codes.js";

/** What is passed on to the command. SIGKILL and SIGSTOP cannot be, and SIGTSTP, SIGTTIN and SIGTTOU are a terminal's business. */
const forwarded = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH"] as const;
/** Those that end a program that does not expect them. A new size of the terminal ends nobody. */
const ending: readonly NodeJS.Signals[] = forwarded.filter((signal) => signal !== "SIGWINCH");

/** A signal came before there was a command to pass it on to. */
export class Interrupted extends Error {
  readonly exitCode: number;

  constructor(signal: NodeJS.Signals) {
    super(`ended by ${signal} before the command was started`);
    this.exitCode = signalCode(constants.signals[signal]);
  }
}

/** Takes all signals that are forwarded: until `to` is called they abort `signal`, from then on they go there. */
export class Signals {
  readonly #controller = new AbortController();
  #send: ((signal: NodeJS.Signals) => void) | null = null;
  readonly #listener = (signal: NodeJS.Signals): void => {
    if (this.#send !== null) this.#send(signal);
    else if (ending.includes(signal)) this.#controller.abort(new Interrupted(signal));
  };

  constructor() {
    for (const signal of forwarded) if (isKnown(signal)) process.on(signal, this.#listener);
  }

  /** Aborts with Interrupted as its reason. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  to(send: (signal: NodeJS.Signals) => void): void {
    this.#send = send;
  }

  stop(): void {
    for (const signal of forwarded) process.off(signal, this.#listener);
  }
}

/** Windows has fewer. */
function isKnown(signal: NodeJS.Signals): boolean {
  return signal in constants.signals;
}
