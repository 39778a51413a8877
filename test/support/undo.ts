/** What must be taken back when it is over, the last first. (Node 20 has no AsyncDisposableStack.) */
export class Undo implements AsyncDisposable {
  readonly #steps: (() => unknown)[] = [];

  use<T extends AsyncDisposable>(resource: T): T {
    this.#steps.push(() => resource[Symbol.asyncDispose]());
    return resource;
  }

  defer(step: () => unknown): void {
    this.#steps.push(step);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const step of this.#steps.reverse()) await step();
  }
}
