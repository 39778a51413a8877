/**
 * What is wrong with a statement that runs under somebody else's search_path. Whoever may create something in a schema of that path
 * gets to run code with the rights of whoever sends the statement, through an operator, a function, a type or a relation that is
 * looked for there: also one that is in pg_catalog, when a type fits better or a schema comes before it. So all of them are to be
 * named with their schema, and what has no such form (`in`, `between`, `like`) is not to be used. Empty: nothing is wrong.
 */
export function lint(text: string): string[] {
  const tokens = tokenize(text);
  const faults: string[] = [];
  const at = (index: number) => tokens[index]?.text ?? "";
  const fault = (index: number, what: string) =>
    faults.push(
      `${what}: ... ${tokens
        .slice(Math.max(0, index - 4), index + 4)
        .map(({ text }) => text)
        .join(" ")} ...`,
    );
  const named = namesOf(tokens);

  for (const [index, { kind, text: token }] of tokens.entries()) {
    const before = at(index - 1);
    const next = at(index + 1);
    const isQualified = before === ".";
    if (kind === "operator") {
      const isNamed = before === "." && at(index - 2) === "pg_catalog" && at(index - 4) === "operator";
      const isStar = token === "*" && /^(select|,|\.|\(|returning)$/.test(before);
      if (token === "::") typeFault(index + 1);
      else if (!isNamed && !isStar && token !== "=>") fault(index, "an operator without its schema");
      continue;
    }
    if (kind === "name" && !isQualified && next === "(" && !named.has(token))
      fault(index, "a function without its schema");
    if (
      kind === "name" &&
      isQualified &&
      next === "(" &&
      !schemas.has(at(index - 2)) &&
      before === "." &&
      !/^\d/.test(token)
    ) {
      if (at(index - 3) !== "as") fault(index, "a function of a schema that is none of ours");
    }
    if (kind === "name" && !isQualified && next !== "." && /^pg_(?!catalog)/.test(token) && next !== "(") {
      fault(index, "a relation of the catalog without its schema");
    }
    if (
      kind === "name" &&
      !isQualified &&
      next !== "." &&
      next !== "(" &&
      /^(from|join|into|update|only|table)$/.test(before)
    ) {
      if (!named.has(token) && at(index - 2) !== "distinct" && !isArgument(index))
        fault(index, "a relation without its schema");
    }
    if (
      kind === "literal" &&
      tokens[index - 1]?.kind === "name" &&
      before !== "e" &&
      !/^(interval|timestamp|time)$/.test(before)
    ) {
      fault(index, "a literal of a type without its schema");
    }
    if (kind !== "word") continue;
    if (/^(between|like|ilike|similar|natural|nullif|cast|overlaps|isnull|notnull)$/.test(token))
      fault(index, "a form that takes its operator from the path");
    if (token === "in" && next === "(") fault(index, "a form that takes its operator from the path");
    if (token === "distinct" && next === "from") fault(index, "a form that takes its operator from the path");
    if (token === "case" && next !== "when") fault(index, "a form that takes its operator from the path");
    if (token === "using" && next === "(" && tokens.slice(0, index).some(({ text }) => text === "join"))
      fault(index, "a form that takes its operator from the path");
    if (token === "collate" && at(index + 1) !== "pg_catalog") fault(index, "a collation without its schema");
    if (token === "row" && next === "(") fault(index, "a comparison of rows may follow");
    if (token === "set" && index === 0 && next !== "local")
      fault(index, "a setting that stays on somebody else's connection");
  }
  if (/set_config\s*\([^()]*,\s*false\s*\)/.test(text))
    faults.push("a setting that stays on somebody else's connection: set_config(..., false)");
  return faults;

  function typeFault(index: number): void {
    const type = at(index);
    const isKeyword = keywordTypes.has(type);
    if (!isKeyword && !(type === "pg_catalog" && at(index + 1) === ".")) fault(index, "a type without its schema");
  }

  /** Of `extract(epoch from x)`. */
  function isArgument(index: number): boolean {
    return (
      at(index - 1) === "from" &&
      tokens[index - 2]?.kind === "name" &&
      at(index - 3) === "(" &&
      at(index - 4) === "extract"
    );
  }
}

const schemas: ReadonlySet<string> = new Set(["pg_catalog", "leasehold", "leasehold_internal"]);

/** Types that the grammar knows: it means those of pg_catalog by them. */
const keywordTypes: ReadonlySet<string> = new Set(
  "int integer smallint bigint real double numeric decimal boolean interval timestamp time".split(" "),
);

/** Words that are no names of functions when a parenthesis follows, nor of anything else. */
const words: ReadonlySet<string> = new Set(
  `select from where and or not is null true false case when then else end as on join left right full inner outer cross lateral union all
   any some array exists order by group having limit offset distinct with recursive materialized values into insert update delete set
   returning only using in between like ilike similar natural nullif cast overlaps coalesce greatest least extract operator collate row
   begin commit rollback savepoint release local for if asc desc nulls first last filter over partition isnull notnull table share key
   current_user session_user listen notify do ordinality within`.split(/\s+/),
);

interface Token {
  readonly kind: "word" | "name" | "operator" | "literal" | "other";
  readonly text: string;
}

function tokenize(text: string): Token[] {
  const pattern =
    /(?<space>\s+|--[^\n]*|\/\*[\s\S]*?\*\/)|(?<literal>[eE]?'(?:''|\\'|[^'])*'|\$(?<tag>\w*)\$[\s\S]*?\$\k<tag>\$)|(?<quoted>"(?:""|[^"])*")|(?<parameter>\$\d+)|(?<number>\d[\w.]*)|(?<name>[A-Za-z_][\w$]*)|(?<operator>[-+*/<>=~!@#%^&|`?]+|::)|(?<other>[\s\S])/g;
  const tokens: Token[] = [];
  for (const { groups = {}, 0: whole } of text.matchAll(pattern)) {
    if (groups.space !== undefined) continue;
    const lower = whole.toLowerCase();
    if (groups.literal !== undefined) tokens.push({ kind: "literal", text: whole });
    else if (groups.operator !== undefined) tokens.push({ kind: "operator", text: whole });
    else if (groups.quoted !== undefined) tokens.push({ kind: "name", text: whole.slice(1, -1) });
    else if (groups.name !== undefined) tokens.push({ kind: words.has(lower) ? "word" : "name", text: lower });
    else tokens.push({ kind: "other", text: whole });
  }
  return tokens;
}

/** What the statement itself names: a query of `with`, an alias with columns. */
function namesOf(tokens: readonly Token[]): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [index, { kind, text }] of tokens.entries()) {
    const before = tokens[index - 1]?.text ?? "";
    const next = tokens[index + 1]?.text ?? "";
    if (kind !== "name") continue;
    if (before === "as" || ((/^(with|recursive)$/.test(before) || before === ",") && next === "as")) names.add(text);
  }
  return names;
}
