// An idempotent payment: four servers get the same requests, and one of them dies between charging and recording. Each order is charged once.
//
//   DATABASE_URL=postgres://localhost/app npx tsx examples/payment.ts
import cluster from "node:cluster";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { createLocker } from "leasehold";
import postgres from "postgres";

const orders = [1, 2, 3];
const sql = postgres(process.env.DATABASE_URL ?? "", { onnotice: () => {} });
const locker = createLocker({ takeoverDelayMs: 1_000 }); // how long a crash keeps an order from being paid

/** Stands for the payment provider, a service of somebody else: it charges as often as it is asked. */
const provider = {
  async find(order: number): Promise<number | null> {
    const [charge] = await sql<{ id: number }[]>`select id from example_charges where order_id = ${order}`;
    return charge?.id ?? null;
  },
  async charge(order: number, signal: AbortSignal): Promise<number> {
    await sleep(100, undefined, { signal });
    const [charge] = await sql<{ id: number }[]>`insert into example_charges (order_id) values (${order}) returning id`;
    return charge?.id ?? 0;
  },
};

/** May be called as often as somebody clicks, or a queue delivers. */
async function pay(order: number): Promise<string> {
  return await locker.withLock(`example:order:${order}`, async (lock) => {
    const [paid] = await sql`select from example_payments where order_id = ${order}`;
    if (paid !== undefined) return "is paid already";
    // Whoever had the lock before may have died after the charge. This is asked under the lock, so nobody else charges meanwhile, unless this
    // server stands still here for longer than its lock lasts and then goes on: give the provider the order as its idempotency key as well.
    const found = await provider.find(order);
    const charge = found ?? (await provider.charge(order, lock.signal));
    if (found === null && order === 1) process.kill(process.pid, "SIGKILL"); // what the example is about
    await lock.transaction(sql, (tx) => tx`insert into example_payments values (${order}, ${charge})`);
    return found === null ? "is charged and recorded" : "was charged by a server that died, and is recorded";
  });
}

async function main(): Promise<void> {
  await locker.migrate();
  await sql`drop table if exists example_payments, example_charges`;
  await sql`create table example_charges (id integer generated always as identity primary key, order_id integer not null)`;
  await sql`create table example_payments (order_id integer primary key, charge_id integer not null)`;

  const servers = [1, 2, 3, 4].map(() => cluster.fork());
  await Promise.all(servers.map((server) => once(server, "message")));
  for (const server of servers) server.send("the requests come");
  const exits = await Promise.all(servers.map((server) => once(server, "exit")));
  console.log(`${exits.filter(([, signal]) => signal === "SIGKILL").length} server died while it paid`);

  const rows = await sql<{ order: number; charges: number; payments: number }[]>`
    select o as order, (select count(*) from example_charges where order_id = o)::integer as charges,
           (select count(*) from example_payments where order_id = o)::integer as payments
    from unnest(${sql.array(orders)}::integer[]) as o`;
  await sql`drop table example_payments, example_charges`;
  for (const { order, charges, payments } of rows) {
    const isGood = charges === 1 && payments === 1;
    console.log(`${isGood ? "ok" : "FAILED"}: order ${order} has ${charges} charge(s) and ${payments} payment(s)`);
    if (!isGood) process.exitCode = 1;
  }
}

if (cluster.isPrimary) await main();
else {
  await sql`select`; // connected
  process.send?.("ready");
  await once(process, "message");
  for (const order of orders) {
    const outcome = await pay(order).catch((error: Error) => `failed: ${error.message}`);
    console.log(`server ${cluster.worker?.id}: order ${order} ${outcome}`);
  }
}
await Promise.all([locker.close(), sql.end()]);
cluster.worker?.disconnect();
