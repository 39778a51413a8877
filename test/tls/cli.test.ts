// The command line over TLS: every command, what it is refused, and what befalls `run` while its command runs.
import { expect, test } from "vitest";
import { makeAuthority, makeCertificate } from "../support/certificate.js";
import { CliProcess, type CliResult, runCli } from "../support/cli.js";
import { changeUrl } from "../support/client.js";
import { cliProgram } from "../support/compiled.js";
import { createDatabase, createEmptyDatabase, createRole } from "../support/database.js";
import { leaseRow } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";
import { pemFiles } from "./pem-files.js";

const cli = cliProgram();
const database = await createDatabase();
const { sql } = database;

const authority = await makeAuthority();
const certificate = await makeCertificate(authority, ["127.0.0.1"]);
const { root, stranger } = await pemFiles({
  root: authority.cert,
  stranger: (await makeAuthority("A stranger")).cert,
});

const ask = (args: readonly string[], url = database.url): Promise<CliResult> => runCli(cli, args, { url });

const commands: Readonly<Record<string, readonly string[]>> = {
  run: ["run", "cli", "--", "echo", "it ran"],
  ls: ["ls", "--json"],
  show: ["show", "cli:held", "--json"],
  waiting: ["waiting"],
  sessions: ["sessions", "--json"],
  stats: ["stats"],
  hot: ["hot"],
  sweep: ["sweep"],
  doctor: ["doctor"],
  migrate: ["migrate"],
  "migrate --dry-run": ["migrate", "--dry-run"],
  "release --force": ["release", "--force", "cli:held"],
};

test.each(Object.keys(commands))("%s", async (name) => {
  await using locker = openLocker(database, { owner: "the holder" });
  await using _lock = await locker.acquire("cli:held");
  const { code, stdout, stderr } = await ask(commands[name] ?? []);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  if (name === "run") expect(stdout).toBe("it ran\n");
  if (["ls", "show", "sessions"].includes(name)) expect(stdout).toContain("the holder");
});

test("an empty database is migrated, and run then works", async () => {
  await using empty = await createEmptyDatabase();
  expect(await ask(["run", "cli", "--", "true"], empty.url)).toMatchObject({
    code: 195,
    stderr: expect.stringContaining("migrate"),
  });
  expect(await ask(["migrate"], empty.url)).toMatchObject({ code: 0, stderr: "" });
  expect(await ask(["run", "cli", "--", "echo", "it ran"], empty.url)).toMatchObject({ code: 0, stdout: "it ran\n" });
});

const refused: Readonly<Record<string, readonly [url: () => string | Promise<string>, says: RegExp]>> = {
  "an unknown role": [() => changeUrl(database.url, { user: "nobody_by_this_name" }), /authentication failed/],
  "an unknown database": [() => changeUrl(database.url, { database: "no_such_database" }), /does not exist/],
  "a role without rights": [async () => (await createRole(database)).url, /grant/],
  "no TLS where the server demands it": [
    () => changeUrl(database.url, { parameters: { sslmode: "disable" } }),
    /no encryption/,
  ],
  "a certificate that is not trusted": [
    () => changeUrl(database.url, { parameters: { sslmode: "verify-full", sslrootcert: stranger } }),
    /certificate/,
  ],
  "a root certificate that cannot be read": [
    () => changeUrl(database.url, { parameters: { sslmode: "verify-full", sslrootcert: "/no/such/file" } }),
    /sslrootcert/,
  ],
};

test.each(Object.entries(refused))("%s: run does not start its command, ls fails, both say why", async (_, row) => {
  const url = await row[0]();
  const [run, ls] = await Promise.all([ask(["run", "cli", "--", "echo", "it ran"], url), ask(["ls"], url)]);
  expect(run).toMatchObject({ code: expect.toBeOneOf([195, 196]), stdout: "", stderr: expect.stringMatching(row[1]) });
  expect(ls).toMatchObject({ code: expect.toBeOneOf([1, 2]), stdout: "", stderr: expect.stringMatching(row[1]) });
});

test("a verified address, given by the options and by libpq's variables", async () => {
  await using proxy = await startProxy(database.url, { certificate });
  const parameters = { sslmode: "verify-full", sslrootcert: root };
  const url = changeUrl(proxy.url(database.url), { parameters });
  expect(await ask(["run", "cli", "--", "echo", "it ran"], url)).toMatchObject({ code: 0, stdout: "it ran\n" });

  const { port, username, password, pathname } = new URL(url);
  const env = {
    PGHOST: "127.0.0.1",
    PGPORT: port,
    PGUSER: username,
    PGPASSWORD: password,
    PGDATABASE: pathname.slice(1),
    PGSSLMODE: "require",
  };
  expect(await runCli(cli, ["ls"], { env })).toMatchObject({ code: 0, stderr: "" });
});

test.each(["terminated", "reset", "silent"] as const)(
  "run keeps its lock and its command when its connections are %s",
  async (how) => {
    const key = `cli:${how}`;
    await using proxy = await startProxy(database.url);
    await using child = new CliProcess(cli, ["run", key, "--", "sh", "-c", "echo begun; read -r line; echo $line"], {
      url: proxy.url(database.url),
    });
    await child.wrote("begun\n");
    const before = await leaseRow(sql, key);

    if (how === "terminated") {
      await sql`
        select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and application_name like 'leasehold %'`;
    } else if (how === "reset") {
      proxy.cutAll();
    } else {
      const old = proxy.connections;
      for (const connection of old) connection.blackhole();
      // it gives them up after its timeout of a request, and makes new ones
      await until("there are others", () => proxy.connections.some((connection) => !old.includes(connection)));
    }
    await until("it is renewed", async () => (await leaseRow(sql, key)).expiresAt > before.expiresAt);
    child.write("over\n");

    const { code, stdout, stderr } = await child.result;
    expect({ code, stdout }).toEqual({ code: 0, stdout: "begun\nover\n" });
    // of silence it may tell
    if (how !== "silent") expect(stderr).toBe("");
    expect((await leaseRow(sql, key)).token).toBeNull();
  },
);
