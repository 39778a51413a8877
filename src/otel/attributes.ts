import type { Attributes } from "@opentelemetry/api";
import type { NameOf } from "./key-names.js";

/** What a message is about. */
export interface Subject {
  readonly key: string;
  /** Left out by a version of this package that does not know instances. */
  readonly instance?: string | null;
  /** Left out of a message about several locks, and by a version of this package that does not know shared keys. */
  readonly mode?: string;
}

/** The attributes that every metric and span of a key has. */
export type AttributesOf = (subject: Subject) => Attributes;

export function attributesBy(nameOf: NameOf): AttributesOf {
  return ({ key, instance, mode }) => ({
    ...nameOf(key),
    ...instanceAttributes(instance),
    ...(mode !== undefined && { "leasehold.lock.mode": mode }),
  });
}

export function instanceAttributes(instance: string | null | undefined): Attributes {
  return instance === null || instance === undefined ? {} : { "leasehold.instance": instance };
}
