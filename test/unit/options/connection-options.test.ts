import { describe, expect, test } from "vitest";
import { resolveLockerOptions } from "../../../src/config/resolve-options.js";
import { InvalidOptionError } from "../../../src/errors/errors.js";
import { describeOptions } from "../../../src/locker/describe-options.js";

const url = "postgres://app:hunter2@db.example/app";
const env = { DATABASE_URL: "postgres://env@env.example/env", DIRECT_URL: "postgres://direct@direct.example/direct" };
const resolve = (connection: unknown) => resolveLockerOptions({ url, connection }, {});
const targetsOf = (connection: unknown) => resolve(connection).targets();

describe("options of postgres.js that are taken", () => {
  test("stand in place of what the address says", () => {
    const password = () => "rotated";
    const { target } = targetsOf({
      user: "other",
      database: "db2",
      password,
      ssl: "require",
      target_session_attrs: "primary",
    });
    expect(target).toMatchObject({
      hosts: [{ host: "db.example", port: 5432 }],
      user: "other",
      database: "db2",
      password,
      ssl: "require",
      targetSessionAttrs: "read-write",
    });
  });

  test("make an address of their own where there is none", () => {
    const { target, directTarget } = resolveLockerOptions(
      { connection: { host: "h", port: 6000, user: "u" } },
      env,
    ).targets();
    expect(target).toMatchObject({ hosts: [{ host: "h", port: 6000 }], user: "u", database: "u", password: "" });
    expect(directTarget).toBe(target);
  });

  test("name a unix socket", () => {
    const path = "/run/postgresql/.s.PGSQL.5433";
    const { target } = resolveLockerOptions({ connection: { path, user: "u", ssl: true } }, env).targets();
    expect(target).toMatchObject({ hosts: [], path, ssl: false });
  });

  test("carry start-up parameters", () => {
    const { target } = targetsOf({
      connection: { application_name: "billing", work_mem: 64, jit: false, unset: undefined },
    });
    expect(target).toMatchObject({ applicationName: "billing", startup: { work_mem: "64", jit: "false" } });
    expect(target?.startup).not.toHaveProperty("unset");
  });

  test.each([
    { ssl: true },
    { ssl: { ca: "pem", rejectUnauthorized: true } },
    { ssl: "verify-full" },
    { sslnegotiation: "direct" },
    { keep_alive: 5 },
    { onnotice: () => undefined },
    { password: "" },
    { username: "u" },
  ])("%o", (connection) => {
    expect(() => resolve(connection)).not.toThrow();
  });
});

describe("options of postgres.js that are refused by name, with the reason", () => {
  test.each([
    ["max", 10, "the session is one connection"],
    ["max_lifetime", 60, "would end a connection that holds locks"],
    ["idle_timeout", 5, "idleTimeoutMs"],
    ["connect_timeout", 5, "connectTimeoutMs"],
    ["timeout", 5, "idleTimeoutMs"],
    ["backoff", true, "reconnects at a pace of its own"],
    ["max_pipeline", 1, "bounds what it sends"],
    ["prepare", false, "by what poolers allow"],
    ["no_prepare", true, "by what poolers allow"],
    ["fetch_types", true, "reads its results"],
    ["types", {}, "reads its results"],
    ["transform", {}, "reads its results"],
    ["debug", true, "secret tokens"],
    ["onclose", () => 1, "loss of the session"],
    ["onnotify", () => 1, "waiters"],
    ["onparameter", () => 1, "parameters"],
    ["socket", () => 1, "timed out"],
    ["publications", "x", "subscribe"],
  ])("%s", (name, value, says) => {
    const run = () => resolve({ [name]: value });
    expect(run).toThrow(InvalidOptionError);
    expect(run).toThrow(`connection.${name}: this option cannot be set: `);
    expect(run).toThrow(says);
  });

  test.each<[unknown, string]>([
    [{ sll: true }, 'Did you mean "ssl"?'],
    [{ target_session_attrs: "standby" }, "locks live on a server that accepts writes"],
    [{ target_session_attrs: "prefer-standby" }, "connection.target_session_attrs: expected"],
    [{ port: 0 }, "connection.port: expected an integer of 1 to 65535"],
    [{ port: "5432" }, "connection.port: expected"],
    [{ ssl: "no-verify" }, "connection.ssl: expected"],
    [{ ssl: null }, "connection.ssl: expected"],
    [{ password: 5 }, "connection.password: expected a string, or a function that gives one, got a number"],
    [{ user: "" }, "connection.user: expected"],
    [{ onnotice: "log" }, "connection.onnotice: expected a function"],
    [{ connection: "x" }, "connection.connection: expected an object"],
    [{ connection: { replication: "database" } }, "a replication connection runs no locks"],
    [{ connection: { client_encoding: "latin1" } }, "expected UTF8"],
    [{ connection: { work_mem: {} } }, "connection.connection.work_mem: expected text"],
    [null, "connection: expected an object, got null"],
    ["ssl", "connection: expected an object"],
  ])("%o", (connection, says) => {
    expect(() => resolve(connection)).toThrow(says);
  });

  test.each(["host", "port", "path"])("%s beside url", (name) => {
    const run = () => resolve({ [name]: name === "port" ? 5432 : "/x" });
    expect(run).toThrow(`connection.${name}: cannot be set beside url`);
  });

  test("no error shows a password", () => {
    for (const connection of [{ password: ["hunter2"] }, { pass: "hunter2" }, { passwrd: "hunter2" }, { port: 0 }]) {
      expect(() => resolve(connection)).toThrow(
        expect.objectContaining({ message: expect.not.stringContaining("hunter2") }),
      );
    }
  });
});

describe("where the addresses come from", () => {
  const hosts = (options: object, variables: Record<string, string>) => {
    const { target, directTarget } = resolveLockerOptions(options, variables).targets();
    return [target?.hosts[0]?.host, directTarget?.hosts[0]?.host];
  };
  const address = (host: string) => `postgres://u@${host}/d`;
  const client = Object.assign(() => 1, { unsafe: () => 1, end: () => 1, options: {} });

  test.each<[string, object, Record<string, string>, (string | undefined)[]]>([
    ["url", { url: address("a") }, {}, ["a", "a"]],
    ["url and directUrl", { url: address("a"), directUrl: address("b") }, {}, ["a", "b"]],
    ["DATABASE_URL", {}, { DATABASE_URL: address("a") }, ["a", "a"]],
    [
      "LEASEHOLD_DATABASE_URL before DATABASE_URL",
      {},
      { DATABASE_URL: address("a"), LEASEHOLD_DATABASE_URL: address("b") },
      ["b", "b"],
    ],
    ["DIRECT_URL", {}, { DATABASE_URL: address("a"), DIRECT_URL: address("b") }, ["a", "b"]],
    ["DATABASE_URL_UNPOOLED", {}, { DATABASE_URL: address("a"), DATABASE_URL_UNPOOLED: address("b") }, ["a", "b"]],
    [
      "LEASEHOLD_DIRECT_URL before the others",
      {},
      {
        DATABASE_URL: address("a"),
        DATABASE_URL_UNPOOLED: address("b"),
        DIRECT_URL: address("c"),
        LEASEHOLD_DIRECT_URL: address("d"),
      },
      ["a", "d"],
    ],
    ["directUrl beside DATABASE_URL", { directUrl: address("b") }, { DATABASE_URL: address("a") }, ["a", "b"]],
    [
      "no environment beside url",
      { url: address("a") },
      { DIRECT_URL: address("b"), DATABASE_URL: address("c") },
      ["a", "a"],
    ],
    [
      "no environment beside connection.host",
      { connection: { host: "h" } },
      { DATABASE_URL: address("a") },
      ["h", "h"],
    ],
    [
      "no DATABASE_URL beside client",
      { client },
      { DATABASE_URL: address("a"), DIRECT_URL: address("b") },
      [undefined, undefined],
    ],
    ["LEASEHOLD_DIRECT_URL beside client", { client }, { LEASEHOLD_DIRECT_URL: address("b") }, [undefined, "b"]],
    ["url beside client", { client, url: address("a") }, {}, ["a", "a"]],
    ["PGHOST alone", {}, { PGHOST: "p" }, ["p", "p"]],
    ["PGDATABASE alone", {}, { PGDATABASE: "d" }, ["localhost", "localhost"]],
    ["PGUSER alone", {}, { PGUSER: "u" }, ["localhost", "localhost"]],
    ["DATABASE_URL before PGHOST", {}, { PGHOST: "p", DATABASE_URL: address("a") }, ["a", "a"]],
    [
      "an empty variable is none",
      {},
      { LEASEHOLD_DATABASE_URL: "", DATABASE_URL: address("a"), DIRECT_URL: "" },
      ["a", "a"],
    ],
  ])("%s", (_, options, variables, expected) => {
    expect(hosts(options, variables)).toEqual(expected);
  });

  test("nowhere: the first use says what to set", () => {
    const { targets } = resolveLockerOptions({}, { PGPASSWORD: "secret" });
    expect(targets).toThrow("set LEASEHOLD_DATABASE_URL or DATABASE_URL in the environment, or PGHOST, PGUSER");
  });

  test("the environment is read at the first use", () => {
    const variables: Record<string, string> = {};
    const { targets } = resolveLockerOptions({}, variables);
    expect(targets).toThrow(InvalidOptionError);
    variables.DATABASE_URL = address("a");
    const { target } = targets();
    expect(target).toMatchObject({ hosts: [{ host: "a" }] });
    variables.DATABASE_URL = address("b");
    expect(targets().target).toBe(target);
  });

  test.each(["", "mysql://u:hunter2@h/d", 5])(
    "a directUrl of %o is refused at once, wherever url comes from",
    (value) => {
      expect(() => resolveLockerOptions({ directUrl: value }, {})).toThrow("directUrl: expected");
    },
  );

  test("an error in a variable names the variable", () => {
    expect(resolveLockerOptions({}, { DATABASE_URL: "mysql://u:hunter2@h/d" }).targets).toThrow(
      "DATABASE_URL: expected an address that starts with postgres:// or postgresql://, got a string",
    );
  });

  test.each([
    ["", "an empty string"],
    [5, "a number"],
    [new URL("postgres://a/b"), "an object"],
  ])("url: %s", (value, came) => {
    expect(() => resolveLockerOptions({ url: value }, env)).toThrow(
      `url: expected the address of a database, postgres://..., got ${came}`,
    );
  });

  test("connect_timeout of the address is the default of connectTimeoutMs", () => {
    const shown = (options: object) => describeOptions(resolveLockerOptions(options, {})).connectTimeoutMs;
    expect(shown({ url })).toBe(5_000);
    expect(shown({ url: `${url}?connect_timeout=3` })).toBe(3_000);
    expect(shown({ url: `${url}?connect_timeout=3`, connectTimeoutMs: 700 })).toBe(700);
  });
});
