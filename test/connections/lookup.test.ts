// Names are looked up once for all who ask meanwhile: a lookup cannot be cancelled, and keeps the process alive.
import type { LookupAddress } from "node:dns";
import { expect, test } from "vitest";
import { lookupOnce } from "../../src/postgres/connection/dial.js";

const lookupsInProgress = () => process.getActiveResourcesInfo().filter((name) => name === "GetAddrInfoReqWrap").length;

function ask(name: string, options: { all?: boolean } = {}): Promise<string | LookupAddress[]> {
  return new Promise((resolve, reject) => {
    lookupOnce(name, options, (error, address) => (error === null ? resolve(address) : reject(error)));
  });
}

test("who asks for the same name meanwhile waits for the same answer", async () => {
  const before = lookupsInProgress();
  const same = Array.from({ length: 20 }, () => ask("localhost"));
  expect(lookupsInProgress() - before).toBe(1);
  const other = ask("localhost", { all: true }); // another question
  expect(lookupsInProgress() - before).toBe(2);

  const addresses = await Promise.all(same);
  expect(new Set(addresses).size).toBe(1);
  expect(addresses[0]).toMatch(/^(127\.0\.0\.1|::1)$/);
  expect(await other).toContainEqual({ address: addresses[0], family: expect.any(Number) });

  // It is not remembered once it is answered.
  await new Promise((resolve) => setImmediate(resolve)); // Node counts a lookup until its callback has returned
  expect(lookupsInProgress()).toBe(before);
  const later = ask("localhost");
  expect(lookupsInProgress() - before).toBe(1);
  expect(await later).toBe(addresses[0]);
});

test("an error is told to all of them", async () => {
  const name = "x".repeat(300); // longer than any name: no name server is asked
  const all = await Promise.allSettled([ask(name), ask(name)]);
  expect(all.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
});
