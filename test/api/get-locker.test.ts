import { afterEach, expect, test } from "vitest";
import { createLocker } from "../../src/locker/create-locker.js";
import { getLocker } from "../../src/locker/get-locker.js";
import type { Locker } from "../../src/locker/locker.js";

const url = "postgres://app@127.0.0.1:1/app";

afterEach(async () => {
  await getLocker().close();
});

test("a process has one, whoever asks first makes it", () => {
  const made: Locker[] = [];
  const create = (): Locker => {
    const locker = createLocker({ url, prefix: "shop:" });
    made.push(locker);
    return locker;
  };
  expect(getLocker(create)).toBe(made[0]);
  expect(getLocker(create)).toBe(made[0]);
  expect(getLocker()).toBe(made[0]);
  expect(made).toHaveLength(1);
});

test("another copy of the module finds it", async () => {
  const locker = getLocker(() => createLocker({ url }));
  const copy = "../../src/locker/get-locker.js?copy";
  const other = (await import(copy)) as typeof import("../../src/locker/get-locker.js");
  expect(other.getLocker).not.toBe(getLocker);
  expect(other.getLocker()).toBe(locker);
});

test("once it is closing, the next call makes another one", async () => {
  const first = getLocker(() => createLocker({ url }));
  const closed = first.close();
  const second = getLocker(() => createLocker({ url }));
  expect(second).not.toBe(first);
  await closed;
  expect(getLocker()).toBe(second);
});

test("without an address it is made all the same; its first use says what is missing", async () => {
  const names = ["LEASEHOLD_DATABASE_URL", "DATABASE_URL", "PGHOST", "PGPORT", "PGDATABASE", "PGUSER"];
  const before = names.map((name) => [name, process.env[name]] as const);
  for (const name of names) delete process.env[name];
  try {
    await expect(getLocker().tryAcquire("a")).rejects.toMatchObject({ name: "InvalidOptionError", option: "url" });
  } finally {
    for (const [name, value] of before) if (value !== undefined) process.env[name] = value;
  }
});

test("what makes it throws, and nothing is kept", () => {
  const create = (): Locker => {
    throw new Error("no");
  };
  expect(() => getLocker(create)).toThrow("no");
  expect(() => getLocker("create" as never)).toThrow("create: expected a function");
  const locker = createLocker({ url });
  expect(getLocker(() => locker)).toBe(locker);
});
