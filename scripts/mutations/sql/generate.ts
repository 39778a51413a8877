// Faults in SQL by rule: each condition dropped and turned around, each lock weakened, each clock moved, each statement left out.
import { createHash } from "node:crypto";
import { codeOf, depthsOf, endOfTerm } from "./scan.js";

export interface GeneratedMutant {
  /** The same for as long as the line and the fault are: neither other lines nor their number count. */
  readonly id: string;
  readonly file: string;
  readonly line: number;
  /** Which rule made it, such as `condition dropped`. */
  readonly rule: string;
  readonly before: string;
  readonly after: string;
  /** The file's text with the fault in it. */
  readonly text: string;
}

interface Edit {
  readonly rule: string;
  readonly at: number;
  readonly end: number;
  readonly after: string;
}

/** All faults of a file of src/sql, in the order of their places. */
export function generate(file: string, text: string): readonly GeneratedMutant[] {
  const code = codeOf(text);
  const rules = [conditions, locks, clocks, comparisons, extremes, limits, nulls, statements];
  const edits = rules.flatMap((rule) => rule(code, text)).sort((a, b) => a.at - b.at);
  const seen = new Map<string, number>();
  return edits.map(({ rule, at, end, after }) => {
    const before = text.slice(at, end);
    const from = text.lastIndexOf("\n", at - 1) + 1;
    const whole = text.slice(from, text.indexOf("\n", end) === -1 ? text.length : text.indexOf("\n", end));
    const what = JSON.stringify([file, rule, whole.trim(), before, after]);
    const nth = (seen.get(what) ?? 0) + 1;
    seen.set(what, nth);
    return {
      id: createHash("sha256").update(`${what}${nth}`).digest("hex").slice(0, 10),
      file,
      line: text.slice(0, at).split("\n").length,
      rule,
      before: oneLine(before),
      after: oneLine(after),
      text: text.slice(0, at) + after + text.slice(end),
    };
  });
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}

function conditions(code: string, text: string): readonly Edit[] {
  const depths = depthsOf(code);
  const edits: Edit[] = [];
  for (const match of code.matchAll(/\b(?:and|or|where|if|elsif|while|on|return)(?=[\s(])|:=|\(/g)) {
    const [word] = match;
    if (word === "if" && /end\s+$/.test(code.slice(0, match.index))) continue;
    if (word === "on" && !/\bjoin\b[^;]*$/.test(code.slice(0, match.index))) continue;
    const start = skipBlanks(code, match.index + word.length);
    const end = trimEnd(code, endOfTerm(code, depths, start));
    const next = /^\s+(and|or)\b/.exec(code.slice(end));
    if (end <= start || code[start] === ")" || code.slice(start, end) === "true") continue;
    if (/^(\(|:=|return)$/.test(word) && next === null) continue; // not a condition, or one alone
    const term = text.slice(start, end);
    if (word === "and" || word === "or") {
      edits.push({ rule: "condition dropped", at: match.index, end, after: "" });
    } else if (next !== null) {
      edits.push({ rule: "condition dropped", at: start, end: end + next[0].length, after: "" });
    } else if (word === "where" || word === "on") {
      edits.push({ rule: "condition dropped", at: start, end, after: "true" });
    } else if (word !== "while") {
      // which is both: dropped and negated
      for (const after of ["true", "false"]) edits.push({ rule: "condition dropped", at: start, end, after });
      continue;
    }
    edits.push({ rule: "condition negated", at: start, end, after: `not (${term})` });
  }
  return edits;
}

function locks(code: string): readonly Edit[] {
  const strengths = ["for update", "for no key update", "for share", "for key share"];
  return [...code.matchAll(/\bfor (update|no key update|share|key share)( skip locked| nowait)?\b(?! of)/g)].flatMap(
    (match) => {
      const strength = `for ${match[1]}`;
      const skipping = match[2] ?? "";
      const end = match.index + match[0].length;
      const others = strengths
        .filter((other) => other !== strength && other !== "for share")
        .map((other) => other + skipping);
      const texts = [...others, "", ...(skipping === "" ? [] : [strength])];
      return texts.map((after) => ({ rule: "lock changed", at: match.index, end, after }));
    },
  );
}

/** Not to the start of the transaction: test/structure/sql.test.ts finds each. */
function clocks(code: string): readonly Edit[] {
  return [
    ...replaceEach(code, "clock moved", /(?<=\s)[+-](?=\s+(?:[\w.]+ \* )?interval\b)/g, (sign) =>
      sign === "+" ? "-" : "+",
    ),
    ...replaceEach(code, "arithmetic", /(?<=\s)[+-](?= (?:\d|[a-z]))(?!\s+(?:[\w.]+ \* )?interval\b)/g, (sign) =>
      sign === "+" ? "-" : "+",
    ),
  ];
}

function comparisons(code: string): readonly Edit[] {
  const others: Readonly<Record<string, string>> = { "<": "<=", "<=": "<", ">": ">=", ">=": ">", "<>": "=" };
  const all = replaceEach(
    code,
    "comparison",
    /(?<=\s)(?:<=|>=|<>|<|>)(?=\s)/g,
    (operator) => others[operator] ?? operator,
  );
  // Nobody can aim at a microsecond.
  return all.filter(
    ({ at, end }) =>
      !/(?:clock_timestamp\(\)\)?|clock\.now)\s*$/.test(code.slice(0, at)) &&
      !/^\s*(?:clock_timestamp\(\)|clock\.now)/.test(code.slice(end)),
  );
}

function extremes(code: string): readonly Edit[] {
  const others: Readonly<Record<string, string>> = {
    greatest: "least",
    least: "greatest",
    min: "max",
    max: "min",
    bool_and: "bool_or",
    bool_or: "bool_and",
  };
  return replaceEach(
    code,
    "extreme",
    /\b(?:greatest|least|min|max|bool_and|bool_or)(?=\()/g,
    (name) => others[name] ?? name,
  );
}

function limits(code: string): readonly Edit[] {
  return [
    ...replaceEach(code, "limit dropped", /\blimit [\w.]+/g, () => ""),
    ...replaceEach(code, "order turned", /(?<=\border by [\w.]+)(?: desc)?(?=\s*(?:\n|\)|limit))/g, (word) =>
      word === "" ? " desc" : "",
    ),
  ];
}

function nulls(code: string): readonly Edit[] {
  return [
    ...replaceEach(code, "null", /\bis (?:not )?null\b/g, (test) => (test === "is null" ? "is not null" : "is null")),
    ...replaceEach(code, "null", /\bis (?:not )?distinct from\b/g, (test) =>
      test === "is distinct from" ? "is not distinct from" : "is distinct from",
    ),
    ...replaceEach(code, "truth", /(?<=:= )(?:true|false)(?=;)/g, (value) => (value === "true" ? "false" : "true")),
  ];
}

/** Statements of PL/pgSQL that stand on lines of their own. */
function statements(code: string): readonly Edit[] {
  const body = /\bas \$\$\n(?:[^$]*?\n)?begin\n/.exec(code);
  if (body === null || !/\blanguage plpgsql\b/.test(code)) return [];
  const depths = depthsOf(code);
  const edits: Edit[] = [];
  let start = body.index + body[0].length;
  for (let at = start; at < code.length; at += 1) {
    const word = /^(?:then|else|loop|begin)\s/.exec(code.slice(at, at + 8));
    if (word !== null && /\s/.test(code[at - 1] ?? "") && (depths[at] ?? 0) === 0 && !isInCase(code.slice(start, at))) {
      start = at + word[0].length;
      continue;
    }
    if (code[at] !== ";" || (depths[at] ?? 0) !== 0) continue;
    // a part of several statements has no semicolon
    const part = /^\s*:\w+\s*?\n/.exec(code.slice(start));
    const from = skipBlanks(code, start + (part?.[0].length ?? 0));
    start = at + 1;
    if (/^(?:if|elsif|for|while|end|declare|case|exception|return\s+query|null|\$)/.test(code.slice(from))) continue;
    edits.push({ rule: "statement dropped", at: from, end: at, after: "null" });
  }
  return edits;
}

/** Whether an expression of `case` is open at the end of a statement's text so far. */
function isInCase(text: string): boolean {
  const count = (word: RegExp) => [...text.matchAll(word)].length;
  return count(/\bcase\b/g) > count(/\bend\b/g);
}

function replaceEach(code: string, rule: string, what: RegExp, by: (found: string) => string): readonly Edit[] {
  return [...code.matchAll(what)].map((match) => ({
    rule,
    at: match.index,
    end: match.index + match[0].length,
    after: by(match[0]),
  }));
}

function skipBlanks(code: string, at: number): number {
  return at + (/^\s*/.exec(code.slice(at))?.[0].length ?? 0);
}

function trimEnd(code: string, end: number): number {
  return code.slice(0, end).trimEnd().length;
}
