// What the demo shows: lines as things happen, and under them one that moves. Where it is piped, that one comes now and then.
import { clearLine, cursorTo } from "node:readline";

const everyMs = 2_000;

export class Screen {
  readonly #out = process.stdout;
  readonly #start = performance.now();
  #line = "";
  #printedAt = 0;

  get seconds(): number {
    return (performance.now() - this.#start) / 1_000;
  }

  /** Something happened. */
  say(text: string): void {
    this.#print(`${this.#time}  ${text}`);
  }

  /** A line without the time in front. */
  print(text = ""): void {
    this.#print(text);
  }

  /** How things stand. */
  progress(text: string): void {
    if (this.#out.isTTY) {
      this.#line = `${this.#time}  ${text}`.slice(0, this.#out.columns - 1);
      this.#clear();
      this.#out.write(this.#line);
    } else if (performance.now() - this.#printedAt >= everyMs) {
      this.#printedAt = performance.now();
      this.#out.write(`${this.#time}    ${text}\n`);
    }
  }

  endProgress(): void {
    this.#clear();
    this.#line = "";
  }

  #print(text: string): void {
    this.#clear();
    this.#out.write(`${text}\n${this.#line}`);
  }

  #clear(): void {
    if (this.#line === "") return;
    clearLine(this.#out, 0);
    cursorTo(this.#out, 0);
  }

  get #time(): string {
    return `${this.seconds.toFixed(1).padStart(5)} s`;
  }
}
