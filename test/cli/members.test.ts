import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { familyOf, groupOf } from "../../src/cli/run/members.js";
import { isRunning } from "../support/processes.js";
import { until } from "../support/until.js";

interface Tree extends AsyncDisposable {
  readonly root: ChildProcess;
  readonly pid: number;
  /** Three generations below it, from the child on. */
  readonly descendants: readonly number[];
}

/** A shell with a child that has a child that has a child: each says its number, and waits. */
async function growTree(): Promise<Tree> {
  const leaf = "echo $$; exec sleep 60";
  const nested = [1, 2].reduce(
    (inner) => `echo $$; sh -c ${JSON.stringify(inner).replaceAll("$", "\\$")} & wait`,
    leaf,
  );
  const root = spawn("sh", ["-c", `sh -c ${JSON.stringify(nested).replaceAll("$", "\\$")} & wait`], {
    detached: true,
    stdio: ["ignore", "pipe", "ignore"],
  });
  let output = "";
  root.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const exit = once(root, "exit");
  await until("the leaf has spoken", () => output.match(/\d+\n/g)?.length === 3);
  return {
    root,
    pid: root.pid ?? 0,
    descendants: output.trim().split("\n").map(Number),
    [Symbol.asyncDispose]: async () => {
      groupOf(root.pid ?? 0).send("SIGKILL");
      await exit;
    },
  };
}

// By /proc, and by ps.
test.each(["linux", "darwin"] as const)(
  "a family is a process and all its descendants (as on %s)",
  async (platform) => {
    await using tree = await growTree();
    await using stranger = await growTree();
    const family = await familyOf(tree.pid, platform);
    expect(await family.areLeft()).toBe(true);
    family.send("SIGKILL");
    await until("all are gone", async () => !(await family.areLeft()));
    await until("all really are", () => [tree.pid, ...tree.descendants].every((pid) => !isRunning(pid)));
    expect([stranger.pid, ...stranger.descendants].every(isRunning)).toBe(true);
  },
);

test.each(["linux", "darwin"] as const)("who has lost its parent still belongs to it (as on %s)", async (platform) => {
  await using tree = await growTree();
  const family = await familyOf(tree.pid, platform);
  tree.root.kill("SIGKILL");
  await until("the root is gone", () => !isRunning(tree.pid));
  expect(await family.areLeft()).toBe(true);
  family.send("SIGKILL");
  await until("the others are gone", () => !tree.descendants.some(isRunning));
  expect(await family.areLeft()).toBe(false);
});

test("where there is no table of processes it is the process alone", async () => {
  await using tree = await growTree();
  const alone = await familyOf(tree.pid, "win32");
  expect(await alone.areLeft()).toBe(true);
  alone.send("SIGKILL");
  await until("it is gone", async () => !(await alone.areLeft()));
  expect(tree.descendants.every(isRunning)).toBe(true);
});
