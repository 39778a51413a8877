// Faults on the way to TLS.
import type { Mutant } from "./mutant.js";

export const tls: readonly Mutant[] = [
  {
    name: "tls: what comes with the answer to the question is taken for the server's",
    file: "src/postgres/connection/dial.ts",
    edits: [["if (answer.length !== 1 || (", "if ((answer.length === 0) || ("]],
    tests: ["test/tls/handshake.test.ts"],
  },
  {
    name: "tls: a server without it will do",
    file: "src/postgres/connection/dial.ts",
    edits: [
      ['throw new NoTls("the server does not accept TLS, which the address demands");', "await Promise.resolve();"],
    ],
    tests: ["test/tls/sslmode.test.ts"],
  },
  {
    name: "tls: the certificate is not compared with an IP address",
    file: "src/postgres/connection/dial.ts",
    edits: [
      ["net.isIP(name) === 0 ? { servername: name } : { host: name }", "{ servername: net.isIP(name) ? '' : name }"],
    ],
    tests: ["test/tls/hosts.test.ts"],
  },
  {
    name: "tls: a certificate of a stranger is waited for",
    file: "src/store/retry.ts",
    edits: [["|^NOT_TRUSTED$/.test", "/.test"]],
    tests: ["test/tls/sslmode.test.ts"],
  },
  {
    name: "tls: sslnegotiation=direct alone is without TLS",
    file: "src/config/connection-url.ts",
    edits: [['if (!isGiven) return "require";', "if (!isGiven) return ssl;"]],
    tests: ["test/unit/connection-url.test.ts"],
  },
  {
    name: "address: an @ behind the first slash is let through",
    file: "src/config/connection-url.ts",
    edits: [['if (database.includes("@")) throw ambiguous(option);', ""]],
    tests: ["test/unit/connection-url.test.ts"],
  },
];
