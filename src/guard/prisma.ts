import {
  askInTwo,
  hasMethods,
  inTwo,
  membersOf,
  type Recognised,
  type Run,
  type Transact,
  type Unfit,
} from "./library.js";

/** The shape of a Prisma client, also of one extended with `$extends`. */
export interface PrismaDatabase {
  $transaction(body: (tx: unknown) => Promise<unknown>, options?: never): Promise<unknown>;
  $executeRawUnsafe(query: string): PromiseLike<unknown>;
}

/** The shape of what Prisma passes to the body of an interactive transaction. */
export interface PrismaTransaction {
  $executeRawUnsafe(query: string): PromiseLike<unknown>;
}

interface Queries {
  $queryRawUnsafe(query: string): PromiseLike<unknown>;
}

export function recognisePrisma(value: unknown): Recognised | Unfit | null {
  const members = membersOf(value);
  if (members === null || !hasMethods(members, "$executeRawUnsafe", "$queryRawUnsafe")) return null;
  const { _activeProvider: provider } = members;
  if (typeof provider === "string" && !/postgres/i.test(provider)) return { why: `a Prisma client for ${provider}` };
  const tx = members as unknown as PrismaTransaction & Queries;
  // The transaction that a body gets has no `$connect`. Since Prisma 7 it can open a nested transaction.
  const isOpen = !hasMethods(members, "$connect");
  return {
    transact: hasMethods(members, "$transaction") ? transact(members as unknown as PrismaDatabase) : null,
    enter: isOpen ? inTwo(runOn(tx)) : null,
    ask: isOpen ? askInTwo((text) => Promise.resolve(tx.$queryRawUnsafe(text))) : null,
  };
}

function transact(prisma: PrismaDatabase): Transact {
  return (guard, body, options) =>
    prisma.$transaction(async (tx) => {
      await guard.confirm(inTwo(runOn(tx as PrismaTransaction))(guard.statements));
      return await body(tx);
    }, options as never);
}

/** `execute`, because `query` cannot read a result of type void. Prisma sends nothing before `then` is called. */
function runOn(tx: PrismaTransaction): Run {
  return (text) => Promise.resolve(tx.$executeRawUnsafe(text));
}
