import { constants } from "node:os";
import { emitKeypressEvents } from "node:readline";
import { signalCode } from "../exit-codes.js";
import { type KnownSignals, ownSignals } from "../known-signals.js";
import type { Size } from "./frame.js";
import type { Key } from "./state.js";

const ENTER = "\u001b[?1049h\u001b[?25l"; // the alternate screen, no cursor
const LEAVE = "\u001b[?25h\u001b[?1049l";
const HOME = "\u001b[H";
const TO_END_OF_LINE = "\u001b[K";
const BELOW = "\u001b[J";

const endings = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGBREAK"] as const;

export interface ScreenEvents {
  onKey(key: Key): void;
  /** Called to draw again: the size has changed, or the screen is back after Ctrl-Z. */
  onChange(): void;
}

/** The terminal, drawn on. However the process ends, except by SIGKILL, the terminal is then as it was before. */
export class Screen {
  readonly #events: ScreenEvents;
  #isOpen = false;
  readonly #onKey = (_: unknown, key: Key): void => this.#events.onKey(key);
  readonly #onResize = (): void => this.#events.onChange();
  readonly #onContinue = (): void => {
    this.#enter();
    this.#events.onChange();
  };
  readonly #leave = (): void => {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    process.stdout.write(LEAVE);
    if (process.stdin.isTTY) process.stdin.setRawMode(false);
  };
  // The handler of "exit" restores the terminal. It also runs after an uncaught error.
  readonly #onSignal = (signal: NodeJS.Signals): void => process.exit(signalCode(constants.signals[signal]));

  constructor(events: ScreenEvents) {
    this.#events = events;
    process.on("exit", this.#leave);
    process.on("SIGCONT", this.#onContinue);
    for (const signal of endings) process.on(signal, this.#onSignal);
    process.stdout.on("resize", this.#onResize);
    emitKeypressEvents(process.stdin);
    process.stdin.on("keypress", this.#onKey);
    this.#enter();
  }

  get size(): Size {
    return { columns: process.stdout.columns || 80, rows: process.stdout.rows || 24 };
  }

  draw(lines: readonly string[]): void {
    if (!this.#isOpen) return;
    process.stdout.write(`${HOME}${lines.map((line) => `${line}${TO_END_OF_LINE}`).join("\r\n")}${BELOW}`);
  }

  /** On Ctrl-Z: gives the terminal back to the shell until the process is resumed. Does nothing where nothing can be suspended: on Windows. */
  suspend(known: KnownSignals = ownSignals): void {
    if (!("SIGTSTP" in known)) return;
    this.#leave();
    process.kill(process.pid, "SIGTSTP");
  }

  close(): void {
    this.#leave();
    process.off("exit", this.#leave);
    process.off("SIGCONT", this.#onContinue);
    for (const signal of endings) process.off(signal, this.#onSignal);
    process.stdout.off("resize", this.#onResize);
    process.stdin.off("keypress", this.#onKey);
    process.stdin.pause();
  }

  #enter(): void {
    this.#isOpen = true;
    if (process.stdin.isTTY) process.stdin.setRawMode(true);
    process.stdin.resume();
    process.stdout.write(ENTER);
  }
}
