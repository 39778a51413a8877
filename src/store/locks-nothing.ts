/**
 * A store that has this property grants a key to several at once, on purpose: a grant says nothing about the others. A registered symbol, for
 * the store may be of another copy of this package.
 */
export const locksNothing: symbol = Symbol.for("leasehold.locks-nothing");
