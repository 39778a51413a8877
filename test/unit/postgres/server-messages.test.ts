// What may come from a server, and in which order: answers that are mixed up would go to the wrong callers.
import { expect, test } from "vitest";
import { ServerMessages } from "../../../src/postgres/connection/server-messages.js";

/** A login, and then messages of these types, without contents but for what is looked at. */
function stream(types: string): Buffer {
  return Buffer.concat(
    [...`Z${types}`].map((type) => message(type, type === "T" ? "\0\0" : type === "A" ? "\0\0\0\0a\0\0" : "")),
  );
}

function message(type: string, body: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(4 + body.length);
  return Buffer.concat([Buffer.from(type), length, Buffer.from(body, "latin1")]);
}

/** The same in one piece, byte by byte, and in two pieces of each size. */
function readings(bytes: Buffer): Buffer[][] {
  const halves = Array.from(bytes, (_, at) => [bytes.subarray(0, at), bytes.subarray(at)]);
  return [[bytes], Array.from(bytes, (byte) => Buffer.of(byte)), ...halves];
}

function read(pieces: readonly Buffer[]): unknown {
  const messages = new ServerMessages();
  try {
    for (const piece of pieces) messages.read(piece);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

test.each([
  ["an answer to a simple query", "TDCZ"],
  ["to several statements in one", "CTDCTDDCZ"],
  ["to an empty one", "IZ"],
  ["to one with parameters", "1tTZ2DCZ"],
  ["to one that returns nothing", "1tnZ2CZ"],
  ["to one that stops at a limit", "12DSZ"],
  ["one that fails", "EZ"],
  ["one that fails after rows, and then another", "TDDEZTDCZ"],
  ["notices, notifications and settings at any time", "NASTDNASCNASZNAS"],
  ["between an error and its end, too", "ENASZ"],
  ["an error between statements: the server ends the connection", "TDCZE"],
])("%s is as it must be", (_, types) => {
  for (const pieces of readings(stream(types))) expect(read(pieces)).toBeNull();
});

// as Pgpool-II 4.3 was seen to answer a statement with parameters that fails, and a simple one that was sent right behind it
test.each([
  ["what it has asked itself, instead of the end of the error", "ETDCZEZ"],
  ["no answer at all", "EZZ"],
  ["a second error", "EEZ"],
  ["no answer, after a good one", "TDCZZ"],
  ["with a notice in between", "EZNZ"],
])("%s is refused", (_, types) => {
  for (const pieces of readings(stream(types)))
    expect(read(pieces)).toBe("what is in front of the server mixes up its answers");
});
