// With an address that asks for a certificate that the server does not have.
import { createLocker, UnavailableError } from "leasehold";

const locker = createLocker({ url: process.env.DATABASE_URL });
const error = await locker.tryAcquire("a").catch((reason) => reason);
await locker.close();
if (!(error instanceof UnavailableError && /certificate/.test(error.message))) throw error ?? new Error("it connected");
console.log("used");
