// A short form of `npm run storm`.
import { afterAll, expect, test } from "vitest";
import { chooseSeed } from "../support/random.js";
import { startStormServer } from "./server.js";
import { storm } from "./storm.js";

const server = await startStormServer();
const seed = chooseSeed("storm");
afterAll(() => server[Symbol.asyncDispose]());

test.each(["tcp", "unix", "tls"] as const)(
  "connections torn down at random moments end no process, leave nothing, and settle every statement (%s)",
  async (transport) => {
    const report = await storm({ server, transport, tearDowns: 120, seed });

    expect(report.faults).toEqual([]);
    expect(report.answered).toBeGreaterThan(100);
  },
);
