-- What the settlement worker must not forget between two rounds. Written by db/settlement.cpp only. The
-- books themselves (deposits, payouts) are projections of the journal; these rows are about the chain.

-- How far the wallet's history has been taken. One row.
create table chain_cursor (
    one  boolean primary key default true check (one),
    lt   bigint not null check (lt >= 0),
    hash text not null
);
insert into chain_cursor (lt, hash) values (0, '');

-- Coins that came in and belong to nobody: unknown memo, or less than the minimum.
create table chain_holds (
    reference   text primary key,
    source      text not null,
    memo        text not null,
    amount_nano bigint not null check (amount_nano > 0),
    at          bigint not null,
    reason      text not null
);

-- Payout batches, stored before the first byte is sent.
create table payout_batches (
    number       bigint primary key check (number > 0),
    expires_at   bigint not null,
    message      bytea not null,
    message_hash text not null unique,
    phase        text not null default 'open' check (phase in ('open', 'executed', 'expired')),
    payouts      bigint[] not null,
    addresses    text[] not null,
    amounts_nano bigint[] not null,
    check (cardinality(payouts) > 0 and cardinality(payouts) = cardinality(addresses)
           and cardinality(payouts) = cardinality(amounts_nano))
);
create index payout_batches_open on payout_batches (number) where phase = 'open';
