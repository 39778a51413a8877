// A TCP proxy in front of Postgres that breaks the network on demand, and knows statements: over TLS, too, when it has a
// certificate. It then speaks TLS with both ends, so that it is not the server's TLS that the client sees.
import { createServer, type Server, type Socket } from "node:net";
import type { Certificate } from "./certificate.js";
import { changeUrl } from "./client.js";
import { withFreePort } from "./ports.js";
import { type Direction, ProxyConnection, type Statement, type Treatment } from "./proxy-connection.js";
import { closed, opened } from "./resources.js";
import { transport, usualTls } from "./transport.js";

export type { Direction, ProxyConnection, Statement };

export interface Held {
  /** The statement has come, and waits in the proxy with all that its connection sends after it. */
  readonly arrived: Promise<Statement>;
  /** Lets it go on, even when its client is gone; resolves when the server has answered it. */
  forward(): Promise<void>;
  /** It never reaches the server: its connection is reset. */
  discard(): void;
  /** If none has come yet, none is held any more. */
  cancel(): void;
}

export interface ProxyOptions {
  /**
   * For the clients that want TLS. Default: where this run's tests speak TLS (transport.ts), one that nobody verifies.
   * False: TLS passes through the proxy as it is, and no statement can be seen in it.
   */
  readonly certificate?: Certificate | false;
  /** What clients see in place of each message of the server's, which has its type and length in front. */
  readonly rewrite?: (message: Buffer) => Buffer;
}

export interface Dropped {
  /** The server has run the statement, its answer is thrown away, and the connection cut or a black hole. */
  readonly dropped: Promise<void>;
  /** If no statement has come yet, none loses its answer any more. */
  cancel(): void;
}

interface Rule {
  readonly pattern: RegExp;
  apply(statement: Statement): Treatment;
}

export class PostgresProxy implements AsyncDisposable {
  readonly name: string;
  /** Added to each chunk on its way, in milliseconds. */
  readonly delayMs: { toServer: number; toClient: number } = { toServer: 0, toClient: 0 };
  /** Every statement that has come, in order, also those that were held. Set its length to 0 to begin anew. */
  readonly statements: Statement[] = [];
  #target: { host: string; port: number };
  #listener: Server | undefined;
  #port = 0;
  #blackhole: Direction | undefined;
  readonly #connections = new Set<ProxyConnection>();
  /** Each is for one statement: the first that matches. */
  readonly #rules: Rule[] = [];
  readonly #watchers = new Set<Rule>();
  readonly #certificate: Certificate | undefined;
  readonly #rewrite: ProxyOptions["rewrite"];

  private constructor(target: string, certificate: Certificate | undefined, rewrite: ProxyOptions["rewrite"]) {
    this.#target = addressOf(target);
    this.#certificate = certificate;
    this.#rewrite = rewrite;
    this.name = `proxy to port ${this.#target.port}`;
  }

  static async start(target: string, options: ProxyOptions = {}): Promise<PostgresProxy> {
    const usual = transport() === "tls" ? (await usualTls()).certificate : undefined;
    const proxy = new PostgresProxy(target, (options.certificate ?? usual) || undefined, options.rewrite);
    await withFreePort(async (port) => {
      proxy.#port = port;
      await proxy.#listen();
    });
    opened(proxy);
    return proxy;
  }

  get port(): number {
    return this.#port;
  }

  /** In the order in which they came. */
  get connections(): ProxyConnection[] {
    return [...this.#connections];
  }

  /** The same address, by way of this proxy. */
  url(of: string): string {
    return changeUrl(of, { host: "127.0.0.1", port: this.#port });
  }

  /** New connections go to another server from now on. */
  retarget(url: string): void {
    this.#target = addressOf(url);
  }

  /** Resets all connections; new ones are welcome. */
  cutAll(): void {
    for (const connection of this.#connections) connection.cut();
  }

  /** New connections are refused (ECONNREFUSED), or welcome again. Those that stand are not touched. */
  async refuse(isRefused: boolean): Promise<void> {
    if (!isRefused) return this.#listener ? undefined : this.#listen();
    this.#listener?.close();
    this.#listener = undefined;
  }

  /** Nothing passes in this direction, on all connections and new ones (they are accepted), and nobody is told. */
  blackhole(direction: Direction = "both"): void {
    this.#blackhole = direction;
    for (const connection of this.#connections) connection.blackhole(direction);
  }

  /** Ends black holes, also those of single connections. What was sent meanwhile arrives now. */
  heal(): void {
    this.#blackhole = undefined;
    for (const connection of this.#connections) connection.heal();
  }

  /** The next statement that matches, when it comes. It passes. */
  onStatement(pattern: RegExp): Promise<Statement> {
    return new Promise((resolve) => {
      const watcher: Rule = {
        pattern,
        apply: (statement) => {
          this.#watchers.delete(watcher);
          resolve(statement);
          return "pass";
        },
      };
      this.#watchers.add(watcher);
    });
  }

  /** The next statement that matches reaches the server, and its answer does not come back. */
  dropAnswerOf(pattern: RegExp, options: { readonly then: "cut" | "blackhole" }): Dropped {
    let cancel = (): void => {};
    const dropped = new Promise<void>((resolve) => {
      cancel = this.#addRule({ pattern, apply: () => ({ dropAnswer: options.then, done: resolve }) });
    });
    return { dropped, cancel };
  }

  /** The next statement that matches is kept back: a hung attempt. */
  holdStatement(pattern: RegExp): Held {
    let cancel = (): void => {};
    const arrived = new Promise<Statement>((resolve) => {
      cancel = this.#addRule({
        pattern,
        apply: (statement) => {
          resolve(statement);
          return "hold";
        },
      });
    });
    return {
      arrived,
      cancel,
      forward: async () => (await arrived).connection.forwardHeld(),
      discard: () => void arrived.then((statement) => statement.connection.cut()),
    };
  }

  /** Resets all connections and closes the port. */
  async close(): Promise<void> {
    await this.refuse(true);
    const all = this.connections;
    this.cutAll();
    await Promise.all(all.map((connection) => connection.closed));
    closed(this);
  }

  dispose(): Promise<void> {
    return this.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #listen(): Promise<void> {
    // half-open, as a client's end must be able to wait behind what it has sent
    const listener = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
    return new Promise((resolve, reject) => {
      listener.once("error", reject);
      listener.listen(this.#port, "127.0.0.1", () => {
        this.#listener = listener;
        resolve();
      });
    });
  }

  #accept(socket: Socket): void {
    const connection = new ProxyConnection(socket, this.#target, {
      certificate: this.#certificate,
      rewrite: this.#rewrite,
      delayMs: (direction) => (direction === "to-server" ? this.delayMs.toServer : this.delayMs.toClient),
      treat: (statement) => this.#treat(statement),
    });
    if (this.#blackhole) connection.blackhole(this.#blackhole);
    this.#connections.add(connection);
    void connection.closed.then(() => this.#connections.delete(connection));
  }

  /** Returns what takes it back, if it was not applied yet. */
  #addRule(rule: Rule): () => void {
    this.#rules.push(rule);
    return () => {
      const index = this.#rules.indexOf(rule);
      if (index >= 0) this.#rules.splice(index, 1);
    };
  }

  #treat(statement: Statement): Treatment {
    this.statements.push(statement);
    for (const watcher of this.#watchers) {
      if (watcher.pattern.test(statement.sql)) watcher.apply(statement);
    }
    const index = this.#rules.findIndex((rule) => rule.pattern.test(statement.sql));
    const [rule] = index < 0 ? [] : this.#rules.splice(index, 1);
    return rule ? rule.apply(statement) : "pass";
  }
}

/** Starts a proxy to the server of this address. */
export function startProxy(target: string, options?: ProxyOptions): Promise<PostgresProxy> {
  return PostgresProxy.start(target, options);
}

function addressOf(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url);
  return { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || 5432) };
}
