-- What the settlement worker must not forget between two rounds. Written by db/settlement.cpp only. The
-- books themselves (deposits, payouts) are projections of the journal; these rows are about the chain.

-- How far the wallet's history has been taken. One row.
create table chain_cursor (
    one  boolean primary key default true check (one),
    lt   bigint not null check (lt >= 0),
    hash text not null
);
insert into chain_cursor (lt, hash) values (0, '');

-- Every final transaction of the wallet, once. Its balance changed by in - out - fees.
create table chain_entries (
    lt        bigint primary key check (lt > 0),
    hash      text not null unique,
    at        bigint not null,
    kind      text not null check (kind in ('deposit', 'operator_funds', 'bounced', 'accepted', 'refused', 'executed',
                                            'other')),
    in_nano   bigint not null check (in_nano >= 0),
    out_nano  bigint not null check (out_nano >= 0),
    fees_nano bigint not null -- below zero: more came back of what was sent with a claim than the way took
);
-- The same summed up, kept in the transaction that adds to it.
create table chain_totals (
    kind      text primary key,
    in_nano   bigint not null,
    out_nano  bigint not null,
    fees_nano bigint not null
);

-- Coins that came in and belong to nobody: unknown memo, or less than the minimum. One that an operator
-- gave to an account has a deposit of its reference, and is on hold no more: no second place says so.
create table chain_holds (
    number      bigint generated always as identity unique,
    reference   text primary key,
    source      text not null,
    memo        text not null,
    amount_nano bigint not null check (amount_nano > 0),
    at          bigint not null,
    reason      text not null
);

-- Batches of payouts, or of claims on payment channels (no payouts), stored before the first byte is sent. open:
-- nothing is known of it; accepted: the wallet took it and will execute it; executed, refused (by the wallet) and
-- expired are its ends.
create table payout_batches (
    number       bigint primary key check (number > 0),
    key          text not null unique,
    expires_at   bigint not null,
    cost_nano    bigint not null check (cost_nano > 0),
    message      bytea not null,
    message_hash text not null unique,
    phase        text not null default 'open' check (phase in ('open', 'accepted', 'executed', 'refused', 'expired')),
    payouts      bigint[] not null,
    addresses    text[] not null,
    amounts_nano bigint[] not null,
    check (cardinality(payouts) = cardinality(addresses)
           and cardinality(payouts) = cardinality(amounts_nano))
);
create index payout_batches_open on payout_batches (number) where phase in ('open', 'accepted');

-- Which batch a payout is in, or was paid by: never two, whatever two processes believe. A row goes only when
-- its batch is known to have left the payout out.
create table payout_claims (
    payout bigint primary key,
    batch  bigint not null references payout_batches (number)
);

-- What the newest reconciliation found. At most one row.
create table chain_reconciliation (
    one             boolean primary key default true check (one),
    at              bigint not null,
    lt              bigint not null,
    balance_nano    bigint not null,
    owed_nano       bigint not null,
    held_nano       bigint not null,
    operator_nano   bigint not null,
    fees_nano       bigint not null,
    moving_nano     bigint not null,
    difference_nano bigint not null
);

-- Payment channels that developers registered (docs/channel.md), the greatest voucher of each, and what the
-- wallet's history said of it. Written by db/channels.cpp only. Everything but the claim's time only grows.
create table channels (
    address           text primary key,
    account           bigint not null,
    payer_key         bytea not null check (octet_length(payer_key) = 32),
    payer             text not null,
    challenge_seconds bigint not null check (challenge_seconds > 0),
    cap_nano          bigint not null check (cap_nano > 0),
    salt              bigint not null, -- the bits of an unsigned number
    stage             bigint not null default 0 check (stage between 0 and 2),
    deposited_nano    bigint not null default 0 check (deposited_nano >= 0),
    claimed_nano      bigint not null default 0 check (claimed_nano >= 0),
    close_at          bigint not null default 0,
    promised_nano     bigint not null default 0 check (promised_nano >= 0),
    sequence          bigint not null default 0,
    signature         bytea check (octet_length(signature) = 64),
    claim_sent_at     bigint not null default 0,
    opened_at         bigint not null,
    check ((promised_nano = 0) = (signature is null))
);
create index channels_account on channels (account);
create index channels_to_claim on channels (claim_sent_at)
    where stage < 2 and (stage = 1 or promised_nano > claimed_nano);
