// The chart of the README: the rates of one run as bars, in a panel for each number in flight. Plain SVG, no browser needed.
import { findRow, type Results, type Row, toFigure } from "./results.js";
import { median } from "./statistics.js";
import { escapeXml, svg } from "./svg.js";
import { uncontendedCase } from "./workloads/uncontended.js";

const LABELS = [
  ["leasehold", "Leasehold, durable"],
  ["redlock", "redlock 5, Redis in memory"],
  ["redlock-fsync", "redlock 5, appendfsync always"],
  ["redlock-universal", "redlock-universal, in memory"],
  ["sesamecare", "@sesamecare-oss/redlock"],
  ["etcd3", "etcd3 on etcd, durable"],
  ["advisory-lock", "advisory-lock on Postgres"],
  ["table-lock", "select for update"],
] as const;

const PANELS = [1, 16, 128, 1_024];
const [PANEL_WIDTH, LABEL_WIDTH, BAR_WIDTH, LINE, TOP] = [460, 228, 150, 22, 44];

export function drawChart(results: Results): string {
  const panels = PANELS.map((inFlight) => ({ inFlight, bars: barsOf(results.rows, inFlight) })).filter(
    ({ bars }) => bars.length > 0,
  );
  const lines = Math.max(0, ...panels.map(({ bars }) => bars.length));
  const panelHeight = (lines + 2) * LINE;
  const [width, height] = [2 * PANEL_WIDTH, TOP + Math.ceil(panels.length / 2) * panelHeight + LINE];
  const title = "Uncontended locks: acquire and release, cycles per second";
  const { postgres, machine, date, temporaryFolder, loadBefore } = results.about;
  const isBusy = typeof loadBefore === "number" && loadBefore > 1;
  const note = [
    postgres && `Postgres ${postgres}`,
    machine,
    temporaryFolder && `data ${temporaryFolder}`,
    date,
    isBusy && "ON A MACHINE THAT WAS BUSY WITH OTHER WORK",
  ]
    .filter(Boolean)
    .join(", ");
  const styles = {
    extra: ".bar { fill: #a8b1bb } .ours { fill: #1f6feb } .name-ours { font-weight: 600 }",
    extraDark: ".bar { fill: #59636e } .ours { fill: #4493f8 }",
  };
  const body = panels.map(({ inFlight, bars }, index) =>
    drawPanel(inFlight, bars, (index % 2) * PANEL_WIDTH, TOP + Math.floor(index / 2) * panelHeight),
  );
  return svg(title, { width, height }, note, styles, body.join("\n"));
}

interface Bar {
  readonly label: string;
  readonly rate: number;
  readonly isOurs: boolean;
}

function barsOf(rows: readonly Row[], inFlight: number): Bar[] {
  return LABELS.flatMap(([contender, label]) => {
    const row = findRow(rows, "uncontended", uncontendedCase(inFlight, 1), contender);
    return row === undefined ? [] : [{ label, rate: median(row.samples), isOurs: contender === "leasehold" }];
  });
}

function drawPanel(inFlight: number, bars: readonly Bar[], x: number, y: number): string {
  const longest = Math.max(...bars.map(({ rate }) => rate));
  const heading = inFlight === 1 ? "one at a time" : `${inFlight.toLocaleString("en-US")} in flight`;
  const lines = bars.map(({ label, rate, isOurs }, index) => {
    const [base, length] = [y + (index + 1) * LINE + 14, Math.max(1, (rate / longest) * BAR_WIDTH)];
    return `<text${isOurs ? ' class="name-ours"' : ""} x="${x + LABEL_WIDTH - 8}" y="${base}" text-anchor="end">${escapeXml(label)}</text>
<rect class="${isOurs ? "bar ours" : "bar"}" x="${x + LABEL_WIDTH}" y="${base - 12}" width="${length.toFixed(1)}" height="15" rx="2"/>
<text x="${(x + LABEL_WIDTH + length + 6).toFixed(1)}" y="${base}">${toFigure(rate)}</text>`;
  });
  return [`<text class="panel" x="${x + LABEL_WIDTH}" y="${y + 12}">${heading}</text>`, ...lines].join("\n");
}
