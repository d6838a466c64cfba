-- The newest collateral that any accepted evidence has shown, for good: whoever chooses collateral would
-- choose an older one. Written by db/collateral.cpp only; values only rise.
--
-- `newest` is a number of 20 octets, most significant first: Intel's evaluation data number, the microseconds
-- of a list's thisUpdate, or a revocation list's own number (RFC 5280, 5.2.3: at most 20 octets).
create table collateral_seen (
    name   text primary key,
    newest bytea not null check (octet_length(newest) = 20)
);

-- Collateral as vendors served it, so that a restart asks none of them. Written by db/collateral_pieces.cpp
-- only: a cache, whose rows may be deleted at any time. Nothing in it is believed: it is judged with the
-- evidence it is put beside.
create table collateral_pieces (
    name         text primary key check (octet_length(name) between 1 and 1024),
    body         bytea not null,
    signature    bytea not null,
    issuer_chain text not null,
    issued       bigint not null,
    ends         bigint not null,
    fetched_at   bigint not null,
    fresh_until  bigint not null
);
