import type { Contender, ContenderSpec } from "./contender.js";
import { openEtcd } from "./etcd.js";
import { openLeasehold, openMemoryStore } from "./leasehold.js";
import { openAdvisoryLock, openFloor, openTableLock } from "./postgres.js";
import { openRedlock, openSesamecare, openUniversal } from "./redis.js";

export function openContender(spec: ContenderSpec): Promise<Contender> {
  switch (spec.kind) {
    case "leasehold":
      return openLeasehold(spec);
    case "memory-store":
      return openMemoryStore(spec);
    case "redlock":
      return openRedlock(spec.port);
    case "redlock-universal":
      return openUniversal(spec.port);
    case "sesamecare":
      return openSesamecare(spec.port);
    case "etcd3":
      return openEtcd(spec.port);
    case "advisory-lock":
      return openAdvisoryLock(spec.url);
    case "table-lock":
      return openTableLock(spec.url);
    case "floor":
      return openFloor(spec.url, spec.statement);
  }
}
