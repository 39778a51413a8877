// What docs/operations/ asks Prometheus for.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const folder: string = fileURLToPath(new URL("../../../docs/operations/", import.meta.url));
const read = (name: string): string => readFileSync(`${folder}${name}`, "utf8");

export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly severity: string;
  readonly summary: string;
  readonly description: string;
  readonly runbook_url: string;
}

const fields = ["alert", "expr", "for", "severity", "summary", "description", "runbook_url"] as const;

/** The file has one line a field, and these fields only, so no YAML parser is needed; promtool reads it as YAML. */
export function alertRules(): readonly AlertRule[] {
  const [head = "", ...rules] = read("alerts.yml").split(/^ {6}- (?=alert: )/m);
  if (!/^(?:#.*\n)*groups:\n {2}- name: leasehold\n {4}rules:\n$/.test(head)) throw new Error(`alerts.yml: ${head}`);
  return rules.map((text) => {
    const lines = text
      .trimEnd()
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => !line.startsWith("#") && line !== "labels:" && line !== "annotations:");
    if (lines.length !== fields.length) throw new Error(`alerts.yml: ${text}`);
    const found = lines.map((line, index) => {
      const [, name, value = ""] = /^(\w+): (.+)$/.exec(line) ?? [];
      if (name !== fields[index]) throw new Error(`alerts.yml: ${line} where ${fields[index]} was expected`);
      return [name, value.startsWith('"') ? (JSON.parse(value) as string) : value] as const;
    });
    return Object.fromEntries(found) as unknown as AlertRule;
  });
}

export interface Query {
  /** Where it stands, for messages. */
  readonly at: string;
  readonly expr: string;
}

interface Target {
  readonly expr: string;
  readonly legendFormat: string;
  readonly datasource: Datasource;
}

interface Datasource {
  readonly type: string;
  readonly uid: string;
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly datasource?: Datasource;
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly targets?: readonly Target[];
}

export interface Variable {
  readonly name: string;
  readonly type: string;
  readonly query: string | { readonly query: string };
  readonly datasource?: Datasource;
}

export interface Dashboard {
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly Variable[] };
}

export function dashboard(): Dashboard {
  return JSON.parse(read("grafana.json")) as Dashboard;
}

export function dashboardQueries(): readonly Query[] {
  const { panels, templating } = dashboard();
  const ofPanels = panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({ at: `panel ${title}`, expr: withoutVariables(expr) })),
  );
  const ofVariables = templating.list.flatMap(({ name, query }) => {
    const [, selector] = typeof query === "string" ? [] : (/^label_values\((.+), \w+\)$/.exec(query.query) ?? []);
    return selector === undefined ? [] : [{ at: `variable ${name}`, expr: withoutVariables(selector) }];
  });
  return [...ofPanels, ...ofVariables];
}

/** As Grafana sends it. */
function withoutVariables(expr: string): string {
  const sent = expr
    .replaceAll("$__rate_interval", "1m")
    .replaceAll("$job", "leasehold")
    .replaceAll("$instance", "orders");
  if (sent.includes("$")) throw new Error(`a variable that Grafana does not know: ${sent}`);
  return sent;
}

export interface Matcher {
  readonly label: string;
  readonly operator: string;
  readonly value: string;
}

export interface Selector {
  readonly metric: string;
  readonly matchers: readonly Matcher[];
}

export interface Asked {
  readonly selectors: readonly Selector[];
  /** Of `by`, `without` and `on`, and of label_replace. */
  readonly labels: readonly string[];
}

const words = new Set([
  ..."absent increase rate sum topk histogram_quantile label_replace min_over_time max_over_time".split(" "),
  ..."by without and or unless offset on".split(" "),
]);

/** The names in an expression. A word that is neither a function of this list nor followed by a parenthesis is a metric. */
export function asked(expr: string): Asked {
  const selectors: Selector[] = [];
  const replaced = [...expr.matchAll(/, "(\w+)", "[^"]*", "(\w+)", "[^"]*"\)/g)];
  const labels = replaced.flatMap(([, to = "", from = ""]) => [to, from]);
  const token =
    /\b(?:by|without|on) ?\(([^)]*)\)|"(?:[^"\\]|\\.)*"|\[[^\]]*\]|\b\d[\d.]*[smhd]?|([a-zA-Z_]\w*)(\{[^}]*\})?/g;
  for (const [, grouped, word, braces] of expr.matchAll(token)) {
    if (grouped !== undefined) labels.push(...grouped.split(",").map((label) => label.trim()));
    if (word === undefined || words.has(word)) continue;
    const inBraces = (braces ?? "{}").slice(1, -1);
    const matchers = [...inBraces.matchAll(/(\w+)(=~|!~|!=|=)"([^"]*)"/g)].map(
      ([, label = "", operator = "", value = ""]) => ({ label, operator, value }),
    );
    const written = matchers.map(({ label, operator, value }) => `${label}${operator}"${value}"`).join(",");
    if (written !== inBraces) throw new Error(`not understood: ${braces} in ${expr}`);
    selectors.push({ metric: word, matchers });
  }
  if (selectors.length === 0) throw new Error(`asks for nothing: ${expr}`);
  return { selectors, labels };
}

export interface DocumentedMetric {
  readonly name: string;
  readonly type: string;
  /** With the values that a label can have; empty where any can be. */
  readonly labels: Readonly<Record<string, readonly string[]>>;
}

/** The table of docs/operations/README.md. */
export function documentedMetrics(): readonly DocumentedMetric[] {
  const rows = [...read("README.md").matchAll(/^\| `(leasehold_\w+)` \| (\w+) \| ([^|]*)\| [^|]+ \|$/gm)];
  return rows.map(([, name = "", type = "", cell = ""]) => ({ name, type, labels: labelsOf(cell.trim()) }));
}

/** "`state`: `held`, `revoked`", or "`prefix`, `overflow`". */
function labelsOf(cell: string): Readonly<Record<string, readonly string[]>> {
  const names = (text: string): readonly string[] => [...text.matchAll(/`(\w+)`/g)].map(([, name = ""]) => name);
  const [, label, values] = /^`(\w+)`: (.+)$/.exec(cell) ?? [];
  if (label !== undefined && values !== undefined) return { [label]: names(values) };
  return Object.fromEntries(names(cell).map((name) => [name, []]));
}
