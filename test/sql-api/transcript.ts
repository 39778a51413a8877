// The psql transcripts of a page: what is typed at which prompt, and what is answered.

export interface Exchange {
  /** Whose prompt: `alice` of `alice=>`. */
  readonly who: string;
  readonly input: string;
  /** As it stands on the page. */
  readonly output: string;
}

const prompt = /^(\w+)=[*!]?[>#] /;
const continuation = /^\w+[-$][*!]?[>#] /;

/** All blocks of that language in the order of the page, as one session of each person. */
export function readTranscript(page: string, language = "psql"): Exchange[] {
  const blocks = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms");
  const lines = [...page.matchAll(blocks)].flatMap(([, text = ""]) => text.split("\n"));
  const exchanges: { who: string; input: string; output: string }[] = [];
  for (const line of lines) {
    const who = prompt.exec(line)?.[1];
    const last = exchanges.at(-1);
    if (who !== undefined) exchanges.push({ who, input: line.replace(prompt, ""), output: "" });
    else if (last === undefined) throw new Error(`no prompt before: ${line}`);
    else if (continuation.test(line)) last.input += `\n${line.replace(continuation, "")}`;
    else last.output += `${line}\n`;
  }
  return exchanges;
}

/** Without what differs from run to run, and without the alignment that depends on it. */
export function plain(output: string): string[] {
  return output
    .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?[+-]\d\d/g, "<time>")
    .split("\n")
    .filter((line) => !/^[-+]+$/.test(line))
    .map((line) =>
      line
        .split("|")
        .map((cell) => cell.trim())
        .join(" | "),
    )
    .filter((line) => line !== "");
}

// A number of six digits or more is a fence. Not the fraction of a second.
const changing = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<![.\w])\d{6,}\b/g;

/** The tokens and fences of the page stand for those of the run: the first that is answered for the first that stands there, and so on. */
export class Tokens {
  readonly #actual = new Map<string, string>();

  learn(expected: string, actual: string): void {
    const given = actual.match(changing) ?? [];
    for (const [index, token] of (expected.match(changing) ?? []).entries()) {
      const stands = given[index];
      if (!this.#actual.has(token) && stands !== undefined) this.#actual.set(token, stands);
    }
  }

  /** What is typed, with the tokens and fences of the run. */
  actual(text: string): string {
    return text.replaceAll(changing, (token) => this.#actual.get(token) ?? token);
  }
}
