import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ConnectionTarget, parseConnectionUrl } from "../../src/config/connection-url.js";
import { InvalidOptionError } from "../../src/errors/errors.js";

const parse = (url: string, env: Record<string, string> = {}) => parseConnectionUrl(url, "url", {}, env);
const withQuery = (query: string) => parse(`postgres://app:hunter2@db.example/app?${query}`);
const one = (host: string, port = 5432) => [{ host, port }];

test("a plain address", () => {
  expect(parse("postgres://app:hunter2@db.example:6000/shop")).toEqual({
    hosts: one("db.example", 6000),
    path: null,
    database: "shop",
    user: "app",
    password: "hunter2",
    ssl: false,
    sslnegotiation: null,
    connectTimeoutMs: null,
    applicationName: null,
    targetSessionAttrs: "any",
    startup: {},
    isPooledHint: false,
  } satisfies ConnectionTarget);
});

describe("the parts", () => {
  test.each<[string, Partial<ConnectionTarget>]>([
    ["postgresql://app@h/d", { hosts: one("h"), user: "app", database: "d", password: "" }],
    ["POSTGRES://app@h/d", { hosts: one("h") }],
    ["  postgres://app@h/d\n", { hosts: one("h"), database: "d" }],
    ["postgres://app@h", { database: "app" }],
    ["postgres://app@h/", { database: "app" }],
    ["postgres://app@h?application_name=x", { database: "app", applicationName: "x" }],
    ["postgres://app@/d", { hosts: one("localhost") }],
    ["postgres://app@:6000/d", { hosts: one("localhost", 6000) }],
    ["postgres://h/d", { user: userInfo().username, hosts: one("h") }],
    ["postgres:///d", { user: userInfo().username, hosts: one("localhost"), database: "d" }],
    ["postgres://", { hosts: one("localhost"), database: userInfo().username }],
    ["postgres://app:@h/d", { user: "app", password: "" }],
    ["postgres://a%40b:p%3A%2F%3F%23%40%25@h/d%2Fe%20f", { user: "a@b", password: "p:/?#@%", database: "d/e f" }],
    ["postgres://app:a:b@h/d", { user: "app", password: "a:b" }],
    ["postgres://app:p@ss@h/d", { user: "app", password: "p@ss", hosts: one("h") }],
    ["postgres://app:p#ss@h/d", { password: "p#ss", hosts: one("h"), database: "d" }],
    ["postgres://app:p+ss@h/d", { password: "p+ss" }],
    ["postgres://%D0%BA@h/%D0%B1", { user: "к", database: "б" }],
    ["postgres://app@h/d/e", { database: "d/e" }],
    [
      "postgres://app@h/d?host=other&port=7&user=u&password=p%20w&dbname=x",
      { hosts: one("other", 7), user: "u", password: "p w", database: "x" },
    ],
  ])("%s", (url, expected) => {
    expect(parse(url)).toMatchObject(expected);
  });
});

describe("hosts", () => {
  test.each<[string, ConnectionTarget["hosts"]]>([
    ["postgres://app@h1,h2/d", [...one("h1"), ...one("h2")]],
    ["postgres://app@h1:1,h2:2,h3/d", [...one("h1", 1), ...one("h2", 2), ...one("h3")]],
    ["postgres://app@h1:1,[::1]:2/d", [...one("h1", 1), ...one("::1", 2)]],
    ["postgres://app@[2001:db8::7]/d", one("2001:db8::7")],
    ["postgres://app@[fe80::1%25eth0]:6000/d", one("fe80::1%eth0", 6000)],
    ["postgres://app@10.0.0.1:6000/d", one("10.0.0.1", 6000)],
    ["postgres://app@/d?host=h1,h2&port=1,2", [...one("h1", 1), ...one("h2", 2)]],
    ["postgres://app@/d?host=h1,h2&port=9", [...one("h1", 9), ...one("h2", 9)]],
    ["postgres://app@h1,/d", [...one("h1"), ...one("localhost")]],
  ])("%s", (url, hosts) => {
    expect(parse(url)).toMatchObject({ hosts, path: null });
  });

  test.each([
    ["postgres://app@%2Frun%2Fpostgresql/d", "/run/postgresql/.s.PGSQL.5432"],
    ["postgres://app@%2Frun%2Fpostgresql:6000/d", "/run/postgresql/.s.PGSQL.6000"],
    ["postgres://app@/d?host=/run/postgresql/", "/run/postgresql/.s.PGSQL.5432"],
    ["postgres://app@localhost/d?host=/tmp&port=7&sslmode=require", "/tmp/.s.PGSQL.7"],
    ["postgres:///d?host=/tmp/.s.PGSQL.9", "/tmp/.s.PGSQL.9"],
  ])("a unix socket: %s", (url, path) => {
    expect(parse(url)).toMatchObject({ path, hosts: [], ssl: false });
  });

  test.each([
    ["postgres://app@h:0/d", "ports of 1 to 65535"],
    ["postgres://app@h:65536/d", "ports of 1 to 65535"],
    ["postgres://app@h:-1/d", "ports of 1 to 65535"],
    ["postgres://app@h:x/d", "ports of 1 to 65535"],
    ["postgres://app@/d?host=h1,h2&port=1,2,3", "one port, or as many as there are hosts"],
    ["postgres://app@::1/d", "[IPv6 address]:port"],
    ["postgres://app@[::1/d", "[IPv6 address]:port"],
    ["postgres://app@h1,%2Ftmp/d", "a unix socket to be the only host"],
  ])("%s is refused", (url, says) => {
    expect(() => parse(url)).toThrow(InvalidOptionError);
    expect(() => parse(url)).toThrow(says);
  });
});

describe("addresses that are none", () => {
  test.each([
    "mysql://u:hunter2@h/d",
    "postgres:u:hunter2",
    "hunter2",
    "//h/d",
    "postgresql+psycopg://u:hunter2@h/d",
    "'postgres://h'",
  ])("%s", (url) => {
    expect(() => parse(url)).toThrow(
      "url: expected an address that starts with postgres:// or postgresql://, got a string",
    );
  });

  test.each(["prisma://accelerate.example/?api_key=hunter2", "prisma+postgres://x/?api_key=hunter2"])("%s", (url) => {
    expect(() => parse(url)).toThrow("no Postgres server");
  });
});

test.each([
  "postgres://app:hunter2%@h/d",
  "postgres://app:hunter2%zz@h/d",
  "postgres://app:hunter2%00@h/d",
  "postgres://app:hunter2/x@h/d",
  "postgres://app:hunter2?x@h/d",
  "postgres://app:hunter2@h:hunter2/d",
  "postgres://app:hunter2@[hunter2/d",
  "postgres://app:hunter2@h/d?x=hunter2",
  "postgres://app:hunter2@h/d?password=%hunter2",
  "postgres://app:hunter2@h/d?sslmode=hunter2",
  "postgres://app:hunter2@h/d?connect_timeout=hunter2",
  "postgres://app:hunter2@h/d?sslkey=a&sslpassword=hunter2",
])("no error shows the password: %s", (url) => {
  let error: unknown;
  try {
    parse(url);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(InvalidOptionError);
  expect(inspect(error) + JSON.stringify(error)).not.toContain("hunter2");
});

describe("sslmode, as libpq means it", () => {
  test.each<[string, ConnectionTarget["ssl"]]>([
    ["", false],
    ["sslmode=disable", false],
    ["sslmode=allow", "prefer"],
    ["sslmode=prefer", "prefer"],
    ["sslmode=require", "require"],
    ["sslmode=no-verify", "require"],
    ["sslmode=verify-ca", { rejectUnauthorized: true }],
    ["sslmode=verify-full", { rejectUnauthorized: true }],
    ["sslrootcert=system", { rejectUnauthorized: true }],
    ["sslmode=verify-full&sslrootcert=system", { rejectUnauthorized: true }],
    ["ssl_min_protocol_version=TLSv1.3", { minVersion: "TLSv1.3", rejectUnauthorized: false }],
    ["ssl=true", "require"],
    ["ssl=1", "require"],
    ["ssl=false", false],
    ["ssl=verify-full", { rejectUnauthorized: true }],
    ["sslaccept=strict", { rejectUnauthorized: true }],
    ["sslmode=require&sslaccept=strict", { rejectUnauthorized: true }],
    ["sslmode=require&sslaccept=accept_invalid_certs", "require"],
    ["sslmode=disable&sslaccept=strict", false],
    ["sslmode=require&ssl_min_protocol_version=TLSv1.3", { minVersion: "TLSv1.3", rejectUnauthorized: false }],
  ])("%s", (query, ssl) => {
    expect(withQuery(query).ssl).toEqual(ssl);
  });

  test("a certificate is compared with an IP address when that is the host", () => {
    expect(parse("postgres://app@10.0.0.1/d?sslmode=verify-full").ssl).toEqual({
      host: "10.0.0.1",
      rejectUnauthorized: true,
    });
  });

  test.each([
    ["sslmode=always", "parameter sslmode: expected disable, allow, prefer, require, verify-ca, verify-full"],
    ["ssl=maybe", "parameter ssl: expected"],
    ["sslmode=require&sslrootcert=system", "the only one that goes with sslrootcert=system"],
    ["sslaccept=maybe", "parameter sslaccept: expected strict or accept_invalid_certs"],
    ["sslmode=require&sslcert=/x", "parameter sslcert: expected to stand beside sslkey"],
    ["sslmode=require&sslkey=/x", "parameter sslkey: expected to stand beside sslcert"],
    ["sslmode=require&ssl_min_protocol_version=SSLv3", "parameter ssl_min_protocol_version: expected"],
    [
      "sslmode=verify-full&sslrootcert=/does/not/exist.crt",
      'parameter sslrootcert: expected a file that can be read, got "/does/not/exist.crt" (ENOENT)',
    ],
    ["sslnegotiation=maybe", 'parameter "sslnegotiation": expected postgres or direct'],
  ])("%s is refused", (query, says) => {
    expect(() => withQuery(query)).toThrow(says);
  });

  describe("with files", () => {
    let folder = "";
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), "leasehold-url-"));
      for (const name of ["ca", "cert", "key"]) writeFileSync(join(folder, name), `the ${name}`);
    });
    afterAll(() => rmSync(folder, { recursive: true }));
    const ssl = (query: string) => withQuery(query.replaceAll("FOLDER", encodeURIComponent(folder))).ssl;
    const ca = { ca: "the ca", rejectUnauthorized: true };

    test("a root certificate is verified, its name only where asked", () => {
      expect(ssl("sslmode=verify-full&sslrootcert=FOLDER/ca")).toEqual(ca);
      for (const query of ["sslmode=verify-ca&", "sslmode=require&", ""]) {
        expect(ssl(`${query}sslrootcert=FOLDER/ca`)).toEqual({ ...ca, checkServerIdentity: expect.any(Function) });
      }
    });

    test("a client's certificate is sent", () => {
      expect(ssl("sslmode=require&sslcert=FOLDER/cert&sslkey=FOLDER/key&sslpassword=x")).toEqual({
        cert: "the cert",
        key: "the key",
        passphrase: "x",
        rejectUnauthorized: false,
      });
    });

    test("Prisma's sslcert is the server's root certificate", () => {
      expect(ssl("sslmode=require&sslaccept=strict&sslcert=FOLDER/ca")).toEqual(ca);
    });
  });
});

describe("parameters that mean something here", () => {
  test.each<[string, Partial<ConnectionTarget>]>([
    ["connect_timeout=10", { connectTimeoutMs: 10_000 }],
    ["connect_timeout=0", { connectTimeoutMs: null }],
    ["application_name=my+app%20x%2By", { applicationName: "my app x+y" }],
    ["application_name=", { applicationName: null }],
    ["options=endpoint%3Dep-cool-1", { startup: { options: "endpoint=ep-cool-1" } }],
    ["options=-c+search_path%3Dx", { startup: { options: "-c search_path=x" } }],
    ["target_session_attrs=any", { targetSessionAttrs: "any" }],
    ["target_session_attrs=read-write", { targetSessionAttrs: "read-write" }],
    ["target_session_attrs=primary", { targetSessionAttrs: "read-write" }],
    ["client_encoding=UTF8", { startup: {} }],
    ["client_encoding=utf-8", { startup: {} }],
    ["sslnegotiation=direct&sslmode=require", { sslnegotiation: "direct", ssl: "require" }],
    ["sslnegotiation=direct", { sslnegotiation: "direct", ssl: "require" }],
    ["sslnegotiation=postgres", { sslnegotiation: null }],
    ["pgbouncer=true", { isPooledHint: true }],
    ["pgbouncer=false", { isPooledHint: false }],
    ["connect_timeout=1&connect_timeout=2", { connectTimeoutMs: 2_000 }],
    ["&&application_name=x&", { applicationName: "x" }],
  ])("%s", (query, expected) => {
    expect(withQuery(query)).toMatchObject(expected);
  });

  test.each(["disable", "allow", "prefer"])("sslnegotiation=direct without TLS in any case is refused: %s", (mode) => {
    expect(() => withQuery(`sslmode=${mode}&sslnegotiation=direct`)).toThrow(
      "url: expected sslmode require, verify-ca or verify-full beside sslnegotiation=direct",
    );
  });

  test.each([
    ["connect_timeout=-1", "a number of whole seconds"],
    ["connect_timeout=1.5", "a number of whole seconds"],
    ["target_session_attrs=standby", "locks live on a server that accepts writes"],
    ["target_session_attrs=read-only", "locks live on a server that accepts writes"],
    ["target_session_attrs=prefer-standby", "locks live on a server that accepts writes"],
    ["client_encoding=latin1", "expected UTF8"],
  ])("%s is refused", (query, says) => {
    expect(() => withQuery(query)).toThrow(`url: parameter "${query.split("=")[0]}": expected`);
    expect(() => withQuery(query)).toThrow(says);
  });
});

describe("parameters of other clients", () => {
  const plain = withQuery("");

  test.each([
    "channel_binding=prefer",
    "channel_binding=disable",
    "keepalives=1&keepalives_idle=5&keepalives_interval=1&keepalives_count=3&tcp_user_timeout=5",
    "gssencmode=disable&krbsrvname=postgres&gssdelegation=0",
    "load_balance_hosts=random",
    "uselibpqcompat=true",
    "fallback_application_name=x",
    "schema=public",
    "connection_limit=1&pool_timeout=0&socket_timeout=5&statement_cache_size=0&single_use_connections=true",
    "supa=base-pooler.x",
    "workaround=supabase-pooler.vercel",
    "pool_mode=transaction",
    "max=10&idle_timeout=5&prepare=false",
    "pool_max_conns=10&default_query_exec_mode=simple_protocol",
    "prepared_statements=false&pool=5",
    "search_path=x&statement_timeout=500&timezone=UTC",
    "sslcompression=0&sslsni=1",
  ])("%s changes nothing", (query) => {
    expect(withQuery(query)).toEqual(plain);
  });

  test.each([
    ["sslidentity", "use sslcert and sslkey"],
    ["sslcrl", "use connection.ssl"],
    ["require_auth", "pg_hba.conf"],
    ["service", "write what they say into the address"],
    ["passfile", "write what they say into the address"],
    ["hostaddr", "use host"],
    ["replication", "runs no locks"],
    ["sslmod", "it is not known"],
    ["constructor", "it is not known"],
    ["work_mem", "belongs into connection.connection"],
  ])("%s is refused by name", (name, says) => {
    expect(() => withQuery(`${name}=x`)).toThrow(`url: parameter "${name}": cannot be used: `);
    expect(() => withQuery(`${name}=x`)).toThrow(says);
  });
});

describe("channel_binding=require", () => {
  test.each([
    ["sslmode=require", "require"],
    ["sslmode=prefer", "require"],
    ["sslmode=verify-full", { rejectUnauthorized: true }],
  ])("demands TLS: %s", (query, ssl) => {
    expect(withQuery(`${query}&channel_binding=require`).ssl).toEqual(ssl);
  });

  test.each([
    "postgres://u@h/d?channel_binding=require",
    "postgres://u@h/d?channel_binding=require&sslmode=disable",
    "postgres://u@/d?host=/run/postgresql&sslmode=require&channel_binding=require",
  ])("without TLS it is refused by name: %s", (url) => {
    expect(() => parse(url)).toThrow('url: parameter "channel_binding": require needs TLS');
  });

  test("anything else is refused by name", () => {
    expect(() => withQuery("channel_binding=on")).toThrow('url: parameter "channel_binding": expected disable, prefer');
  });
});

function refusalOf(url: string): Error {
  try {
    parse(url);
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidOptionError);
    return error as Error;
  }
  return expect.fail("it was not refused");
}

describe("a password with an unescaped character", () => {
  test.each([
    "postgres://app:pa?s3cretTail@db.example/app",
    "postgres://app:pa?s3cret=Tail@db.example/app",
    "postgres://app:pa?s3cret=x&Tail@db.example/app",
    "postgres://app:pa#x?s3cret@db.example/app",
    "postgres://app:12?s3cret@db.example/app",
    "postgres://app:p@x?s3cret=Tail@db.example/app",
    "postgres://app:pw@db.example/app?S3CRET=x",
  ])("%s: the message says what to write, and shows nothing of it", (url) => {
    const error = refusalOf(url);
    expect(error.message).toContain('"?" as %3F, "#" as %23');
    expect(inspect(error, { depth: 9 })).not.toMatch(/s3cret|tail/i);
  });
});

describe("a password with an unescaped slash", () => {
  test.each([
    "postgres://app:p@s3cret/w@rd@db:5432/x", // its middle would be the host
    "postgres://app:p@s3cret/tail@db/x",
    "postgres://app:s3/cret@db/x",
    "postgres://app:12/s3cret@db/x", // its begin would be a port, the user the host
    "postgres://s3cret/tail@db/x",
    "postgres://app:12/s3cret@db/x?sslmode=require",
    "postgres://app:12/s3cret@db@tail",
  ])("%s: refused as soon as it cannot be told where it ends, and nothing of it is shown", (url) => {
    const error = refusalOf(url);
    const shown = inspect(error, { depth: 9 });
    expect(error.message).toContain("@ as %40, / as %2F, : as %3A, ? as %3F and # as %23");
    expect(shown).not.toMatch(/s3cret|tail|w@rd/i);
  });

  test("an @ in a parameter, an encoded one in the database's name, and one in a password without a slash are clear", () => {
    expect(parse("postgres://h:6000/d?user=app@corp&password=p@s/s")).toMatchObject({
      hosts: one("h", 6000),
      user: "app@corp",
      password: "p@s/s",
    });
    expect(parse("postgres://app:p@s@h/my%40db")).toMatchObject({
      hosts: one("h"),
      password: "p@s",
      database: "my@db",
    });
  });
});

describe("real addresses", () => {
  test.each<[string, string, Partial<ConnectionTarget>]>([
    [
      "Neon",
      "postgresql://neondb_owner:pw@ep-x-1-pooler.eu.aws.neon.example/neondb?sslmode=require&channel_binding=require",
      { ssl: "require", database: "neondb" },
    ],
    [
      "Supabase, for Prisma",
      "postgres://postgres.abc:pw@aws-0-eu.pooler.supabase.example:6543/postgres?pgbouncer=true&connection_limit=1&sslmode=require&supa=base-pooler.x",
      {
        user: "postgres.abc",
        hosts: one("aws-0-eu.pooler.supabase.example", 6543),
        isPooledHint: true,
        ssl: "require",
      },
    ],
    ["Prisma", "postgresql://johndoe:pw@localhost:5432/mydb?schema=public", { database: "mydb", ssl: false }],
    [
      "a failover pair",
      "postgres://app:pw@a.example:5432,b.example:5433/app?target_session_attrs=read-write&connect_timeout=2",
      {
        hosts: [...one("a.example"), ...one("b.example", 5433)],
        targetSessionAttrs: "read-write",
        connectTimeoutMs: 2_000,
      },
    ],
  ])("%s", (_, url, expected) => {
    expect(parse(url)).toMatchObject({ ...expected, startup: {} });
  });
});

describe("libpq's variables", () => {
  const env = {
    PGHOST: "env.example",
    PGPORT: "7000",
    PGUSER: "envuser",
    PGPASSWORD: "envpass",
    PGDATABASE: "envdb",
    PGSSLMODE: "require",
  };

  test("fill in what is missing", () => {
    expect(parse("postgres://", env)).toMatchObject({
      hosts: one("env.example", 7000),
      user: "envuser",
      password: "envpass",
      database: "envdb",
      ssl: "require",
    });
  });

  test("change nothing that is there", () => {
    expect(parse("postgres://app:pw@h:6000/d?sslmode=disable", env)).toMatchObject({
      hosts: one("h", 6000),
      user: "app",
      password: "pw",
      database: "d",
      ssl: false,
    });
  });

  test("PGHOST may be a list, or the folder of a socket", () => {
    expect(parse("postgres://u@/d", { PGHOST: "a,b", PGPORT: "1,2" }).hosts).toEqual([...one("a", 1), ...one("b", 2)]);
    expect(parse("postgres://u@/d", { PGHOST: "/tmp" }).path).toBe("/tmp/.s.PGSQL.5432");
  });

  test("PGSSLMODE goes with the address's other parameters about TLS, and gives way to its mode", () => {
    const mode = { PGSSLMODE: "verify-full" };
    expect(parse("postgres://u@h/d?ssl_min_protocol_version=TLSv1.3", mode).ssl).toEqual({
      minVersion: "TLSv1.3",
      rejectUnauthorized: true,
    });
    expect(parse("postgres://u@h/d?ssl=true", mode).ssl).toBe("require");
    expect(parse("postgres://u@h/d?sslaccept=accept_invalid_certs", mode).ssl).toBe("require");
  });

  test("an empty variable is none", () => {
    expect(parse("postgres://u@/d", { PGHOST: "", PGPORT: "", PGSSLMODE: "" })).toMatchObject({
      hosts: one("localhost"),
      ssl: false,
    });
  });
});
