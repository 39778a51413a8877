// Faults in the inspector: who is let in, what may be done, when the database is looked at, what is told of it. The page's own parts are
// bundled before they are tested, so only what is tested without a browser is here.
import type { Mutant } from "./mutant.js";

const command = ["test/cli/ui.test.ts"];
const acts = ["test/ui/acts.test.ts"];
const handler = ["test/ui/handler.test.ts"];
const nodeHandler = ["test/ui/node-handler.test.ts"];
const watcher = ["test/unit/ui/watcher.test.ts"];
const history = ["test/unit/ui/history.test.ts"];
const page = ["test/unit/ui/page-state.test.ts"];

export const inspector: readonly Mutant[] = [
  {
    name: "inspector: an address lets in more than one browser",
    file: "src/cli/ui/gate.ts",
    edits: [["    this.#token = makeSecret();\n", ""]],
    tests: command,
  },
  {
    name: "inspector: a browser that fetches ahead uses the address up",
    file: "src/cli/ui/gate.ts",
    edits: [['request.method !== "GET" || request.headers.has("sec-purpose")', 'request.method !== "GET"']],
    tests: command,
  },
  {
    name: "inspector: it answers to any name",
    file: "src/cli/ui/server.ts",
    edits: [['loopback.includes(host) ? ["127.0.0.1", "localhost", "[::1]"] : null', "null"]],
    tests: command,
  },
  {
    name: "inspector: everybody may read the metrics",
    file: "src/cli/ui/gate.ts",
    edits: [["    return metricsToken !== null && isEqual(", "    return metricsToken === null || isEqual("]],
    tests: command,
  },
  {
    name: "inspector: whoever may read the metrics may look",
    file: "src/cli/ui/gate.ts",
    edits: [['const mayRead = pathname === "/metrics" && this', "const mayRead = this"]],
    tests: command,
  },
  {
    name: "inspector: an act without the token of the page",
    file: "src/ui/http/act-token.ts",
    edits: [['token !== null && isEqual(request.headers.get(HEADER) ?? "", token)', "true"]],
    tests: acts,
  },
  {
    name: "inspector: an act for a page of another site",
    file: "src/ui/http/act-token.ts",
    edits: [[' && (site === null || site === "same-origin")', ""]],
    tests: acts,
  },
  {
    name: "inspector: each page has another token than those that are open",
    file: "src/ui/http/act-token.ts",
    edits: [["  if (tokenOf(request) !== null) {\n", "  if (tokenOf(request) === basePath) {\n"]],
    tests: acts,
  },
  {
    name: "inspector: readOnly hides acts, and does not refuse them",
    file: "src/ui/acts.ts",
    edits: [["    if (this.#options.isReadOnly) {\n", "    if (this.#options.isReadOnly && request.bodyUsed) {\n"]],
    tests: acts,
  },
  {
    name: "inspector: acts are offered to every role",
    file: "src/ui/acts.ts",
    edits: [["return isAdmin && !this.#options", "return !this.#options"]],
    tests: acts,
  },
  {
    name: "inspector: an act that failed is not told",
    file: "src/ui/acts.ts",
    edits: [
      [
        "      const outcome = textOf(error);\n      this.#tell({ ...who, ...act, outcome });\n",
        "      const outcome = textOf(error);\n",
      ],
    ],
    tests: acts,
  },
  {
    name: "inspector: the fence of a release by force is left out",
    file: "src/ui/acts.ts",
    edits: [["{ immediate, ...(act.fence !== null && { fence: act.fence }) }", "{ immediate }"]],
    tests: acts,
  },
  {
    name: "inspector: it looks when nobody does",
    file: "src/ui/live/watcher.ts",
    edits: [["      if (this.#viewers.size > 0) {\n", "      if (this.#looks > 0 || this.#viewers.size > 0) {\n"]],
    tests: watcher,
  },
  {
    name: "inspector: each browser that comes makes it look",
    file: "src/ui/live/watcher.ts",
    edits: [["Math.max(0, this.#everyMs - (monotonicNowMs() - this.#lookedMs))", "0"]],
    tests: watcher,
  },
  {
    name: "inspector: no rest after a look that took long",
    file: "src/ui/live/watcher.ts",
    edits: [["Math.max(this.#everyMs - tookMs, tookMs)", "Math.max(this.#everyMs - tookMs, 0)"]],
    tests: watcher,
  },
  {
    name: "inspector: what a slow browser has missed is not made up for",
    file: "src/ui/live/watcher.ts",
    edits: [["      } else {\n        this.#viewers.set(viewer, false);\n      }\n", "      }\n"]],
    tests: watcher,
  },
  {
    name: "inspector: after an outage only what has changed is told",
    file: "src/ui/live/watcher.ts",
    edits: [["      this.#viewers.set(viewer, false);\n    }\n  }\n", "    }\n  }\n"]],
    tests: watcher,
  },
  {
    name: "inspector: troubles are heaped up for a browser that does not read",
    file: "src/ui/live/watcher.ts",
    edits: [
      [
        '      if (viewer.isReady) {\n        viewer.send("trouble", this.#trouble);\n      }\n',
        '      viewer.send("trouble", this.#trouble);\n',
      ],
    ],
    tests: watcher,
  },
  {
    name: "inspector: it looks as often when it cannot",
    file: "src/ui/live/watcher.ts",
    edits: [["Math.max(restMs, patienceMs)", "restMs"]],
    tests: watcher,
  },
  {
    name: "inspector: what happened in an outage is made up",
    file: "src/ui/live/watcher.ts",
    edits: [["    const last = this.#last;\n", "    const last = this.#last ?? reading;\n"]],
    tests: watcher,
  },
  {
    name: "inspector: who falls behind while the greeting changes has missed a state",
    file: "src/ui/live/watcher.ts",
    edits: [
      ["        this.#viewers.set(viewer, false);\n        this.#greet(viewer);\n", "        this.#greet(viewer);\n"],
    ],
    tests: watcher,
  },
  {
    name: "inspector: an outage is told to who comes when it is over",
    file: "src/ui/live/watcher.ts",
    edits: [["        this.#trouble = null; // it may", "        // it may"]],
    tests: watcher,
  },
  {
    name: "inspector: the whole is written for each browser",
    file: "src/ui/live/watcher.ts",
    edits: [["this.#whole ??= message(", "this.#whole = message("]],
    tests: watcher,
  },
  {
    name: "inspector: what is cut off has ended",
    file: "src/ui/live/history.ts",
    edits: [["    if (!isCut) {\n", "    if (atMs > 0) {\n"]],
    tests: watcher,
  },
  {
    name: "inspector: what can be no key costs the connection",
    file: "src/ui/reading/checks.ts",
    edits: [["    checkKey(key);\n", ""]],
    tests: handler,
  },
  {
    name: "inspector: a key that begins with a dash is an option",
    file: "src/ui/page/state/quote.ts",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the text that is looked for
    edits: [["`-- ${quoted}`", "quoted"]],
    tests: page,
  },
  {
    name: "inspector: streams stay open when it is closed",
    file: "src/ui/live/watcher.ts",
    edits: [["    for (const viewer of this.#viewers.keys()) {\n      viewer.end();\n    }\n", ""]],
    tests: [...watcher, ...handler],
  },
  {
    name: "inspector: rows that are gone stay",
    file: "src/ui/live/changes.ts",
    edits: [["[...before.keys()].filter((id) => !after.has(id))", "[...before.keys()].filter((id) => id === null)"]],
    tests: watcher,
  },
  {
    name: "inspector: the next grant comes before the end of the last",
    file: "src/ui/live/history.ts",
    edits: [["over(one, event?.at ?? atMs)", "over(one, atMs)"]],
    tests: history,
  },
  {
    name: "inspector: a takeover is told as a grant",
    file: "src/ui/live/history.ts",
    edits: [
      ['one.state === "expired" || one.state === "orphaned" || one.isSessionAlive === false', "one.state === null"],
    ],
    tests: history,
  },
  {
    name: "inspector: every look at a key goes to the database",
    file: "src/ui/reading/checks.ts",
    edits: [["    if (known !== undefined) {\n", "    if (known === null) {\n"]],
    tests: handler,
  },
  {
    name: "inspector: all rows are read, however many there are",
    file: "src/ui/reading/reader.ts",
    edits: [["toRows(rows.slice(0, maxRows))", "toRows(rows)"]],
    tests: handler,
  },
  {
    name: "inspector: a connection that failed is used again",
    file: "src/ui/reading/reader.ts",
    edits: [["      if (this.#queries === opening) {\n        await this.#disconnect();\n      }\n", ""]],
    tests: handler,
  },
  {
    name: "inspector: a row that is locked for a moment comes and goes",
    file: "src/ui/reading/queries.ts",
    edits: [["operator(pg_catalog.<>) 'blocked' or (", "operator(pg_catalog.<>) 'blocked' or true or ("]],
    tests: handler,
  },
  {
    name: "inspector: all of each lease's metadata is told",
    file: "src/ui/reading/queries.ts",
    edits: [["operator(pg_catalog.<=) 2000", "operator(pg_catalog.<=) 2000000"]],
    tests: handler,
  },
  {
    name: "inspector: acts are offered on a standby",
    file: "src/ui/reading/reader.ts",
    edits: [["stats[0].admin === true && !isStandby", "stats[0].admin === true"]],
    tests: handler,
  },
  {
    name: "metrics: the sum of a histogram falls",
    file: "src/ui/metrics/rising-sums.ts",
    edits: [["Math.max(before.sum, mean * count)", "mean * count"]],
    tests: ["test/unit/ui/rising-sums.test.ts"],
  },
  {
    name: "inspector: metrics fail when the database does",
    file: "src/ui/inspector.ts",
    edits: [["      if (error instanceof LeaseholdError) {\n", "      if (error === null) {\n"]],
    tests: handler,
  },
  {
    name: "inspector: what is left of a body stays in the way of the next request",
    file: "src/ui/http/node-handler.ts",
    edits: [['    response.once("finish", () => request.resume());\n', ""]],
    tests: nodeHandler,
  },
  {
    name: "inspector: who stops reading a body ends the connection that the answer needs",
    file: "src/ui/http/node-handler.ts",
    edits: [["destroyOnReturn: false", "destroyOnReturn: true"]],
    tests: nodeHandler,
  },
  {
    name: "inspector: the bytes of a parser are taken for an object",
    file: "src/ui/http/node-handler.ts",
    edits: [[" || body instanceof Uint8Array", ""]],
    tests: nodeHandler,
  },
  {
    name: "inspector: of several cookies one is sent",
    file: "src/ui/http/node-handler.ts",
    edits: [["cookies.length > 0 &&", "cookies.length > 9 &&"]],
    tests: nodeHandler,
  },
  {
    name: "inspector: the host of HTTP/2 is not known",
    file: "src/ui/http/node-handler.ts",
    edits: [[' ?? headers[":authority"]', ""]],
    tests: nodeHandler,
  },
  {
    name: "inspector: a stream may be compressed, which holds it back",
    file: "src/ui/inspector.ts",
    edits: [["no-store, no-transform", "no-store"]],
    tests: ["test/libraries/inspector.test.ts"],
  },
  {
    name: "inspector: scripts of anybody may run on its page",
    file: "src/ui/http/respond.ts",
    edits: [["script-src 'self'", "script-src *"]],
    tests: handler,
  },
  {
    name: "inspector: a direction of reading that is turned stays turned",
    file: "src/ui/page/state/visible.ts",
    edits: [
      ["\\p{Cf}", ""],
      ["\\p{Default_Ignorable_Code_Point}", ""],
    ],
    tests: page,
  },
  {
    name: "inspector: a command is not quoted for the shell",
    file: "src/ui/page/state/quote.ts",
    edits: [[".test(text)) return text;", ".test(text) || true) return text;"]],
    tests: page,
  },
  {
    name: "inspector: fences are compared as texts",
    file: "src/ui/page/state/keys.ts",
    edits: [["return BigInt(a) >= BigInt(b) ? a : b;", "return a >= b ? a : b;"]],
    tests: page,
  },
  {
    name: "inspector: rates of single looks",
    file: "src/ui/page/state/rates.ts",
    edits: [["const OVER_MS = 10_000;", "const OVER_MS = 1;"]],
    tests: page,
  },
];
