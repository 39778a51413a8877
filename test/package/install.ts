import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Check } from "./report.js";
import { run } from "./run.js";
import { matrix, root, type Workplace } from "./workplace.js";

/** What npm writes when it has installed, and what it was told to install. */
const [installed, locked] = ["node_modules/.package-lock.json", "package-lock.json"];
const marker = join(matrix, "node_modules", ".installed-lock.json");

/** 320 MB that only these checks need; skipped where they are there already. */
export const installMatrix: Check = {
  name: "the tools of the matrix are installed",
  run: async () => {
    const wanted = await readFile(join(matrix, locked), "utf8");
    if ((await readFile(marker, "utf8").catch(() => "")) === wanted) return;
    await run("npm", ["ci", "--prefer-offline"], matrix);
    await readFile(join(matrix, installed)); // or npm has not installed here
    await writeFile(marker, wanted);
  },
};

/** The optional peers are left out: nothing but their own entries may need them. */
export function installConsumer({ consumer, tarball }: Workplace): Check {
  return {
    name: "the tarball installs, without any script",
    run: async () => {
      await writeFile(join(consumer, "package.json"), JSON.stringify({ name: "consumer", private: true }));
      const options = ["--prefer-offline", "--ignore-scripts", "--omit=optional"];
      await run("npm", ["install", ...options, tarball], consumer);
    },
  };
}

/** Where the optional peers come from: those of this project, and the oldest that are admitted. By the name that a consumer has for them. */
const peers = {
  drizzle: { "drizzle-orm": join(root, "node_modules/drizzle-orm") },
  oldestDrizzle: { "drizzle-orm": join(matrix, "node_modules/drizzle-orm-oldest") },
  examples: { "drizzle-orm": join(root, "node_modules/drizzle-orm") },
  otel: { "@opentelemetry/api": join(root, "node_modules/@opentelemetry/api") },
} as const satisfies Record<string, Readonly<Record<string, string>>>;

export type Peer = keyof typeof peers;

const made = new Map<Peer, Promise<string>>();

/** A copy of the consumer that has this one, too. Copied, for a link would lead to the dependencies of where it comes from. */
export function consumerWith(workplace: Workplace, peer: Peer | null): Promise<string> {
  if (peer === null) return Promise.resolve(workplace.consumer);
  const copy = made.get(peer) ?? copyConsumer(workplace, peer);
  made.set(peer, copy);
  return copy;
}

async function copyConsumer({ folder, consumer }: Workplace, peer: Peer): Promise<string> {
  const copy = join(folder, `with-${peer}`);
  await cp(consumer, copy, { recursive: true });
  for (const [as, from] of Object.entries(peers[peer]))
    await cp(from, join(copy, "node_modules", as), { recursive: true });
  return copy;
}
