// Who may call what.
import { expect, test } from "vitest";
import { openSession } from "../fencing/session.js";
import { createDatabase, createRole } from "../support/database.js";
import { tokenOf } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";

const database = await createDatabase();
const { sql } = database;

const forUsers = [
  "try_acquire('a')",
  "renew('a', gen_random_uuid())",
  "release('a', gen_random_uuid())",
  "check('a')",
  "attach()",
  "detach(1)",
];
const forAdministrators = ["force_release('a')", "sweep()"];

test("an application role may lock, and take nothing from others", async () => {
  const app = await createRole(database, { grantUsage: true });
  await using session = await openSession(app.url);
  await using locker = openLocker(database, { owner: "another" });
  const lock = await locker.acquire("a");
  expect(await session.run("select acquired, token, holder from leasehold.try_acquire('a')")).toEqual([
    { acquired: false, token: null, holder: "another" },
  ]);
  const shown = JSON.stringify(await session.run("select * from leasehold.check('a')"));
  expect(shown).toContain("another");
  expect(shown).not.toContain(await tokenOf(sql, "a"));
  expect(await session.run("select leasehold.release('a', gen_random_uuid()) as released")).toEqual([
    { released: false },
  ]);
  await expect(session.run("select leasehold.renew('a', gen_random_uuid())")).rejects.toMatchObject({ code: "LH002" });
  for (const call of forAdministrators) {
    await expect(session.run(`select leasehold.${call}`), call).rejects.toMatchObject({
      code: "42501",
      hint: `As the owner of the schema, run: select leasehold.grant_admin('${app.name}');`,
    });
  }
  lock.assertHeld();
  await lock.renew();
  await lock.release();
});

test("an administrator may take locks away and sweep, another role nothing at all", async () => {
  const admin = await createRole(database);
  await sql`select leasehold.grant_admin(${admin.name})`;
  await using session = await openSession(admin.url);
  for (const call of forAdministrators) await session.run(`select leasehold.${call}`);

  const stranger = await createRole(database);
  await using other = await openSession(stranger.url);
  for (const call of [...forUsers, ...forAdministrators]) {
    await expect(other.run(`select leasehold.${call}`), call).rejects.toMatchObject({ code: "42501" });
  }
});
