import { createLocker } from "../locker/create-locker.js";
import type { Locker } from "../locker/locker.js";
import { describe } from "../runtime/describe.js";
import { isOfOurPage } from "./http/act-token.js";
import { respondJson, respondText } from "./http/respond.js";
import { type InspectorAct, logAct, type ResolvedInspectorOptions } from "./options.js";

const MOST_CHARS = 10_000;

/** What an administrator can do. Each act asks Postgres whether the role may, and is told to `onAct`. */
export class Acts {
  readonly #options: ResolvedInspectorOptions;

  constructor(options: ResolvedInspectorOptions) {
    this.#options = options;
  }

  /** JSON text: what a page is told that it may do. `token`: null where its browser takes no cookie. */
  describe(isAdmin: boolean, token: string | null): string {
    return isAdmin && !this.#options.isReadOnly && token !== null ? JSON.stringify({ token }) : "null";
  }

  async forceRelease(request: Request): Promise<Response> {
    const body = await this.#read(request);
    if (body instanceof Response) {
      return body;
    }
    const { key, fence = null, immediate = false } = body;
    const isValid =
      typeof key === "string" &&
      (fence === null || (typeof fence === "string" && /^[1-9]\d{0,18}$/.test(fence))) &&
      typeof immediate === "boolean";
    if (!isValid) {
      return respondText(400, 'expected {"key": text, "fence": null or a number as text, "immediate": true or false}');
    }
    const act = { action: "force-release", key, fence: fence === null ? null : BigInt(fence), immediate } as const;
    return await this.#act(request, act, async (locker) => {
      const result = await locker.forceRelease(key, { immediate, ...(act.fence !== null && { fence: act.fence }) });
      const found = result === null ? null : { outcome: result.outcome, freeAt: result.freeAt?.getTime() ?? null };
      return { outcome: result?.outcome ?? "nobody held it", result: found };
    });
  }

  async sweep(request: Request): Promise<Response> {
    const body = await this.#read(request);
    if (body instanceof Response) {
      return body;
    }
    const act = { action: "sweep", key: null, fence: null, immediate: false } as const;
    return await this.#act(request, act, async (locker) => {
      const result = await locker.sweep();
      return { outcome: "swept", result };
    });
  }

  /** The body, or the answer to who has no right to send it. */
  async #read(request: Request): Promise<Readonly<Record<string, unknown>> | Response> {
    if (this.#options.isReadOnly) {
      return respondText(403, "this inspector only looks");
    }
    if (!isOfOurPage(request)) {
      return respondText(403, "load the page again: this request is not from one of this inspector");
    }
    try {
      const body: unknown = JSON.parse(await textOfBody(request));
      if (typeof body === "object" && body !== null) {
        return body as Readonly<Record<string, unknown>>;
      }
    } catch {
      // the same answer
    }
    return respondText(400, "expected a JSON object");
  }

  async #act(
    request: Request,
    act: Omit<InspectorAct, "at" | "actor" | "outcome">,
    work: (locker: Locker) => Promise<{ outcome: string; result: unknown }>,
  ): Promise<Response> {
    const { url, directUrl, connection, actor } = this.#options;
    const who = { at: new Date(), actor: await actor(request) };
    const locker = createLocker({
      url,
      directUrl,
      connection,
      presence: "off",
      sweepEveryMs: Number.POSITIVE_INFINITY,
    });
    try {
      const { outcome, result } = await work(locker);
      this.#tell({ ...who, ...act, outcome });
      return respondJson(200, JSON.stringify({ outcome, result }));
    } catch (error) {
      const outcome = textOf(error);
      this.#tell({ ...who, ...act, outcome });
      return respondJson(409, JSON.stringify({ error: outcome }));
    } finally {
      await locker.close();
    }
  }

  /** It was done, or tried: a log that fails does not undo that, and must not hide it. */
  #tell(act: InspectorAct): void {
    try {
      this.#options.onAct(act);
    } catch (error) {
      logAct(act);
      console.error(`leasehold inspector: onAct has thrown: ${textOf(error)}`);
    }
  }
}

/** Empty when it is too long. */
async function textOfBody({ body }: Request): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > MOST_CHARS) {
      return ""; // which cancels the rest
    }
  }
  return text;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : describe(error);
}
