interface WithState {
  readonly code?: unknown;
  readonly cause?: unknown;
  readonly meta?: { readonly code?: unknown; readonly driverAdapterError?: unknown };
  readonly originalCode?: unknown;
  readonly original?: unknown;
  readonly driverError?: unknown;
}

/** More than any library nests. */
const DEEPEST = 10;

/**
 * The first of these SQLSTATEs in an error, even if a library has wrapped it: as the cause (Drizzle), `original`
 * (Sequelize), `driverError` (TypeORM), or in `meta` (Prisma, whose own codes look like SQLSTATEs). Null if there is none
 * of them.
 */
export function findSqlState<State extends string>(error: unknown, states: readonly State[], depth = 0): State | null {
  if (typeof error !== "object" || error === null || depth > DEEPEST) return null;
  const { code, cause, meta, originalCode, original, driverError } = error as WithState;
  const found = states.find((state) => state === code || state === originalCode || state === meta?.code);
  return found ?? findSqlState(cause ?? original ?? driverError ?? meta?.driverAdapterError, states, depth + 1);
}
