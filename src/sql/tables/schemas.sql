create schema if not exists leasehold_internal;

comment on schema leasehold is
  'Leasehold: locks with leases and fencing tokens. Read anything here; change it only through the functions and the client.';
comment on schema leasehold_internal is
  'Functions that the Leasehold client calls. They may change with every version: do not call them yourself.';
