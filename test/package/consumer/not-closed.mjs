import { createLocker } from "leasehold";

const locker = createLocker({ url: process.env.DATABASE_URL });
await locker.migrate();
await locker.acquire("never released");
console.log("used");
