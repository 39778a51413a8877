import { VERSION } from "../runtime/version.js";
import {
  type Command,
  callOf,
  commonOptions,
  connectionOptions,
  type Example,
  jsonOption,
  optionCall,
  optionsOf,
} from "./command.js";

/** The manual page of `leasehold`, as roff for man(1). Without a date, so that it is the same whenever it is made. */
export function manPage(commands: readonly Command[]): string {
  return `${[
    `.TH LEASEHOLD 1 "" "leasehold ${VERSION}" "User Commands"`,
    ".SH NAME",
    "leasehold \\- locks that live in Postgres",
    ".SH SYNOPSIS",
    ".B leasehold",
    ".I command",
    ".RI [ options ]",
    ".SH DESCRIPTION",
    "A lock is a row in Postgres with a key, a holder and a time at which it ends.",
    ".B leasehold run",
    "holds one while a command runs;",
    "the other commands look at locks, and at the database that they live in.",
    ".PP",
    "Durations have a unit: 500ms, 30s, 2m, 1h30m. A number alone is refused.",
    "Behind a",
    ".B \\-\\-",
    "there are no options, so a key there may begin with a dash.",
    ".SH OPTIONS",
    "Every command takes these:",
    ...options({ ...jsonOption, ...commonOptions }),
    ".PP",
    ...wrapped("Without a command, --examples prints those of all commands; version is the same as --version.").map(
      text,
    ),
    ".PP",
    text(`These say where the database is, for all commands but ${withoutDatabase(commands)}:`),
    ...options(connectionOptions),
    ".SH COMMANDS",
    ...commands.flatMap(section),
    ".SH EXIT STATUS",
    "0 when it was done, 1 when it could not be done,",
    "2 when the command line is wrong or no address was given.",
    ".B leasehold run",
    "has codes of its own, see there.",
    ".SH ENVIRONMENT",
    ...environment.flatMap(([names, text]) => tagged(names, text)),
    ".SH SEE ALSO",
    ".BR psql (1),",
    ".BR flock (1)",
  ].join("\n")}\n`;
}

const environment = [
  ["LEASEHOLD_DATABASE_URL, DATABASE_URL", "The address of the database: postgres://user:password@host/database."],
  [
    "LEASEHOLD_DIRECT_URL, DIRECT_URL, DATABASE_URL_UNPOOLED",
    "Its address past a pooler, where the other leads through one.",
  ],
  ["LEASEHOLD_INSTANCES", "Several databases, as JSON: an address, or an object of options, for each name."],
  ["PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE", "As libpq reads them, where there is no address."],
  ["LEASEHOLD_EMBEDDED_LINGER", "How long the server of --embedded stays after its last use; a minute by default."],
  ["NO_COLOR", "No colours."],
] as const;

function section(command: Command): string[] {
  const { name, summary, notes, examples } = command;
  const shared = { ...connectionOptions, ...jsonOption, ...commonOptions };
  const own = Object.fromEntries(Object.entries(optionsOf(command)).filter(([option]) => !(option in shared)));
  return [
    `.SS leasehold ${name}`,
    `.B ${text(callOf(command))}`,
    ".PP",
    text(sentence(summary)),
    ...options(own),
    ...(notes === undefined ? [] : [".PP", ...paragraphs(notes)]),
    ".PP",
    examples.length > 1 ? "Examples:" : "Example:",
    ...examples.flatMap(example),
  ];
}

function withoutDatabase(commands: readonly Command[]): string {
  const names = commands.filter(({ options }) => !("url" in options)).map(({ name }) => name);
  return names.join(", ").replace(/, (?=[^,]*$)/, " and ");
}

function options(table: Command["options"]): string[] {
  return Object.entries(table).flatMap(([name, option]) => tagged(optionCall(name, option), sentence(option.text)));
}

function tagged(tag: string, body: string): string[] {
  return [".TP", `.B ${text(tag)}`, ...wrapped(body).map(text)];
}

/** Lines as they are: a list would run into one paragraph otherwise. */
function paragraphs(notes: string): string[] {
  return notes
    .split("\n\n")
    .flatMap((paragraph, index) => [...(index === 0 ? [] : [".PP"]), ".nf", ...wrapped(paragraph).map(text), ".fi"]);
}

function example({ text: what, call }: Example): string[] {
  return [".PP", `${text(what)}:`, ".PP", ".RS 4", ".nf", text(call), ".fi", ".RE"];
}

const COLUMNS = 72;

/** Long lines are broken between words; what begins with blanks is a table, and stays as it is. */
function wrapped(paragraph: string): string[] {
  return paragraph.split("\n").flatMap((line) => {
    if (line.startsWith(" ")) return [line];
    const lines: string[] = [];
    for (const word of line.split(" ")) {
      const last = lines.at(-1);
      if (last !== undefined && last.length + word.length < COLUMNS) lines[lines.length - 1] = `${last} ${word}`;
      else lines.push(word);
    }
    return lines;
  });
}

function sentence(summary: string): string {
  return `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
}

/** Text as roff takes it: nothing in it is a request, and dashes, quotes and backslashes are what a shell needs. */
function text(plain: string): string {
  const escaped = plain
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll("'", "\\(aq")
    .replaceAll('"', "\\(dq")
    .replaceAll("`", "\\(ga")
    .replaceAll("~", "\\(ti")
    .replaceAll("^", "\\(ha");
  return escaped.startsWith(".") ? `\\&${escaped}` : escaped;
}
