import { type Command, jsonOption } from "../command.js";
import { SUCCESS } from "../exit-codes.js";
import { manPage } from "../man-page.js";
import { writeJson, writeOut } from "../output.js";

export const man: Command = {
  name: "man",
  summary: "print the manual page",
  usage: "[--json]",
  notes: "For man(1): leasehold man | man -l -. After npm install --global, man leasehold shows it.",
  examples: [{ text: "Keep it as a file", call: "leasehold man > leasehold.1" }],
  options: jsonOption,
  positionals: [],
  async run(args, all) {
    const page = manPage(await all());
    if (args.has("json")) writeJson({ page });
    else writeOut(page);
    return SUCCESS;
  },
};
