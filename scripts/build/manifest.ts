import { entries } from "./entries.js";

/** The JSON schema of a configuration. In the package's own folder, where those look who do not read `exports`. */
export const schemaFile = "config.schema.json";

type Manifest = Record<string, unknown>;

/** package.json with what it says of the entries. Its other fields, and the order of all, stay as they are. */
export function withEntries(manifest: Manifest): Manifest {
  const { main, module, types, exports, typesVersions } = entryFields();
  return { ...manifest, main, module, types, exports, typesVersions };
}

function entryFields(): Manifest {
  const subpaths = entries.filter((name) => name !== "index");
  return {
    // For what does not read `exports`: bundlers of old, and TypeScript's module resolution `node10`.
    main: "./dist/index.cjs",
    module: "./dist/index.js",
    types: "./dist/index.d.cts",
    typesVersions: { "*": Object.fromEntries(subpaths.map((name) => [name, [`./dist/${name}.d.cts`]])) },
    exports: {
      ...Object.fromEntries(entries.map((name) => [name === "index" ? "." : `./${name}`, conditionsOf(name)])),
      "./config.schema.json": `./${schemaFile}`,
      "./package.json": "./package.json",
    },
  };
}

/** `types` comes first in each: the first condition that applies is taken. */
function conditionsOf(name: string): Manifest {
  return {
    import: { types: `./dist/${name}.d.ts`, default: `./dist/${name}.js` },
    require: { types: `./dist/${name}.d.cts`, default: `./dist/${name}.cjs` },
  };
}
