import { type Section, sections } from "../protocol.js";
import type { Reading, Rows } from "../reading/reading.js";

/** The names of all sections. */
const names = Object.keys(sections) as Section[];
const none: Rows = new Map();

/** What was read last of each section, and how it differs from what was read before. */
export class State {
  readonly #rows = new Map<Section, Rows>();
  #cut: ReadonlySet<Section> = new Set();

  rowsOf(section: Section): Rows {
    return this.#rows.get(section) ?? none;
  }

  /** Takes a reading. JSON text: what has changed, by section; null when nothing has. */
  take({ sections: read, cut }: Reading): string | null {
    const changed: string[] = [];
    for (const section of names) {
      const after = read[section];
      if (after === undefined) {
        continue;
      }
      const before = this.rowsOf(section);
      this.#rows.set(section, after);
      const set = [...after].filter(([id, row]) => before.get(id) !== row);
      const gone = [...before.keys()].filter((id) => !after.has(id));
      if (set.length > 0 || gone.length > 0 || cut.has(section) !== this.#cut.has(section)) {
        changed.push(`"${section}":${asChange(set, gone, cut.has(section))}`);
      }
    }
    this.#cut = cut;
    return changed.length === 0 ? null : `{${changed.join(",")}}`;
  }

  /** JSON text: all there is, as changes against nothing. */
  whole(): string {
    const all = [...this.#rows].map(
      ([section, rows]) => `"${section}":${asChange([...rows], [], this.#cut.has(section))}`,
    );
    return `{${all.join(",")}}`;
  }
}

function asChange(set: readonly (readonly [string, string])[], gone: readonly string[], isCut: boolean): string {
  const rows = set.map(([id, row]) => `[${JSON.stringify(id)},${row}]`).join(",");
  return `{"set":[${rows}],"gone":${JSON.stringify(gone)}${isCut ? ',"isCut":true' : ""}}`;
}
