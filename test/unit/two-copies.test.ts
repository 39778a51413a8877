// Two copies of the package in one process, as when one dependency imports it and another requires it. That of the tarball is tested in
// test/package/.
import { beforeEach, expect, test, vi } from "vitest";

beforeEach(() => vi.resetModules());

async function copyOf<Module>(load: () => Promise<Module>): Promise<Module> {
  vi.resetModules();
  return await load();
}

test("an error of one copy is an instance of the same class, and of its base, of the other, and of no other", async () => {
  const load = () => import("../../src/errors/errors.js");
  const [a, b] = [await copyOf(load), await copyOf(load)];
  expect(a.ClosedError).not.toBe(b.ClosedError);
  const error = new a.StaleFenceError({ key: "a", fence: 1n, holder: null });
  expect(error).toBeInstanceOf(b.StaleFenceError);
  expect(error).toBeInstanceOf(b.LeaseholdError);
  expect(error).not.toBeInstanceOf(b.ClosedError);
});

test("lockers of two copies have numbers of their own, so that messages tell them apart", async () => {
  const load = () => import("../../src/observe/hooks/publisher.js");
  const copies = [await copyOf(load), await copyOf(load)];
  const ids = [0, 1, 0, 1].map((copy) => new (copies[copy] as (typeof copies)[0]).Publisher().lockerId);
  expect(new Set(ids).size).toBe(4);
});

test("a client in a guarded transaction of one copy is busy for the other, too", async () => {
  const load = () => import("../../src/guard/node-postgres.js");
  const [a, b] = [await copyOf(load), await copyOf(load)];
  const guard = { key: "a", fence: 1n } as never; // what its message names
  const client = {};
  await a.alone(client, guard, async () => {
    await expect(b.alone(client, guard, async () => "ran")).rejects.toThrow("this is a transaction already");
  });
  expect(await b.alone(client, guard, async () => "ran")).toBe("ran");
});
