import { type Command, jsonOption } from "../command.js";
import { bashCompletion } from "../completion/bash.js";
import { fishCompletion } from "../completion/fish.js";
import { zshCompletion } from "../completion/zsh.js";
import { SUCCESS } from "../exit-codes.js";
import { writeJson, writeOut } from "../output.js";

const scripts = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;
type Shell = keyof typeof scripts;

export const completion: Command = {
  name: "completion",
  summary: "print what makes a shell complete commands and options",
  usage: "bash|zsh|fish",
  notes: `bash: in ~/.bashrc, source <(leasehold completion bash)
zsh: into a file _leasehold in a folder of $fpath, before compinit runs
fish: into ~/.config/fish/completions/leasehold.fish
Keys are not completed: that would open a connection to a database, perhaps a production one, at a press of Tab.`,
  examples: [
    { text: "For this bash", call: "source <(leasehold completion bash)" },
    { text: "For zsh, where this folder is in $fpath", call: 'leasehold completion zsh > "$HOME/.zfunc/_leasehold"' },
    { text: "For fish", call: "leasehold completion fish > ~/.config/fish/completions/leasehold.fish" },
  ],
  options: jsonOption,
  positionals: ["<shell>"],
  choices: Object.keys(scripts),
  async run(args, all) {
    const shell = args.positionals[0] as Shell; // one of `choices`
    const script = scripts[shell](await all());
    if (args.has("json")) writeJson({ shell, script });
    else writeOut(script);
    return SUCCESS;
  },
};
