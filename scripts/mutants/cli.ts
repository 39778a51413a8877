// Faults in what the command line does to commands, terminals and secrets.
import type { Mutant } from "./mutant.js";

const run = ["test/cli/run.test.ts"];
const terminal = ["test/cli/run-terminal.test.ts"];

export const cli: readonly Mutant[] = [
  {
    name: "cli: --embedded makes its folder before it looks for the package",
    file: "src/cli/embedded/use.ts",
    edits: [["  const entry = findPackage();", "  await ensureStateFolder();\n  const entry = findPackage();"]],
    tests: ["test/cli/embedded.test.ts"],
  },
  {
    name: "cli: run passes on what the terminal sends by itself",
    file: "src/cli/run/child.ts",
    edits: [['return !this.#isGroup && (signal === "SIGINT"', 'return false && (signal === "SIGINT"']],
    tests: terminal,
  },
  {
    name: "cli: run takes the terminal from its command",
    file: "src/cli/run/child.ts",
    edits: [['const isGroup = !hasTerminal() && process.platform !== "win32";', "const isGroup = true;"]],
    tests: terminal,
  },
  {
    name: "cli: run signals its command alone, not the group",
    file: "src/cli/run/child.ts",
    edits: [["if (this.#isGroup) groupOf(this.#pid).send(signal);\n    else send(", "send("]],
    tests: run,
  },
  {
    name: "cli: run asks only to end, and never kills",
    file: "src/cli/run/child.ts",
    edits: [['      members.send("SIGKILL");\n', ""]],
    tests: run,
  },
  {
    name: "cli: run lets a stopped command be",
    file: "src/cli/run/child.ts",
    edits: [['    members.send("SIGCONT"); // what is stopped hears no SIGTERM\n', ""]],
    tests: run,
  },
  {
    name: "cli: a loss that only the release tells is none",
    file: "src/cli/run/under-lock.ts",
    edits: [["if (error instanceof LeaseLostError) return runCodes.lost;", ""]],
    tests: run,
  },
  {
    name: "cli: run hears no signal while it waits",
    file: "src/cli/run/signals.ts",
    edits: [["else if (ending.includes(signal)) this", "else if (signal === null) this"]],
    tests: run,
  },
  {
    name: "cli: the guardian does nothing",
    file: "src/cli/run/guardian.ts",
    edits: [["read -r _ && exit 0\n", "read -r _; exit 0\n"]],
    tests: run,
  },
  {
    name: "cli: on a terminal only the command itself is ended",
    file: "src/cli/run/process-table.ts",
    edits: [
      [
        "  for (const { pid } of found) found.push(...table.filter((entry) => entry.parent === pid && !found.includes(entry)));\n",
        "",
      ],
    ],
    tests: terminal,
  },
  {
    name: "cli: a key may write to the terminal",
    file: "src/cli/table.ts",
    edits: [["const cells = rows.map((row) => row.map(printable));", "const cells = rows;"]],
    tests: ["test/unit/cli/table.test.ts"],
  },
  {
    name: "cli: --url stays in the list of processes",
    file: "src/cli/main.ts",
    edits: [["if (mayHoldPassword) process.title", "if (Math.random() > 1) process.title"]],
    tests: ["test/cli/secrets.test.ts"],
  },
  {
    name: "cli: a crash leaves the terminal as the screen was",
    file: "src/cli/watch/screen.ts",
    edits: [["    process.stdout.write(LEAVE);\n", ""]],
    tests: ["test/cli/watch.test.ts"],
  },
  {
    name: "cli: the embedded server never stops",
    file: "src/cli/embedded/keeper.ts",
    edits: [["if (await isUsed(link)) used = now();", "used = now();"]],
    tests: ["test/cli/embedded.test.ts"],
  },
  {
    name: "cli: --dry-run runs it",
    file: "src/cli/commands/migrate.ts",
    edits: [["if (!isDryRun && statements.length > 0) {", "if (statements.length > 0) {"]],
    tests: ["test/cli/migrate.test.ts"],
  },
  {
    name: "cli: show of a free key succeeds",
    file: "src/cli/commands/show.ts",
    edits: [
      ['.join("\\n\\n")}\\n`);\n    return isFree ? FAILURE : SUCCESS;', '.join("\\n\\n")}\\n`);\n    return SUCCESS;'],
    ],
    tests: ["test/cli/views.test.ts"],
  },
  {
    name: "cli: a key that was never granted is free, whoever is about to be",
    file: "src/cli/show/look.ts",
    edits: [['if (row === undefined || row.state === "free") return null;', "if (row !== undefined) return null;"]],
    tests: ["test/cli/views.test.ts"],
  },
  {
    name: "cli: --wait is over when its time is",
    file: "src/cli/release/until-free.ts",
    edits: [
      [
        "if (leftMs <= 0) return { isFree: false, info, isShared };",
        "if (leftMs <= 0) return { isFree: true, info, isShared };",
      ],
    ],
    tests: ["test/cli/views.test.ts"],
  },
  {
    name: "cli: a key that others went on to share is said to have been free",
    file: "src/cli/release/until-free.ts",
    edits: [["some((fence) => others?.includes(fence));", "some(() => false);"]],
    tests: ["test/cli/shares.test.ts"],
  },
  {
    name: "cli: a share that was taken is told as the whole key",
    file: "src/cli/commands/release.ts",
    edits: [["const isShared = isOne && ", "const isShared = !isOne && "]],
    tests: ["test/cli/shares.test.ts"],
  },
  {
    name: "cli: --wait is for the holder, not for its transaction",
    file: "src/cli/release/until-free.ts",
    edits: [['if (info.state === "blocked") return false;', 'if (info.state === "blocked") return true;']],
    tests: ["test/cli/views.test.ts"],
  },
  {
    name: "cli: a role that may not force is told to ask for usage",
    file: "src/postgres/postgres-backend.ts",
    edits: [['const isLacking = right === "admin" &&', "const isLacking = Math.random() > 1 &&"]],
    tests: ["test/cli/views.test.ts", "test/loss/force-release.test.ts"],
  },
  {
    name: "migrate: nobody is told who is in the way",
    file: "src/postgres/schema/migrate-wait.ts",
    edits: [["        onWait(found);\n", ""]],
    tests: ["test/migrate/processes.test.ts", "test/cli/migrate.test.ts"],
  },
  {
    name: "migrate: who is in the way is not in the error",
    file: "src/postgres/schema/migrate-errors.ts",
    edits: [["      inTheWay ??\n", "      null ??\n"]],
    tests: ["test/migrate/processes.test.ts"],
  },
  {
    name: "cli: what a realtime signal ended is a success",
    file: "src/cli/run/observed-process.ts",
    edits: [["return codeOf(status) ?? exitCodeOf(code, signal);", "return exitCodeOf(code, signal);"]],
    tests: run,
  },
  {
    name: "cli: the command is reaped before its status was read",
    file: "src/cli/run/spawning-thread.ts",
    edits: [["    Atomics.wait(gate, 0, 0);\n", ""]],
    tests: run,
  },
  {
    name: "cli: a signal that arrives while the command starts is lost",
    file: "src/cli/run/under-lock.ts",
    edits: [["    signals.hold();\n", ""]],
    tests: ["test/cli/run-start.test.ts"],
  },
  {
    name: "cli: --quiet hides what is no skip",
    file: "src/cli/commands/run.ts",
    edits: [['if (!isConflict || !args.has("quiet")) tell(error);', 'if (!args.has("quiet")) tell(error);']],
    tests: run,
  },
  {
    name: "cli: --conflict-exit-code is that of all failures to start",
    file: "src/cli/commands/run.ts",
    edits: [["return isConflict ? conflictCode : error.exitCode;", "return conflictCode;"]],
    tests: run,
  },
  {
    name: "cli: a key between two -- is the command",
    file: "src/cli/arguments.ts",
    edits: [['key !== undefined && separator === "--"', 'key !== undefined && separator === "---"']],
    tests: run,
  },
  {
    name: "cli: an address in the wrong place is shown",
    file: "src/cli/quote-argument.ts",
    edits: [
      [
        'return address.test(text) ? "an address" : quote(text);',
        "return text.length < 0 ? address.source : quote(text);",
      ],
    ],
    tests: ["test/cli/usage.test.ts"],
  },
  {
    name: "cli: a pattern has more wildcards than it says",
    file: "src/cli/pattern.ts",
    edits: [['return isPattern ? self.replaceAll(/[\\\\%_]/g, "\\\\$&") : self;', "return self;"]],
    tests: ["test/cli/views.test.ts"],
  },
  {
    name: "cli: sessions shows the dead unasked",
    file: "src/cli/commands/sessions.ts",
    edits: [['args.has("all") ? rows : rows', "rows.length > 0 ? rows : rows"]],
    tests: ["test/cli/views.test.ts"],
  },
  {
    name: "cli: a long key loses its end",
    file: "src/cli/table.ts",
    edits: [["cutMiddle(texts[index]", "cut(texts[index]"]],
    tests: ["test/unit/cli/table.test.ts"],
  },
  {
    name: "cli: bash offers options behind --",
    file: "src/cli/completion/bash.ts",
    edits: [["        start=-1\n", "        start=0\n"]],
    tests: ["test/cli/completion.test.ts"],
  },
  {
    name: "cli: show takes an expired lease that a transaction keeps for free",
    file: "src/cli/show/check-only.ts",
    edits: [["row.blocked === true || ", ""]],
    tests: ["test/cli/views.test.ts"],
  },
];
