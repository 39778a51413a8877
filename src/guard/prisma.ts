import { hasMethods, inTwo, membersOf, type Recognised, type Run, type Transact, type Unfit } from "./library.js";

/** A Prisma client, by its shape; what `$extends` makes of one, too. */
export interface PrismaDatabase {
  $transaction(body: (tx: unknown) => Promise<unknown>, options?: never): Promise<unknown>;
  $executeRawUnsafe(query: string): PromiseLike<unknown>;
}

/** What the body of an interactive transaction is given, by its shape. */
export interface PrismaTransaction {
  $executeRawUnsafe(query: string): PromiseLike<unknown>;
}

export function recognisePrisma(value: unknown): Recognised | Unfit | null {
  const members = membersOf(value);
  if (members === null || !hasMethods(members, "$executeRawUnsafe", "$queryRawUnsafe")) return null;
  const { _activeProvider: provider } = members;
  if (typeof provider === "string" && !/postgres/i.test(provider)) return { why: `a Prisma client for ${provider}` };
  // What a body is given lacks `$connect`. Since Prisma 7 it can nest a transaction in its own.
  const isOpen = !hasMethods(members, "$connect");
  return {
    transact: hasMethods(members, "$transaction") ? transact(members as unknown as PrismaDatabase) : null,
    enter: isOpen ? inTwo(runOn(members as unknown as PrismaTransaction)) : null,
  };
}

function transact(prisma: PrismaDatabase): Transact {
  return (guard, body, options) =>
    prisma.$transaction(async (tx) => {
      await guard.confirm(inTwo(runOn(tx as PrismaTransaction))(guard.statements));
      return await body(tx);
    }, options as never);
}

/** `execute` and not `query`, which cannot read a result of type void. Prisma sends nothing before `then` is called. */
function runOn(tx: PrismaTransaction): Run {
  return (text) => Promise.resolve(tx.$executeRawUnsafe(text));
}
