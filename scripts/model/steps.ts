/** Variables that are always 0 between two steps. */
const scratch = new Set("d T m f v k w h g pl any fit some me sl pos top stop x y fine".split(" "));

/** What `spin -t -p -g` has printed, as one line for each step: who made it, and what it changed. */
export function stepsOf(trail: string): readonly string[] {
  const lines: string[] = [];
  const before = new Map<string, string>();
  const now = new Map<string, string>();
  let step: string | null = null;
  let who = "";
  const show = (): void => {
    if (step === null) return;
    const changed = [...now].filter(([name, value]) => (before.get(name) ?? "0") !== value && !scratch.has(name));
    lines.push(
      `${step.padStart(4)} ${who.padEnd(12)} ${changed.map(([name, value]) => `${name}=${value}`).join(" ")}`.trimEnd(),
    );
    for (const [name, value] of now) before.set(name, value);
  };
  for (const line of trail.split("\n")) {
    const [, number, process, name] = /^\s*(\d+):\s+proc\s+(\d+) \((\w+):\d+\) /.exec(line) ?? [];
    const [, variable, value] = /^\s+(\S+) = (\S+)/.exec(line) ?? [];
    if (number !== undefined) {
      if (number !== step) {
        show();
        step = number;
        who = `${name} ${process}`;
      }
    } else if (variable !== undefined && value !== undefined) {
      now.set(variable, value);
    } else if (line.startsWith("  <<<<<START")) {
      show();
      step = null;
      lines.push("     the cycle:");
    }
  }
  show();
  return lines;
}
