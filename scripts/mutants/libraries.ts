// Faults in what the libraries of applications need: guards in their transactions, and locks over their clients.
import type { Mutant } from "./mutant.js";

const promises = ["test/libraries/promises.test.ts"];
const variants = ["test/libraries/variants.test.ts"];
const lostConnection = ["test/transactions/lost-connection.test.ts"];
const reconnect = ["test/transactions/reconnect.test.ts"];
const inPool = ["test/api/given-pool.test.ts"];
const exhausted = ["test/api/given-client-exhausted.test.ts"];

export const libraries: readonly Mutant[] = [
  {
    name: "lock.transaction: no guard (TypeORM)",
    file: "src/guard/typeorm.ts",
    edits: [["      await guard.confirm(enter(tx.queryRunner, type)(guard.statements));\n", ""]],
    tests: promises,
  },
  {
    name: "lock.transaction: no guard (Knex)",
    file: "src/guard/knex.ts",
    edits: [["      await guard.confirm(enter(trx.client)(guard.statements));\n", ""]],
    tests: promises,
  },
  {
    name: "lock.transaction: nobody listens to the connection of a pool that Knex was given",
    file: "src/guard/knex.ts",
    edits: [["      stopListening = listenForErrors(await trx.client.acquireConnection());\n", ""]],
    tests: promises,
  },
  {
    name: "lock.transaction: no guard (MikroORM)",
    file: "src/guard/mikro-orm.ts",
    edits: [["      await enter(guard, fork);\n", ""]],
    tests: promises,
  },
  {
    name: "lock.transaction: MikroORM writes into the user's options",
    file: "src/guard/mikro-orm.ts",
    edits: [["{ ...(options as object | undefined) } as never", "options as never"]],
    tests: variants,
  },
  {
    name: "lock.transaction: no guard (Sequelize)",
    file: "src/guard/sequelize.ts",
    edits: [["      await guard.confirm(enter(tx)(guard.statements));\n", ""]],
    tests: promises,
  },
  {
    name: "guard: a question mark of the key stands in the text",
    file: "src/guard/interpolate.ts",
    edits: [["/['\\\\?:$@]/g", "/['\\\\:$@]/g"]],
    tests: variants,
  },
  {
    name: "lock.guard: a transaction of postgres.js that nobody watches is guarded",
    file: "src/guard/postgres-js.ts",
    edits: [["const reconnects = () => !isFenced(value);", "const reconnects = () => false;"]],
    tests: reconnect,
  },
  {
    name: "lock.guard: one that lock.transaction has opened is not",
    file: "src/guard/postgres-js-scope.ts",
    edits: [["          case FENCED:\n            return true;\n", ""]],
    tests: reconnect,
  },
  {
    name: "lock.transaction: what postgres.js never answers is waited for",
    file: "src/guard/postgres-js-scope.ts",
    edits: [["      for (const query of this.#unanswered) query.reject(error);\n", ""]],
    tests: lostConnection,
  },
  {
    name: "lock.transaction: a reset is no loss for postgres.js's rollback",
    file: "src/guard/postgres-js-scope.ts",
    edits: [["(CONNECTION_|E[A-Z]+$|", "(CONNECTION_|"]],
    tests: lostConnection,
  },
  {
    name: "lock.guard: Drizzle's over postgres.js that nobody watches is guarded",
    file: "src/guard/drizzle.ts",
    edits: [['driverOf(database) === "PostgresJsSession" && !isFenced(sessionOf(database).client)', "false"]],
    tests: reconnect,
  },
  {
    name: "lock.transaction: a nested one of Drizzle is guarded in a transaction that nobody watches",
    file: "src/guard/drizzle.ts",
    edits: [["      if (reconnects(database)) throw reconnecting(guard);\n", ""]],
    tests: reconnect,
  },
  {
    name: "lock.transaction: Kysely over postgres.js is guarded",
    file: "src/guard/kysely.ts",
    edits: [["      if (await reconnects(tx as KyselyDatabase)) throw reconnectingKysely(guard);\n", ""]],
    tests: variants,
  },
  {
    name: "lock.guard: Kysely over postgres.js is known by a name alone",
    file: "src/guard/kysely.ts",
    edits: [[" || /\\.unsafe\\(/.test(String(prototype.executeQuery))", ""]],
    tests: variants,
  },
  {
    name: "given pool: the application's parsers read our answers",
    file: "src/postgres/connection/given-pool.ts",
    edits: [
      ["const query = { text, values, types: readingTypes };", "const query = { text, values } as unknown as Query;"],
    ],
    tests: ["test/api/given-client.test.ts"],
  },
  {
    name: "given pool: statements are prepared through poolers, too",
    file: "src/postgres/connection/given-pool.ts",
    edits: [[" || !this.#options.isDirect()", ""]],
    tests: inPool,
  },
  {
    name: "given pool: what is prepared is believed to stay so",
    file: "src/postgres/connection/given-pool.ts",
    edits: [["      if (!isNotPrepared(error)) throw error;\n", "      if (error !== null) throw error;\n"]],
    tests: inPool,
  },
  {
    name: "given pool: a connection without an answer goes back",
    file: "src/postgres/connection/given-pool.ts",
    edits: [["isBroken = !leavesConnection(error);", "isBroken = false;"]],
    tests: inPool,
  },
  {
    name: "given pool: each refused statement costs a connection",
    file: "src/postgres/connection/given-pool.ts",
    edits: [["isBroken = !leavesConnection(error);", "isBroken = true;"]],
    tests: inPool,
  },
  {
    name: "given pool: a connection that comes too late is kept",
    file: "src/postgres/connection/given-pool.ts",
    edits: [["connecting.then((late) => late.release(false), ignore)", "connecting.catch(ignore)"]],
    tests: exhausted,
  },
  {
    name: "given client: a call that could never be sent waits",
    file: "src/guard/exhausted.ts",
    edits: [["if (enclosingTransactions(client) < connections) return null;", "if (connections > 0) return null;"]],
    tests: exhausted,
  },
  {
    name: "given client: a transaction that could never begin waits",
    file: "src/guard/transaction.ts",
    edits: [["if (exhausted !== null) throw exhausted;", "void exhausted;"]],
    tests: exhausted,
  },
  {
    name: "given client: every transaction around a call refuses it",
    file: "src/guard/exhausted.ts",
    edits: [["enclosingTransactions(client) < connections", "enclosingTransactions(client) === 0"]],
    tests: exhausted,
  },
  {
    name: "given client: what was begun in a transaction is refused after it",
    file: "src/guard/enclosing.ts",
    edits: [["    transaction.isOpen = false;\n", ""]],
    tests: exhausted,
  },
  {
    name: "given client: transactions on other clients count",
    file: "src/guard/enclosing.ts",
    edits: [
      ["transaction.client === client && transaction.isOpen", "transaction.isOpen"],
      ["client === undefined || !followed.has(client)", "client === undefined"],
    ],
    tests: exhausted,
  },
];
