// What `npm run model` makes of a row, of a result that differs, and of a counterexample. Without Spin.
import { expect, test } from "vitest";
import { differenceFrom, type Finding, parseRows, type Row, tableLine } from "../../scripts/model/rows.js";
import { stepsOf } from "../../scripts/model/steps.js";

const text = `# a comment
$P = -DTTL=3 -DPRES

A bfs short R_FENCE | P2: not larger | $P -DR_FENCE
E served long full | none |
`;
const [first, second] = parseRows(text) as [Row, Row];
const found = (more: Partial<Finding>): Finding => ({
  violated: null,
  steps: null,
  states: "12",
  cpuSeconds: "0.1",
  megabytes: "128",
  isComplete: true,
  ...more,
});

test("a row has a model, a search, a length, a name, what must come out, and parameters, in which variables are replaced", () => {
  expect(first).toEqual({
    model: "A",
    search: "bfs",
    isShort: true,
    name: "R_FENCE",
    expected: "P2: not larger",
    defines: ["-DTTL=3", "-DPRES", "-DR_FENCE"],
  });
  expect(second).toMatchObject({ search: "served", isShort: false, expected: null, defines: [] });
});

test.each(["A bfs R_FENCE | none |", "A bfs short R_FENCE -DR_FENCE", "Z bfs short R_FENCE | none |"])(
  "%s is no row",
  (line) => {
    expect(() => parseRows(`\n${line}`)).toThrow("line 2");
  },
);

test("another result than the expected one differs, and so does a search that was not completed", () => {
  const violated = found({ violated: "P2: not larger", steps: 7, isComplete: false });
  expect(differenceFrom(first, violated)).toBeNull();
  expect(differenceFrom(second, found({}))).toBeNull();

  expect(differenceFrom(first, found({}))).toBe("expected violated: P2: not larger, found no violation");
  expect(differenceFrom(first, found({ violated: "P1" }))).toBe(
    "expected violated: P2: not larger, found violated: P1",
  );
  expect(differenceFrom(second, found({ violated: "served" }))).toBe("expected no violation, found violated: served");
  expect(differenceFrom(second, found({ isComplete: false }))).toContain("not completed");
});

test("its line in the table says where the search stopped", () => {
  expect(tableLine(first, found({ violated: "P2: not larger", steps: 7, isComplete: false }))).toBe(
    "| A | R_FENCE | violated: P2: not larger | 7 | 12 | 0.1 s | 128 MB | stopped at the error |",
  );
  expect(tableLine(second, found({ violated: "served", steps: 40 }))).toContain("| violated: `served` | cycle, 40 |");
  expect(tableLine(second, found({ isComplete: false }))).toContain(
    "| none found |  | 12 | 0.1 s | 128 MB | INCOMPLETE |",
  );
});

test("of a counterexample each step is told with what it has changed", () => {
  const trail = `  1:	proc  2 (Client:1) m.pml:10 (state 1)	[(1)]
  1:	proc  2 (Client:1) m.pml:11 (state 2)	[st = 1]
		st = 1
		other = 0
  <<<<<START OF CYCLE>>>>>
  2:	proc  0 (Clock:1) m.pml:20 (state 1)	[d = 1]
		st = 1
		d = 1
		other = 5
`;
  expect(stepsOf(trail)).toEqual(["   1 Client 2     st=1", "     the cycle:", "   2 Clock 0      other=5"]);
});
