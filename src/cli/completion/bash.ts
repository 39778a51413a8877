import { type Command, optionsOf, topOptions } from "../command.js";
import { allWords, hasValue } from "./words.js";

/** A script for bash 3.2 (that of macOS) and later; it does not need the package bash-completion. */
export function bashCompletion(commands: readonly Command[]): string {
  const names = commands.map(({ name }) => name).join(" ");
  return `# leasehold for bash: source <(leasehold completion bash)
_leasehold() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]}
  local command=\${COMP_WORDS[1]} options values="" choices="" takes_command="" given=0 start=0 i j
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W "${names} help version ${allWords(Object.entries(topOptions)).join(" ")}" -- "$cur"))
    return
  fi
  case $command in
${commands.map(branch).join("\n")}
    help)
      options=""
      choices="${names}"
      ;;
    *) return ;;
  esac
  for ((i = 2; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
      --)
        start=-1
        [[ -n $takes_command ]] && ((given > 0)) && start=$((i + 1))
        # a key of its own between two: bash has split it at its colons
        for ((j = i + 1; j < COMP_CWORD; j++)); do
          [[ -n $takes_command && $given == 0 && \${COMP_WORDS[j]} == -- ]] && start=$((j + 1)) && break
        done
        break
        ;;
      -*)
        if [[ " $values " == *" \${COMP_WORDS[i]} "* ]]; then
          ((i++))
          [[ \${COMP_WORDS[i]} == = ]] && ((i++))
        fi
        ;;
      *) ((given++)) ;;
    esac
  done
  if ((start > 0 && COMP_CWORD >= start)); then
    # what runs under the lock: its name, then files
    compopt -o filenames 2> /dev/null
    if ((COMP_CWORD == start)); then
      COMPREPLY=($(compgen -c -- "$cur"))
    else
      COMPREPLY=($(compgen -f -- "$cur"))
    fi
  elif ((start == 0)) && [[ " $values " != *" $prev "* && $prev != = ]]; then
    if [[ $cur == -* ]]; then
      COMPREPLY=($(compgen -W "$options" -- "$cur"))
    elif ((given == 0)); then
      COMPREPLY=($(compgen -W "$choices" -- "$cur"))
    fi
  fi
}
complete -F _leasehold leasehold
`;
}

function branch(command: Command): string {
  const options = optionsOf(command);
  const values = Object.entries(options).filter(([, option]) => hasValue(option));
  const lines = [
    `options="${allWords(Object.entries(options)).join(" ")}${command.takesCommand ? " --" : ""}"`,
    ...(values.length === 0 ? [] : [`values="${allWords(values).join(" ")}"`]),
    ...(command.choices === undefined ? [] : [`choices="${command.choices.join(" ")}"`]),
    ...(command.takesCommand ? ["takes_command=1"] : []),
  ];
  return `    ${command.name})\n${lines.map((line) => `      ${line}\n`).join("")}      ;;`;
}
