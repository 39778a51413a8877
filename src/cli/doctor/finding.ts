/** One thing that was checked. */
export interface Finding {
  readonly check: string;
  readonly level: "ok" | "warning" | "problem";
  /** What was found. */
  readonly message: string;
  /** What to do about it; null when there is nothing to do. */
  readonly advice: string | null;
}

export function ok(check: string, message: string): Finding {
  return { check, level: "ok", message, advice: null };
}

export function warning(check: string, message: string, advice: string | null): Finding {
  return { check, level: "warning", message, advice };
}

export function problem(check: string, message: string, advice: string | null): Finding {
  return { check, level: "problem", message, advice };
}
