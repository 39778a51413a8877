import { createInspector } from "../../ui/inspector.js";
import type { InspectorAct } from "../../ui/options.js";
import { findAddress } from "../address.js";
import type { Arguments } from "../arguments.js";
import { type Command, connectionOptions, jsonOption } from "../command.js";
import { SUCCESS } from "../exit-codes.js";
import { writeNote, writeOut } from "../output.js";
import { serve } from "../ui/server.js";
import { UsageError } from "../usage-error.js";

const PORT = 4747;
const HOST = "127.0.0.1";

export const ui: Command = {
  name: "ui",
  summary: "a live page of leases, queues and sessions, in the browser",
  usage: "[--port <number>] [--host <address>] [--read-only] [options]",
  notes: `Prints an address with a token, which is good for one browser; when it was used, another. Without --host the page is for this machine only; with it,
it is sent unencrypted. The role needs leasehold.grant_monitoring; for one with leasehold.grant_admin the page can also release locks by force and sweep.
/metrics is for Prometheus, with the header "Authorization: Bearer <token>" of LEASEHOLD_METRICS_TOKEN. Ctrl-C ends it.`,
  options: {
    port: { value: "<number>", text: `where to listen; 0 for any that is free; default ${PORT}` },
    host: { value: "<address>", text: `for whom: an address of this machine; default ${HOST}, this machine alone` },
    "read-only": { text: "nothing can be released or swept from the page, whatever the role may do" },
    ...connectionOptions,
    ...jsonOption,
  },
  examples: [
    { text: "The page of the database that DATABASE_URL names", call: "leasehold ui" },
    { text: "On any free port, only to look at", call: "leasehold ui --port 0 --read-only" },
  ],
  positionals: [],
  async run(args) {
    const port = readPort(args);
    const host = args.text("host") ?? HOST;
    const isJson = args.has("json");
    const address = await findAddress(args);
    const { url, directUrl, connection } = address;
    const ended = untilSignal();
    try {
      const inspector = createInspector({ url, directUrl, connection, readOnly: args.has("read-only"), onAct: log });
      const end = await serve({
        host,
        port,
        handle: inspector.handle,
        metricsToken: process.env.LEASEHOLD_METRICS_TOKEN || null,
        onLink: (link, isFirst) => {
          if (isJson) writeOut(`${JSON.stringify({ url: link })}\n`);
          else writeOut(isFirst ? `${link}\n` : `For another browser: ${link}\n`);
        },
      });
      if (!isJson) writeNote("Open it in a browser. Ctrl-C ends it.");
      await ended;
      await end();
      await inspector.close();
      return SUCCESS;
    } finally {
      await address.close();
    }
  },
};

function readPort(args: Arguments): number {
  const text = args.text("port");
  if (text === undefined) return PORT;
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw new UsageError(`--port: expected a whole number of 0 to 65535, got ${text}`);
}

function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
}

/** One line for each act. */
function log({ at, action, key, fence, immediate, outcome }: InspectorAct): void {
  const what = [
    at.toISOString(),
    action,
    ...(key === null ? [] : [JSON.stringify(key)]),
    ...(fence === null ? [] : [`fence ${fence}`]),
    ...(immediate ? ["at once"] : []),
  ];
  writeNote(`${what.join(" ")}: ${outcome}`);
}
