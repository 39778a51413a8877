import type { VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import type { Series } from "../state/rates.js";

export interface Line {
  readonly name: string;
  /** Which of the palette's colours: 1 to 4. */
  readonly color: 1 | 2 | 3 | 4;
  readonly series: Series;
}

const HEIGHT = 180;
/** Distances of the lines of a grid. */
const WHOLE = [0, 1, 2, 3, 4, 5, 6].flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power));

/** Lines over one time. What it shows last is told in words, too. */
export function Chart({
  title,
  lines,
  format,
  isLog = false,
  isWhole = false,
}: {
  readonly title: string;
  readonly lines: readonly Line[];
  format(value: number): string;
  readonly isLog?: boolean;
  /** Its values are counts: there is nothing between two of them. */
  readonly isWhole?: boolean;
}): VNode {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const scheme = document.documentElement.dataset.scheme ?? "";

  // Made anew only where its colours or its lines are others
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const style = getComputedStyle(element);
    const color = (name: string): string => style.getPropertyValue(name).trim();
    const axis = {
      stroke: color("--muted"),
      grid: { stroke: color("--grid"), width: 1 },
      ticks: { show: false },
      font: `12px ${style.fontFamily}`,
    };
    const options: uPlot.Options = {
      width: element.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { drag: { x: false, y: false } },
      scales: {
        y: isLog
          ? { distr: 3, log: 2 }
          : { range: (_, min, max) => [Math.min(0, min ?? 0), Math.max(1, (max ?? 1) * 1.1)] },
      },
      series: [
        {},
        ...lines.map(({ name, color: index }) => ({
          label: name,
          stroke: color(`--chart-${index}`),
          width: 2,
          spanGaps: true,
          points: { show: isLog, size: 5 },
        })),
      ],
      axes: [
        { ...axis, size: 30, gap: 8, values: (_, ticks) => ticks.map(clock) },
        {
          ...axis,
          size: 60,
          ...(isWhole && { incrs: WHOLE }),
          values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : format(tick))),
        },
      ],
    };
    const made = new uPlot(options, dataOf(lines), element);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [scheme, lines.map(({ name }) => name).join()]);

  useEffect(() => {
    plot.current?.setData(dataOf(lines));
  });

  const last = lines.map(({ name, series }) => {
    const value = series.values.findLast((one) => one !== null) ?? null;
    return { name, text: value === null ? "nothing yet" : format(value) };
  });
  return (
    <figure class="chart">
      <figcaption>
        <h3>{title}</h3>
        <ul class="legend">
          {last.map(({ name, text }, index) => (
            <li key={name} data-color={lines[index]?.color}>
              {name} <strong>{text}</strong>
            </li>
          ))}
        </ul>
      </figcaption>
      <div class="plot" ref={place} aria-hidden="true" />
    </figure>
  );
}

/** Such as 14:05:30, of a moment in seconds. */
function clock(at: number): string {
  return new Date(at * 1_000).toLocaleTimeString([], { hour12: false });
}

function dataOf(lines: readonly Line[]): uPlot.AlignedData {
  const times = lines[0]?.series.times ?? [];
  return [[...times], ...lines.map(({ series }) => [...series.values])];
}
