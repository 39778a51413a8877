import { Surroundings } from "../runtime/surroundings.js";

/** A transaction of `lock.transaction` on a client that a locker sends its commands through. */
interface Enclosing {
  readonly client: object;
  isOpen: boolean;
}

const enclosing = new Surroundings<Enclosing>();
/** Only transactions on these are followed: AsyncLocalStorage slows down every promise of the process as soon as it is used. */
const followed = new WeakSet<object>();

/** From now on `enclosingTransactions` knows the transactions on this client. */
export function followTransactions(client: object): void {
  followed.add(client);
}

/** Runs the body of a transaction on this client. */
export async function runEnclosed<Value>(client: object | undefined, body: () => Promise<Value>): Promise<Value> {
  if (client === undefined || !followed.has(client)) return await body();
  const transaction: Enclosing = { client, isOpen: true };
  try {
    return await enclosing.run(transaction, body);
  } finally {
    transaction.isOpen = false;
  }
}

/** How many open transactions on this client the code that runs now is inside of. Each keeps a connection of the client. */
export function enclosingTransactions(client: object): number {
  let count = 0;
  for (const transaction of enclosing) {
    if (transaction.client === client && transaction.isOpen) count += 1;
  }
  return count;
}
