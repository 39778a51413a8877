import postgres from "postgres";
import { describe, expect, test } from "vitest";
import type { LockerOptions } from "../../../src/api/options.js";
import { readInstancesVariable } from "../../../src/config/instances-variable.js";
import { type ResolvedInstance, resolveInstances } from "../../../src/config/resolve-instances.js";
import { InvalidOptionError } from "../../../src/errors/errors.js";
import { createLocker } from "../../../src/locker/create-locker.js";
import { refusal } from "../refusal.js";

const east = "postgres://app:hunter2@east.example/app";
const west = "postgres://app:hunter2@west.example/app";

function resolve(options: object, env: Record<string, string> = {}): Record<string, ResolvedInstance> {
  return Object.fromEntries((resolveInstances(options, env) ?? []).map((instance) => [instance.name, instance]));
}

const refused = (options: object, env?: Record<string, string>) => {
  const { option, message } = refusal(() => resolve(options, env));
  expect(message).not.toContain("hunter2");
  return [option, message];
};

describe("what an instance has", () => {
  test("there are none without the option", () => {
    expect(resolveInstances({ url: east }, {})).toBeNull();
    expect(resolveInstances({ url: east, instances: undefined }, {})).toBeNull();
  });

  test("a weight of 1, and the options beside it where it has none of its own", () => {
    const { a, b } = resolve({
      prefix: "shop:",
      ttlMs: 10_000,
      takeoverDelayMs: 2_000,
      idleTimeoutMs: 1_000,
      instances: { a: { url: east }, b: { url: west, weight: 2.5, idleTimeoutMs: 3_000, takeoverDelayMs: undefined } },
    });
    expect([a?.weight, b?.weight]).toEqual([1, 2.5]);
    const common = { prefix: "shop:", ttlMs: 10_000, takeoverDelayMs: 2_000 };
    expect(a?.options).toMatchObject({ ...common, instance: "a", idleTimeoutMs: 1_000 });
    expect(b?.options).toMatchObject({ ...common, instance: "b", idleTimeoutMs: 3_000 });
    expect(b?.options.targets().target?.hosts[0]?.host).toBe("west.example");
  });

  test("the members of connection one by one", () => {
    const { a, b } = resolve({
      url: east,
      connection: { ssl: "verify-full", connection: { application_name: "shop" } },
      instances: { a: { connection: { database: "one" } }, b: { connection: { database: "two", ssl: false } } },
    });
    expect([a?.options.targets().target, b?.options.targets().target]).toMatchObject([
      { database: "one", ssl: "verify-full", applicationName: "shop", hosts: [{ host: "east.example" }] },
      { database: "two", ssl: false, applicationName: "shop", hosts: [{ host: "east.example" }] },
    ]);
  });

  test("no part of the others' address when it has one of its own: its session would be in another database", () => {
    const client = postgres(west);
    const shared = { url: "postgres://pool.example/app", directUrl: east };
    const { a, b, c, d } = resolve({
      ...shared,
      connection: { database: "shop" },
      instances: {
        a: {},
        b: { url: west },
        c: { client },
        d: { connection: { host: "north.example" } },
      },
    });
    const hosts = [a, b, c, d].map((one) => {
      const { target, directTarget } = one?.options.targets() ?? {};
      return [target?.hosts[0]?.host, directTarget?.hosts[0]?.host];
    });
    expect(hosts).toEqual([
      ["pool.example", "east.example"],
      ["west.example", "west.example"],
      [undefined, undefined],
      ["north.example", "north.example"],
    ]);
    expect(d?.options.targets().target?.database).toBe("shop");
    const host = { connection: { host: "east.example", port: 6432 }, instances: { a: {}, b: { url: west } } };
    expect(resolve(host).b?.options.targets().target?.hosts).toEqual([{ host: "west.example", port: 5432 }]);
  });

  test("the environment's address, read at the first use", () => {
    const env: Record<string, string> = {};
    const { a } = resolve({ instances: { a: {}, b: { url: west } } }, env);
    expect(refusal(() => a?.options.targets()).message).toMatch(
      /^instances\.a\.url: expected the address of a database/,
    );
    env.DATABASE_URL = "mysql://app:hunter2@east.example";
    expect(refusal(() => a?.options.targets())).toMatchObject({
      option: "DATABASE_URL",
      message: expect.stringMatching(/^instances\.a: DATABASE_URL: expected/),
    });
    env.DATABASE_URL = east;
    expect(a?.options.targets().target?.hosts[0]?.host).toBe("east.example");
  });
});

describe("what is refused", () => {
  test.each([
    [null, "got null"],
    ["east", "got a string"],
    [[{ url: east }], "got an array"],
    [{}, "with at least one instance"],
  ])("%j as the instances", (instances, message) => {
    expect(refused({ instances })).toEqual(["instances", expect.stringContaining(message)]);
  });

  test.each(["", "a b", "größe", "a.b", "a:b", "x".repeat(64)])("%j as a name", (name) => {
    expect(refused({ instances: { [name]: { url: east } } })).toEqual([
      "instances",
      expect.stringContaining("names of 1 to 63 letters, digits, - and _, got"),
    ]);
  });

  test("names like those of members that every object has are names", () => {
    const instances = JSON.parse(`{"__proto__": {"url": "${east}"}, "constructor": {"url": "${west}"}}`);
    expect(resolveInstances({ instances }, {})?.map(({ name }) => name)).toEqual(["__proto__", "constructor"]);
    expect(resolve({ instances: { ["x".repeat(63)]: { url: east }, "A-b_9": { url: west } } })).toBeDefined();
  });

  test.each([east, null, undefined, 5, []])("%j as an instance, without showing it", (instance) => {
    expect(refused({ instances: { a: instance } })).toEqual([
      "instances.a",
      expect.stringContaining("expected an object such as { url }"),
    ]);
  });

  test("a wrong option, by its path", () => {
    expect(refused({ instances: { a: { url: 5 } } })).toEqual([
      "instances.a.url",
      "instances.a.url: expected the address of a database, postgres://..., got a number",
    ]);
    expect(refused({ instances: { a: { url: east, connection: { host: "b" } } } })).toEqual([
      "instances.a.connection.host",
      "instances.a.connection.host: cannot be set beside url, which says where to connect already",
    ]);
    expect(refused({ instances: { a: { url: east, takeoverDelayMs: 5 } } })[0]).toBe("instances.a.takeoverDelayMs");
    expect(refused({ instances: { a: { url: east, connection: "x" } } })[0]).toBe("instances.a.connection");
    expect(refused({ instances: { a: { url: east, presence: null } } })[0]).toBe("instances.a.presence");
  });

  test("a wrong option beside them, without a path", () => {
    const instances = { a: { url: east } };
    expect(refused({ instances, ttlMs: 5 })[0]).toBe("ttlMs");
    expect(refused({ instances, requestTimeoutMs: "5" })[0]).toBe("requestTimeoutMs");
    expect(refused({ instances, instnaces: {} })).toEqual([
      "instnaces",
      expect.stringContaining('Did you mean "instances"?'),
    ]);
  });

  test("an option that is common to all, or that does not exist", () => {
    expect(refused({ instances: { a: { url: east, ttlMs: 5_000 } } })).toEqual([
      "instances.a.ttlMs",
      expect.stringContaining("expected it to stand beside instances: it is the same for all of them"),
    ]);
    expect(refused({ instances: { a: { url: east, instances: {} } } })[0]).toBe("instances.a.instances");
    expect(refused({ instances: { a: { url: east, wieght: 2 } } })).toEqual([
      "instances.a.wieght",
      'instances.a: "wieght": there is no such option in the options of an instance. Did you mean "weight"?',
    ]);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, "2", null])("%s as a weight", (weight) => {
    expect(refused({ instances: { a: { url: east, weight } } })).toEqual([
      "instances.a.weight",
      expect.stringMatching(/^instances\.a\.weight: expected a finite number, got .+ ?\(?/),
    ]);
  });

  test("weights of which none is above 0", () => {
    const instances = { a: { url: east, weight: 0 }, b: { url: west, weight: -1 } };
    expect(refused({ instances })).toEqual(["instances", expect.stringContaining("a weight above 0")]);
    expect(resolve({ instances: { ...instances, b: { url: west, weight: 0.001 } } })).toBeDefined();
  });

  test("one database twice", () => {
    const same = (instances: object, shared: object = {}) => refused({ ...shared, instances });
    const twice = { a: { url: east }, b: { url: "postgresql://other:hunter2@EAST.example:5432/app?sslmode=require" } };
    expect(same(twice)).toEqual([
      "instances.b",
      'instances.b: expected another database than that of instance "a": both are app on east.example:5432',
    ]);
    expect(same({ a: {}, b: {} }, { url: east })[0]).toBe("instances.b");
    expect(same({ a: {}, b: {} })[1]).toContain("both are what the environment names");
    const client = postgres(west);
    expect(same({ a: { client }, b: { client } })[1]).toContain("both are that of the same client");
    const pooled = (host: string) => ({ url: `postgres://${host}/app`, directUrl: east });
    expect(same({ a: pooled("one.example"), b: pooled("two.example") })[0]).toBe("instances.b");
  });

  test("not two databases of one server, nor what cannot be told", () => {
    const onEast = (database: string) => ({ connection: { database } });
    expect(resolve({ url: east, instances: { a: onEast("one"), b: onEast("two") } })).toBeDefined();
    expect(resolve({ instances: { a: onEast("one"), b: onEast("two") } })).toBeDefined();
    expect(resolve({ instances: { a: { client: postgres(east) }, b: { client: postgres(east) } } })).toBeDefined();
    const read = resolve({ instances: { a: {}, b: { url: east } } }, { DATABASE_URL: east });
    expect(read.a?.options.targets()).toBeDefined();
  });

  test("createLocker throws it", () => {
    expect(() => createLocker({ instances: {} })).toThrow(InvalidOptionError);
  });
});

describe("the variable LEASEHOLD_INSTANCES", () => {
  test("has addresses or options by name", () => {
    const text = JSON.stringify({ a: east, b: { url: west, weight: 2 } });
    const instances = readInstancesVariable(text) as LockerOptions["instances"];
    expect(instances).toEqual({ a: { url: east }, b: { url: west, weight: 2 } });
    expect(resolve({ instances }).b?.weight).toBe(2);
  });

  test.each(["", "a=b", `{"a": "${east}"`, "null", "[]", `"${east}"`])(
    "is refused when it is %j, and not shown",
    (text) => {
      const error = refusal(() => readInstancesVariable(text));
      expect(error.message).toMatch(/^LEASEHOLD_INSTANCES: expected a JSON object/);
      expect(JSON.stringify(error)).not.toContain("hunter2");
    },
  );
});
