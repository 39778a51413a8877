import { expect, test } from "vitest";
import { runCli } from "../support/cli.js";
import { cliProgram } from "../support/compiled.js";
import { createDatabase } from "../support/database.js";

const cli = cliProgram();
const database = await createDatabase();

test("a signal that arrives while the command is just starting is passed on as well", async () => {
  // Its first act: `leasehold run` may not even know yet that it was started. In vain, it ends by itself.
  const script = "trap 'exit 5' USR1; kill -USR1 $PPID; for i in $(seq 100); do sleep 0.05; done; exit 9";
  const starts = Array.from({ length: 8 }, (_, n) => runCli(cli, ["run", `k${n}`, "--", "sh", "-c", script], database));
  // The shell may say that its sleep, in the same group, was ended.
  for (const result of await Promise.all(starts)) expect(result).toMatchObject({ code: 5, stdout: "" });
});
