import { sleep } from "../../runtime/clock.js";
import { type Command, connectionOptions, jsonOption } from "../command.js";
import { parseDuration } from "../duration.js";
import { SUCCESS } from "../exit-codes.js";
import { writeOut } from "../output.js";
import { printable } from "../printable.js";
import { styleFor } from "../style.js";
import { UsageError } from "../usage-error.js";
import { viewLines } from "../view.js";
import { frame, pageOf, type Reading, scrolled } from "../watch/frame.js";
import { Reader } from "../watch/reader.js";
import { Screen } from "../watch/screen.js";
import { allTabs, initialState, type Key, press } from "../watch/state.js";

const EVERY_MS = 2_000;
const LEAST_MS = 100;

export const watch: Command = {
  name: "watch",
  summary: "a live screen of leases, queues and sessions",
  usage: "[--every <duration>] [options]",
  notes: `Keys: q quit, s sort by the next column, r reverse, / filter by key or owner (Esc drops it), 1 2 3 or Tab lists, arrows scroll.
Where the output is no terminal, the lists are printed again and again; with --json, as one line of JSON each time.`,
  options: {
    every: { value: "<duration>", text: "how often to look; default 2s" },
    ...connectionOptions,
    ...jsonOption,
  },
  examples: [
    { text: "A live screen", call: "leasehold watch" },
    { text: "One reading as a line of JSON", call: "leasehold watch --json | head -n 1" },
  ],
  positionals: [],
  async run(args) {
    const every = args.text("every");
    const everyMs = every === undefined ? EVERY_MS : parseDuration("--every", every);
    if (everyMs < LEAST_MS) throw new UsageError(`--every: expected ${LEAST_MS}ms or more, got ${every}`);
    const reader = await Reader.open(args);
    try {
      if (args.has("json")) await repeat(reader, everyMs, asJson);
      else if (process.stdout.isTTY) await live(reader, everyMs);
      else await repeat(reader, everyMs, asText);
    } finally {
      await reader.close();
    }
    return SUCCESS;
  },
};

/** Prints until nobody reads the output any more, or a signal arrives. */
async function repeat(reader: Reader, everyMs: number, toText: (reading: Reading) => string): Promise<never> {
  for (;;) {
    writeOut(toText(await reader.read()));
    await sleep(everyMs, { keepsAlive: true });
  }
}

function asJson({ at, rows, trouble }: Reading): string {
  const lists = Object.fromEntries(allTabs.map(({ title }, index) => [title, rows[index]]));
  return `${printable(JSON.stringify({ at, ...lists, trouble }))}\n`;
}

function asText({ at, rows, trouble }: Reading): string {
  const parts = allTabs.map(({ view }, index) => {
    const list = rows[index] ?? [];
    return list.length === 0 ? view.empty : viewLines(view, list, { width: Number.POSITIVE_INFINITY }).join("\n");
  });
  return `${at.toISOString()}${trouble === null ? "" : `  ${trouble}`}\n${parts.join("\n\n")}\n\n`;
}

/** Draws until the user quits. Quitting does not wait for a server that does not answer. */
async function live(reader: Reader, everyMs: number): Promise<never> {
  let reading = await reader.read();
  let state = initialState;
  const style = styleFor(process.stdout);
  const draw = (): void => {
    state = scrolled(state, reading, screen.size);
    screen.draw(frame(state, reading, screen.size, style));
  };
  const onKey = (key: Key): void => {
    const next = press(state, key, pageOf(screen.size));
    if (next === "quit") process.exit(SUCCESS);
    else if (next === "suspend") screen.suspend();
    else {
      state = next;
      draw();
    }
  };
  const screen = new Screen({ onKey, onChange: () => draw() });
  try {
    for (;;) {
      draw();
      await sleep(everyMs, { keepsAlive: true });
      reading = await reader.read();
    }
  } finally {
    screen.close();
  }
}
