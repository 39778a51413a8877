// Which faults npm run mutations:sql makes of a text.
import { expect, test } from "vitest";
import { generate } from "../../../scripts/mutations/sql/generate.js";

const body = (statements: string) => `create function a.b() returns void
language plpgsql volatile
as $$
declare
  n integer;
begin
${statements}
end
$$;
`;

/** What is left of the statements by each fault of this rule. */
function faults(rule: string, statements: string): readonly string[] {
  const sound = body(statements);
  const head = sound.slice(0, sound.indexOf(statements));
  return generate("src/sql/a/b.sql", sound)
    .filter((mutant) => mutant.rule === rule)
    .map(({ text }) => text.slice(head.length, text.lastIndexOf("\nend\n")).replace(/\s+/g, " ").trim());
}

test("each condition is dropped", () => {
  expect(faults("condition dropped", "delete from t where a = 1 and (b = 2 or c = 3) and d is null;")).toEqual([
    "delete from t where (b = 2 or c = 3) and d is null;",
    "delete from t where a = 1 and d is null;",
    "delete from t where a = 1 and ( c = 3) and d is null;",
    "delete from t where a = 1 and (b = 2 ) and d is null;",
    "delete from t where a = 1 and (b = 2 or c = 3) ;",
  ]);
});

test("one that stands alone is true, and of an if also false", () => {
  expect(faults("condition dropped", "delete from t where a = 1 returning b into n;")).toEqual([
    "delete from t where true returning b into n;",
  ]);
  expect(faults("condition dropped", "if a then n := 1; end if;")).toEqual([
    "if true then n := 1; end if;",
    "if false then n := 1; end if;",
  ]);
});

test("a condition ends where the clause does, and has its subqueries whole", () => {
  expect(
    faults("condition negated", "select x into n from t where k = (select y from u order by z limit 1) for update;"),
  ).toEqual(["select x into n from t where not (k = (select y from u order by z limit 1)) for update;"]);
  expect(faults("condition negated", "delete from t where a is distinct from b or case when c then d end;")).toEqual([
    "delete from t where not (a is distinct from b) or case when c then d end;",
    "delete from t where a is distinct from b or not (case when c then d end);",
  ]);
});

test("a lock is made weaker, stronger and none, and waits", () => {
  expect(faults("lock changed", "select x into n from t for update skip locked;")).toEqual([
    "select x into n from t for no key update skip locked;",
    "select x into n from t for key share skip locked;",
    "select x into n from t ;",
    "select x into n from t for update;",
  ]);
});

test("a clock runs backwards", () => {
  expect(faults("clock moved", "n := f(clock_timestamp() + n * interval '1 second');")).toEqual([
    "n := f(clock_timestamp() - n * interval '1 second');",
  ]);
});

test("a comparison has its bound on the other side, but for a moment, at which nobody can aim", () => {
  expect(
    faults("comparison", "if a < b or c <= clock_timestamp() or clock_timestamp() > d then n := 1; end if;"),
  ).toEqual(["if a <= b or c <= clock_timestamp() or clock_timestamp() > d then n := 1; end if;"]);
});

test("each statement is left out, but for those that only hold others", () => {
  expect(
    faults(
      "statement dropped",
      "if a then\n  n := case when b then 1 else 2 end;\nelse\n  perform f(';');\nend if;\nreturn;",
    ),
  ).toEqual([
    "if a then null; else perform f(';'); end if; return;",
    "if a then n := case when b then 1 else 2 end; else null; end if; return;",
    "if a then n := case when b then 1 else 2 end; else perform f(';'); end if; null;",
  ]);
});

test("comments and literals are left alone", () => {
  const text = body("-- where a and b < c\nn := f('where a and b < c; limit 1');");
  expect(generate("src/sql/a/b.sql", text).map(({ rule }) => rule)).toEqual(["statement dropped"]);
});

test("a fault keeps its name when its file gets other lines, and twins have names of their own", () => {
  const ids = (statements: string) => generate("src/sql/a/b.sql", body(statements)).map(({ id }) => id);
  const before = ids("n := least(1, n);\nn := least(1, n);");
  expect(new Set(before).size).toBe(before.length);
  expect(ids("perform f();\nn := least(1, n);\nn := least(1, n);")).toEqual(expect.arrayContaining(before));
});
