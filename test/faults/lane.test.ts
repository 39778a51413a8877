// A connection that a pooler may stand before: a statement is sent when the one before it was answered.
import { expect, test } from "vitest";
import { parseConnectionUrl } from "../../src/config/connection-url.js";
import { OwnLane } from "../../src/postgres/connection/lane.js";
import { Link } from "../../src/postgres/connection/link.js";
import { now } from "../../src/runtime/clock.js";
import { createDatabase } from "../support/database.js";
import { startProxy } from "../support/proxy.js";

const database = await createDatabase();
const timeoutMs = 2_000;

test("what was not sent behind a hung statement is sent over the next connection, also when it writes", async () => {
  await using proxy = await startProxy(database.url);
  const target = parseConnectionUrl(proxy.url(database.url), "url");
  const links: Link[] = [];
  const lane = new OwnLane(
    async () => {
      const link = new Link({ target, host: target.hosts[0] ?? null, applicationName: "leasehold", prepare: false });
      links.push(link);
      await link.query("select 1");
      const clock = { sentAt: now(), receivedAt: now(), serverMs: 0 };
      const hello = {
        pid: 0,
        announcedPid: null,
        isUnbroken: true,
        startedMs: 0,
        serverVersion: "",
        database: "",
        role: "",
      };
      return { link, hello: { ...hello, isStandby: false, hasSchemas: true, clock } };
    },
    timeoutMs,
    () => {},
  );
  const held = proxy.holdStatement(/'hung'/);
  const hung = lane.query("select 'hung'", []).catch((error: unknown) => error);
  await held.arrived;
  // so that the hung one's time is up first
  await new Promise((resolve) => setTimeout(resolve, timeoutMs / 2));

  const { rows } = await lane.query("create table written as select 1 as n", []);

  expect(rows).toEqual([]);
  expect(await database.sql`select n from written`).toEqual([{ n: 1 }]);
  expect(proxy.statements.filter(({ sql }) => sql.includes("written"))).toHaveLength(1);
  expect(await hung).toMatchObject({ message: expect.stringContaining("no answer within") });
  expect(links.map(({ isDead }) => isDead)).toEqual([true, false]);
  await lane.end();
});
