import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { askCli, CliProcess, callCli } from "../support/cli.js";
import { changeUrl } from "../support/client.js";
import { cliProgram } from "../support/compiled.js";
import { createDatabase, createRole } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";

const cli = cliProgram();
const database = await createDatabase();

const commands = [
  ["migrate"],
  ["run", "k", "--", "true"],
  ["ls"],
  ["show", "k"],
  ["waiting"],
  ["sessions"],
  ["stats"],
  ["stats", "--by-prefix"],
  ["hot"],
  ["release", "--force", "k"],
  ["sweep"],
  ["doctor"],
];

/** With --json too, which stands before `--`. */
function withJson([name = "", ...args]: readonly string[]): string[] {
  return [name, "--json", ...args];
}

test("no command shows a password or a token, whether it can connect or not", async () => {
  const owner = new URL(database.url).password;
  const role = await createRole(database);
  await using holder = new CliProcess(cli, ["run", "held", "--", "sh", "-c", "echo on; read -r line"], {
    url: database.url,
  });
  await holder.wrote("on");
  const [row] = await database.sql`select token::text from leasehold.leases where key = 'held'`;
  const addresses = [
    database.url,
    role.url,
    changeUrl(database.url, { password: "sesame-open" }),
    "postgres://someone:sesame-open@127.0.0.1:1/nowhere?sslmode=disable",
    "postgres://someone:sesame-open@@host:port/nowhere",
    "someone:sesame-open",
  ];
  const outputs: string[] = [];
  for (const [index, args] of commands.entries()) {
    // Each address with every command; --json and the two variables in turn.
    const results = await Promise.all(
      addresses.map((url, place) => {
        const isEven = (index + place) % 2 === 0;
        const options = isEven ? { url } : { env: { LEASEHOLD_DATABASE_URL: url } };
        return askCli(cli, isEven ? args : withJson(args), options);
      }),
    );
    expect(results.filter(({ code }) => code !== 0).length, args.join(" ")).toBeGreaterThanOrEqual(4);
    outputs.push(...results.map(({ stdout, stderr }) => stdout + stderr));
  }
  holder.write("over\n");
  await holder.result;
  const secrets = [owner, new URL(role.url).password, "sesame-open", row?.token];
  for (const secret of secrets) expect(outputs.join("\n")).not.toContain(secret);
});

test.each(commands.filter(([name]) => name !== "run").map((args) => [args.join(" "), args] as const))(
  "leasehold %s --json is JSON, and nothing else",
  async (_, args) => {
    const { stdout, stderr } = await callCli(withJson(args), { url: database.url });
    expect(stderr).toBe("");
    expect(() => JSON.parse(stdout)).not.toThrow();
  },
);

test("an address that was given with --url does not stay in the list of processes, nor reach the command", async () => {
  const { url } = database;
  const { password } = new URL(url);
  await using child = new CliProcess(
    cli,
    ["run", "listed", "--url", url, "--", "sh", "-c", "echo on; env; read -r line"],
    {},
  );
  await child.wrote("on");
  // of this process's own: tests beside it may name an address to theirs
  const all = execFileSync("ps", ["-A", "-ww", "-o", "pid=,ppid=,args="], { encoding: "utf8" }).split("\n");
  const list = all.filter((line) => isBelow(child.pid, line, all)).join("\n");
  child.write("over\n");
  const { stdout } = await child.result;
  expect(list).toMatch(new RegExp(`^ *${child.pid} +\\d+ leasehold run$`, "m"));
  expect(list).not.toContain(password);
  expect(stdout).not.toContain(password);
});

test("what its guardian was given to know is nothing secret", async () => {
  expectLeft(database, "leases", "sessions");
  await using child = new CliProcess(cli, ["run", "guarded", "--", "sh", "-c", "echo on; read -r line"], {
    url: database.url,
  });
  await child.wrote("on");
  const line = execFileSync("ps", ["-A", "-ww", "-o", "pid=,ppid=,args="], { encoding: "utf8" })
    .split("\n")
    .find((one) => new RegExp(`^ *\\d+ +${child.pid} /bin/sh`).test(one));
  expect(line).toBeDefined();
  const environment = execFileSync("ps", ["eww", "-p", `${line?.trim().split(" ")[0]}`], { encoding: "utf8" });
  expect(environment).not.toContain(new URL(database.url).password);
  child.write("over\n");
  await child.result;
});

/** Whether a line of the list is of that process, or of one that it has started. */
function isBelow(pid: number | undefined, line: string, all: readonly string[]): boolean {
  const [own, parent] = line.trim().split(/ +/).map(Number);
  if (own === pid) return true;
  const above = all.find((other) => Number(other.trim().split(/ +/)[0]) === parent);
  return above !== undefined && parent !== 0 && parent !== own && isBelow(pid, above, all);
}
