// How values are read that come over a Pool of node-postgres: always as postgres.js reads them over our own connections, whatever
// parsers the application has set. Times, JSON and arrays are not among them: statements select them as numbers and text.

const BOOLEAN = 16;
const NUMBERS: ReadonlySet<number> = new Set([21, 23, 26, 700, 701]); // int2, int4, oid, float4, float8

interface ReadingTypes {
  getTypeParser(oid: number): (text: string) => unknown;
}

export const readingTypes: ReadingTypes = {
  getTypeParser: (oid) => (oid === BOOLEAN ? readBoolean : NUMBERS.has(oid) ? Number : readText),
};

function readBoolean(text: string): boolean {
  return text === "t";
}

function readText(text: string): string {
  return text;
}
