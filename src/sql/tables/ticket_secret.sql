create table leasehold_internal.ticket_secret (
  id boolean primary key default true constraint ticket_secret_single_row check (id),
  secret bytea not null
);
comment on table leasehold_internal.ticket_secret is 'Lets the server recognise the tickets that it gave out: one row.';
comment on column leasehold_internal.ticket_secret.id is 'Always true: there is one row.';
comment on column leasehold_internal.ticket_secret.secret is
  'Random. Whoever knows it can choose a position in any queue, but can do nothing else.';
