// The numbers of our advisory locks. They are part of the protocol: lockers of two versions exclude each other by them.

/** The first half of the lock of a session, `(presenceClass, session)`: who holds it lives. */
export const presenceClass = 1279480140;

/** The seed of the hash that makes a lock of a key. */
export const keySeed = 1279480141;

/** `(maintenanceClass, 0)`: who migrates, or grants rights. `(maintenanceClass, 1)`: who sweeps. */
export const maintenanceClass = 1279480142;
