import { readFile } from "node:fs/promises";
import type { Entry } from "../log.js";
export interface Verdict { violations: { promise: string; text: string }[]; checked: Record<string, number> }
export async function readLog(files: readonly string[]): Promise<Entry[]> { const all = []; for (const f of files) for (const l of (await readFile(f, "utf8")).split("\n")) if (l) all.push(JSON.parse(l)); return all; }
export function check(_e: Iterable<Entry>): Verdict { return { violations: [], checked: {} }; }
