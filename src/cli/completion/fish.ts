import { type Command, optionsOf, topOptions } from "../command.js";
import { allWords, type Entry, hasValue } from "./words.js";

/** A script for fish 3 and later. */
export function fishCompletion(commands: readonly Command[]): string {
  const takers = commands.filter(({ takesCommand }) => takesCommand);
  const values = takers
    .flatMap((command) => Object.entries(optionsOf(command)))
    .filter(([, option]) => hasValue(option));
  return `# leasehold for fish: leasehold completion fish > ~/.config/fish/completions/leasehold.fish

# Which word the command is that runs under the lock; fails where none is yet.
function __leasehold_start
    set -l words (commandline -opc)
    set -l given 0
    set -l i 3
    contains -- "$words[2]" ${takers.map(({ name }) => name).join(" ")}; or return 1
    while test $i -le (count $words)
        switch $words[$i]
            case --
                if test $given -gt 0
                    echo (math $i + 1)
                    return 0
                else if test "$words[$(math $i + 2)]" = --
                    echo (math $i + 3)
                    return 0
                end
                return 1
            case '-*'
                contains -- $words[$i] ${allWords(values).join(" ")}; and set i (math $i + 1)
            case '*'
                set given (math $given + 1)
        end
        set i (math $i + 1)
    end
    return 1
end

function __leasehold_under_lock
    set -l words (commandline -opc)
    set -l start (__leasehold_start)
    complete -C (string join -- ' ' (string escape -- $words[$start..-1]) (commandline -ct))
end

function __leasehold_is
    set -l words (commandline -opc)
    contains -- "$words[2]" $argv; and not contains -- -- $words
end

function __leasehold_has_none
    test (count (commandline -opc)) -eq 1
end

complete -c leasehold -f
complete -c leasehold -n __leasehold_start -a '(__leasehold_under_lock)'
${Object.entries(topOptions)
  .map((entry) => `complete -c leasehold -n __leasehold_has_none ${optionOf(entry)}`)
  .join("\n")}
complete -c leasehold -n __leasehold_has_none -a help -d 'print the help of a command'
complete -c leasehold -n __leasehold_has_none -a version -d 'print the version'
complete -c leasehold -n '__leasehold_is help' -a '${commands.map(({ name }) => name).join(" ")}'
${commands.map(block).join("\n")}
`;
}

function block(command: Command): string {
  const { name, summary, choices } = command;
  const condition = `-n '__leasehold_is ${name}'`;
  return [
    `complete -c leasehold -n __leasehold_has_none -a ${name} -d ${quoted(summary)}`,
    ...(choices === undefined ? [] : [`complete -c leasehold ${condition} -a ${quoted(choices.join(" "))}`]),
    ...Object.entries(optionsOf(command)).map((entry) => `complete -c leasehold ${condition} ${optionOf(entry)}`),
  ].join("\n");
}

function optionOf([name, option]: Entry): string {
  const short = option.short === undefined ? "" : `-s ${option.short} `;
  return `${short}-l ${name}${hasValue(option) ? " -x" : ""} -d ${quoted(option.text)}`;
}

/** In single quotes, as fish reads them. */
function quoted(text: string): string {
  return `'${text.replaceAll(/['\\]/g, "\\$&")}'`;
}
