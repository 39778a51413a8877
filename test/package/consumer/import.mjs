import * as leasehold from "leasehold";
import { use } from "./lock.mjs";

void use(leasehold);
