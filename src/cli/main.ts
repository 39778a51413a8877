import { InvalidKeyError, InvalidOptionError } from "../errors/errors.js";
import { nearest } from "../errors/option-checks.js";
import { VERSION } from "../runtime/version.js";
import { type Arguments, readArguments } from "./arguments.js";
import { type Command, callOf, optionsOf } from "./command.js";
import { allCommands, commands } from "./commands.js";
import { FAILURE, SUCCESS, USAGE } from "./exit-codes.js";
import { allExamples, examplesOf, helpOf, overview } from "./help.js";
import { printError, writeOut } from "./output.js";
import { quoteArgument } from "./quote-argument.js";
import { NoAddressError, UsageError } from "./usage-error.js";

/** Runs the command line, and resolves to the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  endWhenNobodyReads();
  const [name = "--help", ...args] = argv;
  if (name === "version" || name === "--version" || name === "-v") return print(`${VERSION}\n`);
  if (name === "--examples") return print(await allExamples());
  if (name === "--help" || name === "-h" || (name === "help" && args.length === 0)) return print(await overview());
  const isHelp = name === "help";
  const command = await find(isHelp ? (args[0] ?? "") : name);
  if (command === null) return USAGE;
  return isHelp ? print(helpOf(command)) : await call(command, args);
}

async function call(command: Command, args: readonly string[]): Promise<number> {
  const end = args.indexOf("--");
  const own = args.slice(0, end < 0 ? args.length : end);
  const isJson = own.some((arg) => arg === "--json" || /^-[a-z]*j/i.test(arg));
  try {
    if (command.takesCommand && end < 0 && !own.some(asksAboutIt)) {
      throw new UsageError(`the command to run follows behind --: ${callOf(command)}`);
    }
    const given = readArguments(args, { ...command, options: optionsOf(command) });
    if (given.has("help")) return print(helpOf(command));
    if (given.has("version")) return print(`${VERSION}\n`);
    if (given.has("examples")) return print(examplesOf(command));
    checkPositionals(command, given);
    // An address may contain a password, and everybody on this machine can read the arguments of a process.
    const mayHoldPassword = ["url", "direct-url", "instance"].some((option) => given.has(option));
    if (mayHoldPassword) process.title = `leasehold ${command.name}`;
    return await command.run(given, allCommands);
  } catch (error) {
    printError(`leasehold ${command.name}`, error, isJson);
    return exitCode(command, error);
  }
}

function asksAboutIt(arg: string): boolean {
  return ["--help", "-h", "--version", "-v", "--examples"].includes(arg);
}

function exitCode({ exitCodes }: Command, error: unknown): number {
  const isUsage =
    error instanceof UsageError || error instanceof InvalidOptionError || error instanceof InvalidKeyError;
  if (isUsage) return exitCodes?.usage ?? USAGE;
  return exitCodes?.error ?? (error instanceof NoAddressError ? USAGE : FAILURE);
}

async function find(name: string): Promise<Command | null> {
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load !== undefined) return await load();
  const near = nearest(name, Object.keys(commands));
  const advice = near === null ? "leasehold --help shows the commands." : `Did you mean ${near}?`;
  printError("leasehold", new UsageError(`${quoteArgument(name)}: there is no such command. ${advice}`), false);
  return null;
}

function checkPositionals(command: Command, given: Arguments): void {
  const { positionals, takesCommand, choices } = command;
  const required = positionals.filter((one) => !one.startsWith("["));
  const call = callOf(command);
  const missing = required[given.positionals.length];
  if (missing !== undefined) throw new UsageError(`${missing} is missing: ${call}`);
  const extra = given.positionals[positionals.length];
  if (extra !== undefined) {
    const advice = takesCommand && given.command === null ? "the command to run follows behind --" : "that is too much";
    throw new UsageError(`${quoteArgument(extra)}: ${advice}: ${call}`);
  }
  const [first] = given.positionals;
  if (choices !== undefined && first !== undefined && !choices.includes(first))
    throw new UsageError(`${quoteArgument(first)}: expected ${choices.join(", ")}: ${call}`);
}

function print(text: string): number {
  writeOut(text);
  return SUCCESS;
}

/** In `leasehold ls | head -1` the reader stops early, which is no error. A full disk is one. */
function endWhenNobodyReads(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(SUCCESS);
    printError("leasehold", new Error(`the output cannot be written: ${error.message}`), false);
    process.exit(FAILURE);
  });
  // A command under a lock is ended properly, even if the reason cannot be written anywhere.
  process.stderr.on("error", () => undefined);
}
