// Server-sent events, as a browser reads them.
export interface ServerEvent {
  readonly name: string;
  readonly data: unknown;
}

/** A stream of events that is open until it is closed. */
export class EventReader implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #events: AsyncGenerator<ServerEvent, void>;
  readonly response: Promise<Response>;

  constructor(ask: (signal: AbortSignal) => Promise<Response>) {
    this.response = ask(this.#stop.signal);
    this.#events = parse(this.response);
  }

  /** Whatever comes next. @throws when the stream has ended */
  async next(): Promise<ServerEvent> {
    const { value, done } = await this.#events.next();
    if (done) throw new Error("the stream has ended");
    return value;
  }

  /** The next of this name for which it is true. */
  async until<Data>(name: string, isIt: (data: Data) => boolean = () => true): Promise<Data> {
    for (;;) {
      const event = await this.next();
      if (event.name === name && isIt(event.data as Data)) return event.data as Data;
      const { kind, message } = event.data as { kind?: string; message?: string };
      if (kind === "other") throw new Error(message); // a fault of ours, such as a query that is wrong
    }
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#events.return().catch(() => undefined);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

async function* parse(answer: Promise<Response>): AsyncGenerator<ServerEvent, void> {
  const { body, status } = await answer;
  if (status !== 200 || body === null) throw new Error(`the stream was answered with ${status}`);
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const parts = (rest + value).split("\n\n");
      rest = parts.pop() ?? "";
      for (const part of parts) {
        const found = /^event: (\w+)\ndata: (.*)$/.exec(part);
        if (found) yield { name: String(found[1]), data: JSON.parse(String(found[2])) };
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** The first events of these names, in this order. */
export async function readEvents(
  url: string,
  headers: Readonly<Record<string, string>>,
  names: readonly string[],
): Promise<ServerEvent[]> {
  await using events = new EventReader((signal) => fetch(url, { headers, signal }));
  const found: ServerEvent[] = [];
  for (const name of names) found.push({ name, data: await events.until(name) });
  return found;
}
