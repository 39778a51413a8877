/** One value of a metric, with its labels. */
export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Histogram {
  /** How many fell into each bucket. The last has no upper bound. */
  readonly counts: readonly number[];
  /** The upper bounds of all buckets but the last, in seconds. */
  readonly bounds: readonly number[];
  readonly sum: number;
}

/** Writes Prometheus' text format, version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/ */
export class Exposition {
  #text = "";

  gauge(name: string, help: string, samples: readonly Sample[]): void {
    this.#family(name, "gauge", help, samples);
  }

  /** The name ends in `_total`. */
  counter(name: string, help: string, samples: readonly Sample[]): void {
    this.#family(name, "counter", help, samples);
  }

  histogram(name: string, help: string, { counts, bounds, sum }: Histogram): void {
    let reached = 0;
    const buckets = counts.map((count, index) => {
      reached += count;
      return line(`${name}_bucket`, { le: index < bounds.length ? String(bounds[index]) : "+Inf" }, reached);
    });
    this.#head(name, "histogram", help);
    this.#text += `${buckets.join("")}${line(`${name}_sum`, {}, sum)}${line(`${name}_count`, {}, reached)}`;
  }

  toString(): string {
    return this.#text;
  }

  #family(name: string, type: string, help: string, samples: readonly Sample[]): void {
    this.#head(name, type, help);
    this.#text += samples.map(({ labels = {}, value }) => line(name, labels, value)).join("");
  }

  #head(name: string, type: string, help: string): void {
    this.#text += `# HELP ${name} ${help.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")}\n# TYPE ${name} ${type}\n`;
  }
}

function line(name: string, labels: Readonly<Record<string, string>>, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
  return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}\n`;
}

function escaped(text: string): string {
  return text.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
}
