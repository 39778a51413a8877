create table leasehold_internal.ticket_secret (
  id boolean primary key default true constraint ticket_secret_single_row check (id),
  secret bytea not null
);
comment on table leasehold_internal.ticket_secret is 'With which the server knows again the tickets that it gave away: one row.';
comment on column leasehold_internal.ticket_secret.id is 'Always true: there is one row.';
comment on column leasehold_internal.ticket_secret.secret is
  'Random. Who knows it can choose a place in any line, and no more than that.';
