// Servers that fail at each step of the way to TLS: a named error in time, nothing said in clear, and no process that ends.
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import { expect, test } from "vitest";
import { createLocker, UnavailableError } from "../../src/index.js";
import { settled } from "../faults/settled.js";
import { makeAuthority, makeCertificate } from "../support/certificate.js";
import { changeUrl } from "../support/client.js";
import { createDatabase } from "../support/database.js";
import { type FakeServer, fakeServer } from "../support/fake-server.js";
import { reasons } from "./reasons.js";

/** Short only where it is what ends the call: on a busy machine an answer takes its time. */
const patienceMs = (expected: RegExp): number => (expected === tooLate ? 500 : 10_000);
const database = await createDatabase();
const certificate = await makeCertificate(await makeAuthority(), ["localhost", "127.0.0.1"]);
const secureContext = createSecureContext(certificate);

const AUTHENTICATION_OK = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0]);
const READY = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);
const FATAL = message("E", "SFATAL\0VFATAL\0C53300\0Msorry, too many clients already\0\0");
const junk = randomBytes(300);

function message(type: string, text: string): Buffer {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(4 + Buffer.byteLength(text), 1);
  return Buffer.concat([head, Buffer.from(text)]);
}

/** `raw`: the socket, below the TLS. */
type Treatment = (socket: Socket, raw?: Socket) => void;

const answering =
  (...parts: (string | Buffer)[]): Treatment =>
  (socket) =>
    void socket.once("data", () => socket.write(Buffer.concat(parts.map((part) => Buffer.from(part)))));

const then =
  (answer: string, treat: Treatment): Treatment =>
  (socket) =>
    void socket.once("data", () => {
      socket.write(answer);
      socket.once("data", () => treat(socket));
    });

/** The handshake succeeds. */
const withTls =
  (treat: Treatment): Treatment =>
  (socket) =>
    void socket.once("data", () => {
      socket.write("S");
      socket.once("data", (hello) => {
        socket.pause();
        socket.unshift(hello);
        const tls = new TLSSocket(socket, { isServer: true, secureContext });
        tls.on("error", () => {}).once("data", () => treat(tls, socket));
      });
    });

/** A real server's answers, but only so many bytes of them. */
const cutAfter =
  (bytes: number, treat: Treatment): Treatment =>
  (socket) => {
    const { hostname, port } = new URL(database.url);
    const server = connect(Number(port), hostname).on("error", () => {});
    let left = bytes;
    socket.pipe(server);
    socket.on("close", () => server.destroy());
    server.on("data", (chunk) => {
      if (left <= 0) return;
      socket.write(chunk.subarray(0, left));
      left -= chunk.length;
      if (left <= 0) treat(socket);
    });
  };

const hangUp: Treatment = (socket) => socket.end();
const reset: Treatment = (socket, raw = socket) => raw.resetAndDestroy();
const silence: Treatment = () => {};
const say =
  (bytes: Buffer): Treatment =>
  (socket) =>
    void socket.write(bytes);

const closed = /closed|ECONNRESET|disconnected|socket hang up|EPIPE/;
const tooLate = /no (answer|connection) within|TIMEOUT/;
const notPostgres = /did not answer the request for TLS as Postgres does/;
const brokenTls = /EPROTO|ERR_SSL|wrong version|packet length|closed|ECONNRESET/;

const steps: Readonly<Record<string, readonly [Treatment, RegExp]>> = {
  "hangs up at once": [hangUp, closed],
  "resets at once": [reset, closed],
  "says something before it is asked": [say(AUTHENTICATION_OK), notPostgres],
  "hangs up when asked for TLS": [(socket) => void socket.once("data", () => hangUp(socket)), closed],
  "resets when asked for TLS": [(socket) => void socket.once("data", () => reset(socket)), closed],
  "does not answer": [silence, tooLate],
  "has no TLS": [answering("N"), /does not accept TLS/],
  "has no TLS and goes on": [answering("N", AUTHENTICATION_OK, READY), notPostgres],
  "answers with an error": [answering(FATAL), /request for TLS with an error/],
  "answers something else": [answering("HTTP/1.1 400 Bad Request\r\n\r\n"), notPostgres],
  "answers with one byte that is none": [answering("X"), notPostgres],
  "accepts, and sends more in the same breath (CVE-2021-23222)": [
    answering("S", AUTHENTICATION_OK, READY),
    notPostgres,
  ],
  "accepts, and is silent": [then("S", silence), tooLate],
  "accepts, and hangs up": [then("S", hangUp), closed],
  "accepts, and resets": [then("S", reset), closed],
  "accepts, and goes on in clear": [then("S", say(Buffer.concat([AUTHENTICATION_OK, READY]))), brokenTls],
  "accepts, and sends junk": [then("S", say(junk)), brokenTls],
  "is silent in the middle of the handshake": [cutAfter(100, silence), tooLate],
  "hangs up in the middle of the handshake": [cutAfter(100, hangUp), closed],
  "resets in the middle of the handshake": [cutAfter(100, reset), closed],
  "is silent after the handshake": [withTls(silence), tooLate],
  "hangs up after the handshake": [withTls(hangUp), closed],
  "resets after the handshake": [withTls(reset), closed],
  "sends junk after the handshake": [withTls(say(junk)), /does not speak Postgres's protocol/],
  "refuses after the handshake": [withTls(say(FATAL)), /too many clients/],
  "is silent after the login": [withTls(say(Buffer.concat([AUTHENTICATION_OK, READY]))), tooLate],
  "hangs up after the login": [withTls((socket) => void socket.end(Buffer.concat([AUTHENTICATION_OK, READY]))), closed],
};

/** What the client has sent in clear. */
async function observed(treat: Treatment): Promise<FakeServer & { readonly inClear: () => string }> {
  const first: Buffer[] = [];
  const server = await fakeServer((socket) => {
    socket.once("data", (chunk) => void first.push(chunk));
    treat(socket);
  });
  return Object.assign(server, { inClear: () => Buffer.concat(first).toString("latin1") });
}

test.each(Object.entries(steps))("a server that %s", async (_, [treat, expected]) => {
  await using server = await observed(treat);
  const url = changeUrl(database.url, { host: "127.0.0.1", port: server.port, parameters: { sslmode: "require" } });
  const requestTimeoutMs = patienceMs(expected);
  const locker = createLocker({ url, requestTimeoutMs, connectTimeoutMs: requestTimeoutMs });

  const calls: Readonly<Record<string, () => Promise<unknown>>> = {
    ready: () => locker.ready(),
    acquire: () => locker.acquire("a", { waitMs: 1 }),
    ping: () => locker.ping(),
    migrate: () => locker.migrate(),
  };
  const outcomes = await Promise.all(
    Object.entries(calls).map(async ([call, run]) => [call, await settled(run(), requestTimeoutMs)] as const),
  );
  const end = await settled(locker.close(), requestTimeoutMs);

  for (const [call, { error }] of outcomes) {
    expect(error, call).toBeInstanceOf(UnavailableError);
    expect(reasons(error), call).toMatch(expected);
  }
  expect(end).toEqual({ value: undefined });
  // eight bytes each time: the question for TLS. The rest comes when it is encrypted, and never in clear.
  expect(server.inClear().replaceAll("\0\0\0\b\x04\xd2\x16\x2f", "")).toBe("");
});

const early = [
  "hangs up at once",
  "resets at once",
  "does not answer",
  "has no TLS and goes on",
  "answers something else",
];

test.each(early.map((name) => [name, steps[name] as (typeof steps)[string]] as const))(
  "with sslmode=prefer, too, a server that %s gets no start-up packet",
  async (_, [treat, expected]) => {
    await using server = await observed(treat);
    const url = changeUrl(database.url, { host: "127.0.0.1", port: server.port, parameters: { sslmode: "prefer" } });
    const requestTimeoutMs = patienceMs(expected);
    await using locker = createLocker({ url, requestTimeoutMs, connectTimeoutMs: requestTimeoutMs });

    const { error } = await settled(locker.ready(), requestTimeoutMs);

    expect(error).toMatchObject({ name: "UnavailableError", outcome: "not-sent" });
    expect(server.inClear().replaceAll("\0\0\0\b\x04\xd2\x16\x2f", "")).toBe("");
  },
);

const directly: Readonly<Record<string, readonly [Treatment, RegExp]>> = {
  "hangs up": [(socket) => void socket.once("data", () => hangUp(socket)), closed],
  resets: [(socket) => void socket.once("data", () => reset(socket)), closed],
  "is silent": [silence, tooLate],
  "answers in clear": [answering(FATAL), brokenTls],
  "answers something else": [answering(junk), brokenTls],
};

test.each(Object.entries(directly))("with sslnegotiation=direct a server that %s", async (_, [treat, expected]) => {
  await using server = await observed(treat);
  const parameters = { sslmode: "require", sslnegotiation: "direct" };
  const url = changeUrl(database.url, { host: "127.0.0.1", port: server.port, parameters });
  const requestTimeoutMs = patienceMs(expected);
  await using locker = createLocker({ url, requestTimeoutMs, connectTimeoutMs: requestTimeoutMs });

  const { error } = await settled(locker.ready(), requestTimeoutMs);

  expect(error).toMatchObject({ name: "UnavailableError", outcome: "not-sent" });
  expect(reasons(error)).toMatch(expected);
  expect(server.inClear()).not.toContain(database.name);
});
