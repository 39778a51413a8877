import { cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { consumerWith, type Peer } from "./install.js";
import type { Check } from "./report.js";
import { run } from "./run.js";
import { matrix, root, type Workplace } from "./workplace.js";

/** The oldest, the last one of JavaScript, and that of this project. */
const compilers = {
  "5.0": join(matrix, "node_modules/typescript-5.0/lib/tsc.js"),
  "5.9": join(matrix, "node_modules/typescript/lib/tsc.js"),
  "7": join(root, "node_modules/typescript/bin/tsc"),
};
type Version = keyof typeof compilers;

interface Resolution {
  readonly module: string;
  readonly moduleResolution: string;
  /** Of the files: `.ts` is CommonJS here, for the consumer's package.json has no `type`, unless `module` says otherwise. */
  readonly endings: readonly string[];
}

const resolutions: readonly Resolution[] = [
  { module: "commonjs", moduleResolution: "node10", endings: ["ts"] },
  { module: "node16", moduleResolution: "node16", endings: ["ts", "mts", "cts"] },
  { module: "nodenext", moduleResolution: "nodenext", endings: ["ts", "mts", "cts"] },
  { module: "esnext", moduleResolution: "bundler", endings: ["ts"] },
];

/** TypeScript 7 has no `node10` any more. */
const has = (version: Version, { moduleResolution }: Resolution): boolean =>
  version !== "7" || moduleResolution !== "node10";

/** As strict as it gets, and with nothing that the package could rely on: no DOM, and nothing of later years. */
const strictest = {
  noEmit: true,
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  esModuleInterop: true,
  target: "es2022",
  lib: ["es2022"],
};

/** What is compiled together. Drizzle's own types fail without `skipLibCheck`: they name drivers that are not installed. */
const subjects: readonly Subject[] = [
  { name: "the main entry, leasehold/config, /store and /testing", files: ["lock", "config", "testing"], peer: null },
  // the declarations of @opentelemetry/api use `console`
  { name: "leasehold/otel", files: ["otel"], peer: "otel", types: ["node"] },
  { name: "leasehold/drizzle", files: ["drizzle"], peer: "drizzle", skipLibCheck: true },
  {
    name: "leasehold/drizzle, with the oldest drizzle-orm",
    files: ["drizzle"],
    peer: "oldestDrizzle",
    skipLibCheck: true,
  },
];

interface Subject {
  readonly name: string;
  readonly files: readonly string[];
  readonly peer: Peer | null;
  readonly skipLibCheck?: boolean;
  readonly types?: readonly string[];
}

export function types(workplace: Workplace): readonly Check[] {
  return subjects.map((subject) => ({
    name: `types of ${subject.name}, with TypeScript ${Object.keys(compilers).join(", ")} and every module resolution`,
    run: async () => {
      const folder = await consumerWith(workplace, subject.peer);
      for (const file of subject.files) {
        for (const ending of ["mts", "cts"]) await cp(join(folder, `${file}.ts`), join(folder, `${file}.${ending}`));
      }
      for (const version of Object.keys(compilers) as Version[]) {
        for (const resolution of resolutions.filter((one) => has(version, one))) {
          await compile(folder, version, resolution, subject);
        }
      }
    },
  }));
}

async function compile(
  folder: string,
  version: Version,
  { endings, ...resolution }: Resolution,
  { files, skipLibCheck = false, types = [] }: Subject,
): Promise<void> {
  const project = `tsconfig.${files[0]}.${version}.${resolution.moduleResolution}.json`;
  const settings = {
    compilerOptions: { ...strictest, ...resolution, skipLibCheck, types },
    files: files.flatMap((file) => endings.map((ending) => `${file}.${ending}`)),
  };
  await writeFile(join(folder, project), JSON.stringify(settings));
  try {
    await run(process.execPath, [compilers[version], "-p", project], folder);
  } catch (error) {
    throw new Error(`TypeScript ${version}, ${resolution.moduleResolution}: ${(error as Error).message}`);
  }
}
