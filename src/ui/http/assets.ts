import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import { tokenHeaders } from "./act-token.js";
import { respond } from "./respond.js";

const types: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};

interface File {
  readonly type: string;
  readonly tag: string;
  readonly text: string;
  readonly packed: Map<string, Promise<Uint8Array>>;
}

/** The files of the page. They are loaded with the first that is asked for: whoever only reads metrics does without. */
export class Assets {
  readonly #basePath: string;
  #files: Promise<ReadonlyMap<string, File>> | null = null;

  /** `basePath`: without a slash at its end. Empty: the files are beside the page, wherever that is. */
  constructor(basePath: string) {
    this.#basePath = basePath;
  }

  /** Null: there is no file of this path. */
  async answer(path: string, request: Request): Promise<Response | null> {
    this.#files ??= this.#load();
    const file = (await this.#files).get(path);
    if (file === undefined) {
      return null;
    }
    const { type, tag, text } = file;
    // It is asked for anew each time: a new version of the package has the same names.
    const cache = "private, no-cache";
    const cookie = path === "/" ? tokenHeaders(request, this.#basePath) : {};
    if (request.headers.get("if-none-match") === tag) {
      return respond(null, { status: 304, type, cache, headers: { etag: tag, ...cookie } });
    }
    const encoding = encodingFor(request.headers.get("accept-encoding") ?? "");
    const headers = { etag: tag, vary: "accept-encoding", ...cookie };
    if (encoding === null) {
      return respond(text, { type, cache, headers });
    }
    const packed = (await packedOf(file, encoding)) as Uint8Array<ArrayBuffer>;
    return respond(packed, { type, cache, headers: { ...headers, "content-encoding": encoding } });
  }

  async #load(): Promise<ReadonlyMap<string, File>> {
    const { page } = await import("../page.generated.js");
    return new Map(
      Object.entries(page).map(([name, content]): [string, File] => {
        const text = name === "index.html" ? this.#placed(content) : content;
        return [
          name === "index.html" ? "/" : `/${name}`,
          {
            type: types[name.split(".").at(-1) ?? ""] ?? "text/plain; charset=utf-8",
            tag: `"${createHash("sha256").update(text).digest("base64url").slice(0, 16)}"`,
            text,
            packed: new Map(),
          },
        ];
      }),
    );
  }

  /** With links that lead to the files whether or not the address of the page ends with a slash: frameworks want it one way or the other. */
  #placed(html: string): string {
    const prefix = this.#basePath === "" ? "" : `${this.#basePath.replaceAll("&", "&amp;")}/`;
    return html.replace(/\b(href|src)="(?=[\w-]+\.\w+")/g, (link) => `${link}${prefix}`);
  }
}

function encodingFor(accepted: string): "br" | "gzip" | null {
  const names = accepted.split(",").map((part) => part.split(";", 1)[0]?.trim());
  return names.includes("br") ? "br" : names.includes("gzip") ? "gzip" : null;
}

function packedOf({ packed, text }: File, encoding: "br" | "gzip"): Promise<Uint8Array> {
  const known = packed.get(encoding);
  if (known !== undefined) {
    return known;
  }
  const packing =
    encoding === "br"
      ? promisify(brotliCompress)(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } })
      : promisify(gzip)(text);
  packed.set(encoding, packing);
  return packing;
}
