/** Settings of a server, as in postgresql.conf. */
export type Settings = Readonly<Record<string, string | number | boolean>>;
