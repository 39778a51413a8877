import { LeaseholdError } from "../errors/errors.js";
import { Acts } from "./acts.js";
import { tokenOf } from "./http/act-token.js";
import { Assets } from "./http/assets.js";
import { respond, respondJson, respondText } from "./http/respond.js";
import { eventStream } from "./live/event-stream.js";
import { troubleOf, Watcher } from "./live/watcher.js";
import { metricsOf, metricsOfNothing } from "./metrics/metrics.js";
import { RisingSums } from "./metrics/rising-sums.js";
import { type InspectorOptions, type ResolvedInspectorOptions, resolveInspectorOptions } from "./options.js";
import { Checks } from "./reading/checks.js";
import { Reader } from "./reading/reader.js";

/** A page that shows who holds what and who waits for it, live. */
export interface Inspector {
  /** Answers what is asked below `basePath`. Who may ask is for the application to decide, before it calls this. Never rejects. */
  readonly handle: (request: Request) => Promise<Response>;
  /** Ends its connection to the database. Whoever still looks is told nothing more. */
  close(): Promise<void>;
  /** Calls `close`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Makes an inspector: the page that `leasehold ui` shows, to mount in an application. It connects when somebody looks, and not before.
 * Who may ask is for the application to decide, before it calls `handle`.
 *
 * ```ts
 * import { createServer } from "node:http";
 * import { createInspector, toNodeHandler } from "leasehold/ui";
 *
 * const inspector = createInspector();
 * createServer(toNodeHandler(inspector.handle)).listen(4747, "127.0.0.1");
 * ```
 * @throws {InvalidOptionError} which names the option, what was expected and what was given
 */
export function createInspector(options: InspectorOptions = {}): Inspector {
  return new MountedInspector(resolveInspectorOptions(options));
}

class MountedInspector implements Inspector {
  readonly #options: ResolvedInspectorOptions;
  readonly #assets: Assets;
  readonly #reader: Reader;
  readonly #acts: Acts;
  readonly #checks: Checks;
  readonly #sums = new RisingSums();
  readonly #watcher: Watcher;

  constructor(options: ResolvedInspectorOptions) {
    const { target, maxRows } = options;
    this.#options = options;
    this.#assets = new Assets(options.basePath);
    this.#acts = new Acts(options);
    this.#reader = new Reader({ target, maxRows });
    this.#checks = new Checks(this.#reader);
    this.#watcher = new Watcher({
      reader: this.#reader,
      actsOf: (isAdmin, token) => this.#acts.describe(isAdmin, token),
    });
  }

  readonly handle = async (request: Request): Promise<Response> => {
    try {
      return await this.#answer(request);
    } catch (error) {
      const trouble = troubleOf(error);
      return respondJson(trouble.kind === "other" ? 500 : 503, JSON.stringify(trouble));
    }
  };

  async close(): Promise<void> {
    await Promise.all([this.#watcher.close(), this.#reader.close()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const { basePath } = this.#options;
    const isMounted = basePath !== "" && (pathname === basePath || pathname.startsWith(`${basePath}/`));
    const path = isMounted ? pathname.slice(basePath.length) : pathname;
    const { method } = request;
    const isAct = path === "/force-release" || path === "/sweep";
    if (isAct ? method !== "POST" : method !== "GET" && method !== "HEAD") {
      return respondText(405, `${method} is not for this`, { allow: isAct ? "POST" : "GET, HEAD" });
    }
    switch (path) {
      case "/events":
        // whoever only asks for the head would never end a stream
        return respond(method === "HEAD" ? null : eventStream(this.#watcher, tokenOf(request)), {
          type: "text/event-stream; charset=utf-8",
          cache: "no-store, no-transform",
          headers: { "x-accel-buffering": "no" },
        });
      case "/key":
        return respondJson(200, await this.#checks.of(searchParams.get("key") ?? ""));
      case "/metrics":
        return respond(await this.#metrics(), { type: "text/plain; version=0.0.4; charset=utf-8" });
      case "/force-release":
        return await this.#acts.forceRelease(request);
      case "/sweep":
        return await this.#acts.sweep(request);
      default:
        return (
          (await this.#assets.answer(path === "" ? "/" : path, request)) ??
          respondText(404, "there is nothing here: is basePath where it is mounted?")
        );
    }
  }

  /** A database that cannot be read is one of the things that Prometheus is told. */
  async #metrics(): Promise<string> {
    try {
      return metricsOf(await this.#reader.totals(), this.#sums);
    } catch (error) {
      if (error instanceof LeaseholdError) {
        return metricsOfNothing();
      }
      throw error;
    }
  }
}
