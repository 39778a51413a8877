/**
 * The options of postgres.js that may be set for the clients which the library makes. All others are refused by name: they would break the
 * session that holds the locks, or the library sets them itself.
 */
export interface ConnectionOptions {
  /** Server's name or IP address. Not beside `url`. */
  readonly host?: string | undefined;
  /** Default 5432. Not beside `url`. */
  readonly port?: number | undefined;
  /** A unix socket's full path, such as `/run/postgresql/.s.PGSQL.5432`. Not beside `url`. */
  readonly path?: string | undefined;
  /** In place of the address's own. */
  readonly database?: string | undefined;
  /** In place of the address's own. `username` is another name for it. */
  readonly user?: string | undefined;
  /** Another name for `user`. */
  readonly username?: string | undefined;
  /** In place of the address's own. A function is called for every new connection: for passwords that change. */
  readonly password?: string | (() => string | Promise<string>) | undefined;
  /** In place of the address's `sslmode`. An object is passed to `tls.connect`; `true` verifies the server in full. */
  readonly ssl?: boolean | "require" | "allow" | "prefer" | "verify-full" | object | undefined;
  /** `direct` starts TLS at once, without asking first (Postgres 17 and up). */
  readonly sslnegotiation?: "postgres" | "direct" | undefined;
  /** TCP keepalive, in seconds until the first probe. Default 5. */
  readonly keep_alive?: number | undefined;
  /** With several hosts: connect to the one that accepts writes. */
  readonly target_session_attrs?: "read-write" | "primary" | undefined;
  /** Called with the server's notices. By default they are dropped. What it throws goes to `onError`. */
  readonly onnotice?: ((notice: { readonly [field: string]: string | undefined }) => void) | undefined;
  /** Start-up parameters, such as `application_name`. */
  readonly connection?: { readonly [parameter: string]: string | number | boolean | undefined } | undefined;
}
