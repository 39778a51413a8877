// The side of child.ts that runs in the process: a worker file is `serve(async (args) => ({ commands }))`.

export interface Answer {
  readonly answer: number;
  readonly result?: unknown;
  readonly error?: { name: string; message: string; data: Record<string, unknown> };
}

export type FromWorker = Answer | { readonly event: string; readonly data: unknown };

type ToWorker = { start: unknown } | { id: number; command: string; args: unknown };

// biome-ignore lint/suspicious/noExplicitAny: each command says what it takes
export type Commands = Readonly<Record<string, (args: any) => unknown>>;

/** Tells the test: `await worker.next(event)`. */
export function emit(event: string, data?: unknown): void {
  post({ event, data });
}

/** Sets up with the arguments that the test gave to `startWorker`, then answers its requests until it ends. */
export function serve<T>(setUp: (args: T) => Promise<Commands> | Commands): void {
  let commands: Promise<Commands> | undefined;
  process.on("message", async (message: ToWorker) => {
    if ("start" in message) {
      commands = Promise.resolve(setUp(message.start as T));
      await commands; // what it throws is an unhandled rejection, which ends this process and shows on stderr
      emit("ready");
      return;
    }
    const { id, command, args } = message;
    try {
      const run = (await commands)?.[command];
      if (!run) throw new Error(`this worker has no command ${command}`);
      post({ answer: id, result: await run(args) });
    } catch (error) {
      post({ answer: id, error: describe(error) });
    }
  });
  // the test is gone
  process.on("disconnect", () => process.exit(1));
}

function post(message: FromWorker): void {
  if (process.connected) process.send?.(message);
}

function describe(error: unknown): NonNullable<Answer["error"]> {
  if (!(error instanceof Error)) return { name: "Error", message: String(error), data: {} };
  const data: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(error)) {
    if (["string", "number", "bigint", "boolean"].includes(typeof value)) data[name] = value;
  }
  // public getters and properties of a class may not be enumerable
  for (const name of ["code", "reason", "key", "outcome"]) {
    const value: unknown = Reflect.get(error, name);
    if (typeof value === "string") data[name] = value;
  }
  return { name: error.name, message: error.message, data };
}
