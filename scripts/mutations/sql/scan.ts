// What is code in a text of SQL: neither a comment, nor a literal. The body of a function between dollars is code.

/** The same text, in which comments and literals are blanks: what is found in it stands at the same place in the original. */
export function codeOf(text: string): string {
  return text.replace(/--[^\n]*|'(?:[^']|'')*'/g, (match) =>
    match.replace(/[^\n]/g, match.startsWith("--") ? " " : "'"),
  );
}

/** How deep in parentheses each place is. */
export function depthsOf(code: string): readonly number[] {
  let depth = 0;
  return [...code].map((character) => {
    if (character === "(" || character === "[") return depth++;
    if (character === ")" || character === "]") return --depth;
    return depth;
  });
}

const ends =
  /^(?:and|or|then|loop|order|group|limit|offset|returning|for|union|intersect|except|on|when|end|else|having|left|right|full|join|cross|inner|window|as|where|is|from|set|do|using|select)\b/;

/** Where a condition that begins at `start` ends: before the next word that ends it, at the same depth. */
export function endOfTerm(code: string, depths: readonly number[], start: number): number {
  const depth = depths[start] ?? 0;
  let cases = 0;
  for (let at = start; at < code.length; at += 1) {
    const isDeeper = (depths[at] ?? 0) > depth;
    if ((depths[at] ?? 0) < depth || (!isDeeper && /[;,$]/.test(code[at] ?? ""))) return at;
    if (isDeeper || (at > start && !/[\s)]/.test(code[at - 1] ?? ""))) continue;
    const rest = code.slice(at, at + 12);
    if (/^case\b/.test(rest)) cases += 1;
    else if (at === start) continue;
    else if (cases > 0 && /^end\b/.test(rest)) cases -= 1;
    else if (cases === 0 && ends.test(rest) && !isPartOfTerm(code, at)) return at;
  }
  return code.length;
}

/** `is null`, `is distinct from` and `exists (select from` belong to a condition; `between x and y` is nowhere. */
function isPartOfTerm(code: string, at: number): boolean {
  return /^is\b/.test(code.slice(at)) || (/^from\b/.test(code.slice(at)) && /distinct\s+$/.test(code.slice(0, at)));
}
