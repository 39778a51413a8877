import { signalCode } from "../exit-codes.js";
import { type KnownSignals, knownOf, ownSignals } from "../known-signals.js";

/** Signals that are passed on to the command. SIGKILL and SIGSTOP cannot be caught; SIGTSTP, SIGTTIN and SIGTTOU are up to the terminal. */
const forwarded: readonly NodeJS.Signals[] = [
  "SIGINT",
  "SIGTERM",
  "SIGHUP",
  "SIGQUIT",
  "SIGUSR1",
  "SIGUSR2",
  "SIGWINCH",
  "SIGBREAK",
];
/** Signals that end a program by default. SIGWINCH (a new size of the terminal) does not. */
const ending: readonly NodeJS.Signals[] = forwarded.filter((signal) => signal !== "SIGWINCH");

/** A signal arrived before there was a command to pass it on to. */
export class Interrupted extends Error {
  readonly exitCode: number;

  constructor(signal: NodeJS.Signals, signalNumber: number) {
    super(`ended by ${signal} before the command was started`);
    this.exitCode = signalCode(signalNumber);
  }
}

/** Catches all signals that are passed on. They abort `signal` until `hold` is called; after that they are the command's. */
export class Signals {
  readonly #known: KnownSignals;
  readonly #controller = new AbortController();
  #send: ((signal: NodeJS.Signals) => void) | null = null;
  readonly #held: NodeJS.Signals[] = [];
  readonly #listener = (signal: NodeJS.Signals): void => {
    if (this.#send !== null) this.#send(signal);
    else if (ending.includes(signal)) this.#controller.abort(new Interrupted(signal, this.#known[signal] ?? 0));
  };

  constructor(known: KnownSignals = ownSignals) {
    this.#known = known;
    for (const signal of knownOf(forwarded, known)) process.on(signal, this.#listener);
  }

  /** Aborts with Interrupted as its reason. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Called before the command is started: it may be about to listen when a signal arrives, so that is kept for `to`. */
  hold(): void {
    this.#send = (signal) => void this.#held.push(signal);
  }

  /** Sends what was held, and all that arrives from now on. */
  to(send: (signal: NodeJS.Signals) => void): void {
    this.#send = send;
    for (const signal of this.#held) send(signal);
  }

  stop(): void {
    for (const signal of forwarded) process.off(signal, this.#listener);
  }
}
