// A server that takes only clients with a certificate of its own authority.
import { createPrivateKey } from "node:crypto";
import { afterAll, expect, test } from "vitest";
import { settled } from "../faults/settled.js";
import { makeAuthority, makeCertificate } from "../support/certificate.js";
import { changeUrl } from "../support/client.js";
import { startCluster } from "../support/cluster.js";
import { openLocker } from "../support/lockers.js";
import { pemFiles } from "./pem-files.js";
import { reasons } from "./reasons.js";

const requestTimeoutMs = 2_000;
// The server says so in an alert after the client's part of TLS 1.3 is over, and closes: what is written meanwhile may fail first.
const refusedByServer = /alert|certificate|ECONNRESET|EPIPE|closed/i;
const authority = await makeAuthority();
const own = await makeCertificate(authority, ["app"]);
const strange = await makeCertificate(await makeAuthority("A stranger"), ["app"]);
const expired = await makeCertificate(authority, ["app"], { isExpired: true });
const passphrase = "sesame";
const wrongPassphrase = "wrong";

/** One in 256 seems to be unlocked by a wrong passphrase, and then makes no sense to OpenSSL, which says that instead: not such a one. */
function lockedKey(): string {
  const key = createPrivateKey(own.key);
  for (;;) {
    const pem = String(key.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase }));
    try {
      createPrivateKey({ key: pem, passphrase: wrongPassphrase });
    } catch (error) {
      if (/bad decrypt/.test(String(error))) return pem;
    }
  }
}

const files = await pemFiles({
  root: authority.cert,
  cert: own.cert,
  key: own.key,
  locked: lockedKey(),
  strangeCert: strange.cert,
  strangeKey: strange.key,
  expiredCert: expired.cert,
  expiredKey: expired.key,
  none: "not a certificate",
});

const cluster = await startCluster({
  tls: { certificate: await makeCertificate(authority, ["127.0.0.1"]), clientAuthority: authority },
});
afterAll(() => cluster.destroy());

const verified = { sslmode: "verify-full", sslrootcert: files.root };

test.each<[string, Readonly<Record<string, string>>]>([
  ["a key", { sslkey: files.key }],
  ["a key that is locked", { sslkey: files.locked, sslpassword: passphrase }],
])("a certificate and %s: migrates and locks", async (_, key) => {
  const url = changeUrl(cluster.url, { parameters: { ...verified, sslcert: files.cert, ...key } });
  await using locker = openLocker(url);
  await locker.migrate();
  expect(await locker.withLock("a", ({ held }) => held)).toBe(true);
});

test("through connection.ssl", async () => {
  const url = changeUrl(cluster.url, { parameters: {} });
  await using locker = openLocker(url, { connection: { ssl: { ca: authority.cert, ...own } } });
  await locker.migrate();
  expect(await locker.withLock("a", ({ held }) => held)).toBe(true);
});

test.each<[string, Readonly<Record<string, string>>, RegExp]>([
  ["no certificate", {}, /certificate/],
  ["a certificate of a stranger", { sslcert: files.strangeCert, sslkey: files.strangeKey }, refusedByServer],
  ["a certificate that has expired", { sslcert: files.expiredCert, sslkey: files.expiredKey }, refusedByServer],
  ["a file that holds none", { sslcert: files.none, sslkey: files.key }, /PEM/],
  ["the key of another certificate", { sslcert: files.cert, sslkey: files.strangeKey }, /key values mismatch/],
  [
    "a locked key without its password",
    { sslcert: files.cert, sslkey: files.locked },
    /passphrase|password|bad decrypt/,
  ],
  [
    "a locked key with a wrong password",
    { sslcert: files.cert, sslkey: files.locked, sslpassword: wrongPassphrase },
    /passphrase|password|bad decrypt/,
  ],
])("%s is unavailable, says why, and shows no key", async (_, parameters, says) => {
  const url = changeUrl(cluster.url, { parameters: { ...verified, ...parameters } });
  await using locker = openLocker(url, { requestTimeoutMs });

  const { error } = await settled(locker.ready(), requestTimeoutMs);

  expect(error).toMatchObject({ name: "UnavailableError", outcome: "not-sent" });
  expect(reasons(error)).toMatch(says);
  expect(reasons(error)).not.toMatch(/PRIVATE KEY|sesame/);
});
