// Any role may have the plans of its statements printed to it (debug_print_plan), those within a function of the owner's, too, and a
// plan shows the values that it was made for: a row of leases with its token.
import { expect, test } from "vitest";
import { abandonRows, acquireRows, expression, firstAttemptRows, releaseRows, renewRows } from "../support/acts.js";
import { openClient } from "../support/client.js";
import { createDatabase, createRole } from "../support/database.js";
import { tokenOf } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";

const database = await createDatabase();
const { sql } = database;

test("the plans that an application role can have printed show neither a token nor the secret of the queues", async () => {
  const app = await createRole(database, { grantUsage: true });
  await using locker = openLocker(database);
  const { fence } = await locker.acquire("payroll");
  const token = await tokenOf(sql, "payroll");
  const [row] = await sql`select secret from leasehold_internal.ticket_secret`;
  const other = { key: "payroll", token: expression("gen_random_uuid()") };
  const printed: string[] = [];
  const spy = await openClient(app.url, { onnotice: ({ message, detail }) => printed.push(`${message} ${detail}`) });
  await spy.unsafe("set debug_print_plan = on; set client_min_messages = log");

  for (const call of [
    "leasehold.guard('payroll', 1)",
    `leasehold.guard('payroll', ${fence})`,
    "leasehold_internal.guard('payroll', 1, 1000, leasehold_internal.database_id())",
    `leasehold_internal.guard('payroll', ${fence}, 1000, leasehold_internal.database_id())`,
    "leasehold.is_guarded('payroll')",
    "leasehold.try_acquire('payroll')",
    "leasehold.check('payroll')",
    "leasehold.renew('payroll', gen_random_uuid())",
    "leasehold.release('payroll', gen_random_uuid())",
    renewRows([{ ...other, fence: 1 }]),
    releaseRows([{ ...other, fence: 1 }]),
    abandonRows([{ ...other, isDoubted: true }]),
    firstAttemptRows([other]),
    firstAttemptRows([other, other], { waits: true }),
    // Who asks for an old position has it judged by the secret. Three at once: behind the first, the others go another way.
    acquireRows([5, 6, 7].map((ticket) => ({ ...other, waits: true, ticket, proof: ticket + 3 }))),
    "leasehold_internal.sweep(0)",
  ]) {
    await spy
      .unsafe(`select * from ${call} a`)
      .catch((error: unknown) => expect(error).toMatchObject({ code: /^LH00/ }));
  }
  // Under its caller's settings, as it has none of its own.
  await spy.unsafe("call leasehold.acquire('payroll', wait => '100 ms')").catch((error: unknown) => {
    expect(error).toMatchObject({ code: "LH009" });
  });
  await spy.end();
  await sql`delete from leasehold.waiters`;

  const all = printed.join(" ").replace(/\s+/g, " ");
  const isShown = (value: Buffer): boolean => all.includes(`${bytes(value)} `);
  expect(isShown(Buffer.from("payroll"))).toBe(true); // plans are printed, in the form that is looked for
  expect(isShown(Buffer.from(token.replaceAll("-", ""), "hex"))).toBe(false);
  expect(isShown(row?.secret as Buffer)).toBe(false);
});

/** As a plan shows them: numbers from -128 to 127. */
function bytes(value: Buffer): string {
  return [...new Int8Array(value)].join(" ");
}
