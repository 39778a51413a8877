import { type Command, optionsOf } from "../command.js";
import { allWords, type Entry, hasValue, singleQuoted, wordsOf } from "./words.js";

/** A script for zsh, to be found in `$fpath` by the name of `_leasehold`. */
export function zshCompletion(commands: readonly Command[]): string {
  const takers = commands.filter(({ takesCommand }) => takesCommand);
  const values = takers
    .flatMap((command) => Object.entries(optionsOf(command)))
    .filter(([, option]) => hasValue(option));
  return `#compdef leasehold
# leasehold for zsh: into a file _leasehold in a folder of $fpath

# Sets start to the place of the command that runs under the lock; fails where there is none yet.
_leasehold_start() {
  local -i i given=0
  local -a values=(${allWords(values).join(" ")})
  [[ $words[2] == (${takers.map(({ name }) => name).join("|")}) ]] || return 1
  for ((i = 3; i < CURRENT; i++)); do
    case $words[i] in
      --)
        if ((given > 0)); then
          start=$((i + 1))
        elif [[ $words[i+2] == -- ]]; then
          start=$((i + 3))
        fi
        break
        ;;
      -*) ((\${values[(Ie)$words[i]]})) && ((i++)) ;;
      *) ((given++)) ;;
    esac
  done
  ((start > 0 && CURRENT >= start))
}

_leasehold() {
  local -a leasehold_commands=(
${commands.map(({ name, summary }) => `    ${singleQuoted(`${name}:${summary.replaceAll(":", "\\:")}`)}`).join("\n")}
    'help:print the help of a command'
    'version:print the version'
  )
  if ((CURRENT == 2)); then
    _arguments '(- *)--examples[print the examples of all commands]' '(- *)'{-h,--help}'[print the help]' '(- *)'{-v,--version}'[print the version]' '*: :->command'
    _describe command leasehold_commands
    return
  fi
  local -i start=0
  if _leasehold_start; then
    # here, because zsh gives both back their values at the end of a function
    shift $((start - 1)) words
    ((CURRENT -= start - 1))
    _normal
    return
  fi
  local command=$words[2] state line
  shift words
  ((CURRENT--))
  case $command in
${commands.map(branch).join("\n")}
    help) _describe command leasehold_commands ;;
  esac
}

_leasehold "$@"
`;
}

function branch(command: Command): string {
  // A key is a state that nobody acts on: where _arguments is to show a message, it does not insert an option that is typed in its place.
  const specs = [
    ...Object.entries(optionsOf(command)).map(optionSpec),
    command.choices === undefined ? "'*: :->key'" : `'1: :(${command.choices.join(" ")})'`,
  ];
  return `    ${command.name})\n      _arguments -s -S ${specs.join(" \\\n        ")}\n      ;;`;
}

/** As _arguments takes it: `'(-j --json)'{-j,--json}'[print JSON]'`. */
function optionSpec(entry: Entry): string {
  const [, option] = entry;
  const taken = hasValue(option) ? option.value : undefined;
  const words = wordsOf(entry);
  const written = words.length > 1 ? `{${words.map((word) => withSuffix(word, taken)).join(",")}}` : "";
  const value = taken === undefined ? "" : `:${escaped(taken.replaceAll(/[<>]/g, ""))}: `;
  const text = `[${escaped(option.text)}]${value}`;
  const exclusion = option.isRepeatable ? "*" : words.length > 1 ? `(${words.join(" ")})` : "";
  if (written === "") return singleQuoted(`${exclusion}${withSuffix(words[0] ?? "", taken)}${text}`);
  return `${singleQuoted(exclusion)}${written}${singleQuoted(text)}`;
}

/** A long option takes its value behind `=` as well as in the next word, a short one behind itself, too. */
function withSuffix(word: string, value: string | undefined): string {
  if (value === undefined) return word;
  return word.startsWith("--") ? `${word}=` : `${word}+`;
}

function escaped(text: string): string {
  return text.replaceAll(/[[\]:\\]/g, "\\$&");
}
