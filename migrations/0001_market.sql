-- The market's tables. `journal` and `lane` are the truth, written by db/journal.cpp alone. All others
-- are projections of it, written by db/projector.cpp alone (webhook deliveries: db/outbox.cpp), and
-- `cocoon-market replay` rebuilds and compares them.
--
-- Money is bigint nanoTON. Times are bigint microseconds since 1970 (UTC). What is "none", zero or
-- never in the market's own structs is NULL in columns that allow it: a NULL takes no room.
-- Enumerators have the names that the API uses. Hashes are bytea, 32 bytes.

create type account_kind as enum ('house', 'developer', 'provider', 'admin', 'auditor');
create type bucket as enum ('available', 'held', 'earned', 'paying', 'fees', 'chain');
create type tier as enum ('simulated', 'snp', 'tdx', 'snp+gpu-cc', 'tdx+gpu-cc');
create type market_kind as enum ('inference', 'compute');
create type offer_state as enum ('active', 'paused', 'cancelled', 'expired');
create type time_in_force as enum ('immediate', 'rest');
create type request_state as enum
    ('resting', 'matched', 'completed', 'failed', 'cancelled', 'expired', 'unmatched');
create type job_state as enum ('reserved', 'running', 'completed', 'failed', 'cancelled', 'expired');
create type measurement_state as enum ('pending', 'approved', 'revoked');
create type standing as enum ('good', 'measurement_pending', 'measurement_revoked', 'platform_denied');
create type payout_state as enum ('queued', 'sent', 'paid', 'returned', 'awaiting_approval', 'rejected');

-- ---- The truth --------------------------------------------------------------------------------

-- One row per commit: the accepted commands first..last as matching/codec.hpp's entries (events, postings,
-- idempotency key, answer). Entries of one batch repeat each other and their own answers, and compress to a
-- seventh.
create table journal (
    first bigint primary key check (first > 0),
    last  bigint not null check (last >= first),
    at    bigint not null,  -- of the first
    body  bytea compression lz4 not null
);

-- One row per lane: who may write (epoch) and what comes next. Moving it is the whole fence.
create table lane (
    lane     smallint primary key,
    epoch    bigint not null check (epoch >= 0),
    writer   bigint,  -- a random number of the process that writes: it alone may take its lane up again
    sequence bigint not null check (sequence >= 0)
) with (fillfactor = 10);
insert into lane (lane, epoch, sequence) values (0, 0, 0);

-- ---- How far the projections are ----------------------------------------------------------------

create table projection (
    only_row         boolean primary key default true check (only_row),
    sequence         bigint not null check (sequence >= 0),
    fee_basis_points bigint check (fee_basis_points between 0 and 10000),  -- NULL: never set
    approved_tiers   bigint,  -- bit i: the i-th tier; likewise
    probation_jobs   bigint check (probation_jobs >= 0),
    payouts_paused   boolean not null default false,
    counters         bytea  -- matching::Counters: ids and places already given out
) with (fillfactor = 10);
insert into projection (sequence) values (0);

-- A hash of the whole state at a sequence, for the restart that passes it.
create table state_hash (
    only_row boolean primary key default true check (only_row),
    sequence bigint not null,
    hash     bytea not null check (octet_length(hash) = 16)
);

-- ---- People -----------------------------------------------------------------------------------

create table accounts (
    id             bigint primary key check (id > 0),
    kind           account_kind not null,
    frozen         boolean not null,
    name           text not null,
    profile        text,
    payout_address text,
    deposit_memo   text,
    opened_at      bigint not null,
    open_requests  bigint not null check (open_requests >= 0),
    available_nano bigint not null check (available_nano >= 0),
    held_nano      bigint not null check (held_nano >= 0),
    earned_nano    bigint not null check (earned_nano >= 0),
    paying_nano    bigint not null check (paying_nano >= 0),
    fees_nano      bigint not null check (fees_nano >= 0 and (kind = 'house' or fees_nano = 0)),
    chain_nano     bigint not null check (chain_nano <= 0 and (kind = 'house' or chain_nano = 0))
) with (fillfactor = 50);

create table api_keys (
    id               bigint primary key check (id > 0),
    account          bigint not null,
    node             bigint,
    secret_hash      bytea not null unique check (octet_length(secret_hash) = 32),
    name             text,
    shown            text,
    scopes           bigint not null check (scopes >= 0),
    created_at       bigint not null,
    expires_at       bigint,
    revoked          boolean not null,
    cap_total_nano   bigint check (cap_total_nano >= 0),
    cap_day_nano     bigint check (cap_day_nano >= 0),
    spent_total_nano bigint not null check (spent_total_nano >= 0),
    spent_day_nano   bigint not null check (spent_day_nano >= 0),
    day              bigint not null,
    held_nano        bigint not null check (held_nano >= 0),
    purse            bigint  -- the key whose caps and sums count for this one
) with (fillfactor = 50);
create index api_keys_of_account on api_keys (account, id);

create table enrolments (
    token_hash bytea primary key check (octet_length(token_hash) = 32),
    provider   bigint not null,
    expires_at bigint not null
);

create table webhooks (
    id       bigint primary key check (id > 0),
    account  bigint not null,
    url      text not null,
    secret   text not null,
    events   text[],
    disabled boolean not null
);

-- ---- Supply -----------------------------------------------------------------------------------

create table nodes (
    id                   bigint primary key check (id > 0),
    provider             bigint not null,
    name                 text not null,
    region               text,
    country              text,
    gpu_model            text,
    gpu_count            bigint not null check (gpu_count >= 0),
    hardware             text,
    enrolled_at          bigint not null,
    connected            boolean not null,
    draining             boolean not null,
    suspended            boolean not null,
    suspended_reason     text,
    retired              boolean not null,
    tier                 tier not null,
    measurement          text,
    registers            text[],
    identities           text[],  -- of its hardware; digests where the hardware has a name for life
    measurement_id       bigint,
    standing             standing not null,
    standing_reason      text,
    probation_jobs_left  bigint,
    valid_until          bigint,
    collateral_until     bigint,
    collateral_first     text,
    evidence_notices     bigint not null,
    evidence_hash        bytea,
    keyset_digest        bytea,
    keyset_document      text,
    reliability_permille bigint not null check (reliability_permille between 0 and 1000),
    first_output_ms      bigint,
    tokens_per_second    bigint,
    jobs_completed       bigint not null,
    jobs_failed          bigint not null
) with (fillfactor = 50);
create index nodes_of_provider on nodes (provider, id);
create index nodes_of_build on nodes ((registers[1]));  -- of those that show a build's registers

-- Every bundle that was accepted: buyers check it themselves.
create table evidence (
    node            bigint not null,
    sequence        bigint not null,
    at              bigint not null,
    tier            tier not null,
    measurement     text,
    keyset_digest   bytea,
    keyset_document text not null,
    evidence_hash   bytea,
    evidence        bytea not null,
    verdict         text not null,
    valid_until     bigint not null,
    primary key (node, sequence)
);

-- The public register of what confidential machines run.
create table measurements (
    id           bigint primary key check (id > 0),
    submitter    bigint not null,
    name         text not null,
    version      text not null,
    source       text not null,
    notes        text,
    registers    text[] not null check (cardinality(registers) between 1 and 8),
    state        measurement_state not null,
    reason       text,
    submitted_at bigint not null,
    decided_at   bigint,
    check ((decided_at is null) = (state = 'pending'))
);

-- CPUs and GPUs that evidence has shown, and what may not trade.
create table platforms (
    identity            text primary key,
    node                bigint not null,
    first_seen_at       bigint not null,
    probation_jobs_left bigint not null check (probation_jobs_left >= 0)
);
create table denials (
    identity text primary key,
    id       bigint not null unique check (id > 0),
    reason   text not null,
    at       bigint not null
);

create table markets (
    id        bigint primary key check (id > 0),
    kind      market_kind not null,
    name      text not null unique,
    paused    boolean not null,
    opened_at bigint not null
);

create table offers (
    id                         bigint primary key check (id > 0),
    provider                   bigint not null,
    node                       bigint not null,
    market                     bigint not null,
    build                      text,
    prompt_nano_per_mtok       bigint check (prompt_nano_per_mtok >= 0),
    cached_nano_per_mtok       bigint check (cached_nano_per_mtok >= 0),
    completion_nano_per_mtok   bigint check (completion_nano_per_mtok >= 0),
    reasoning_nano_per_mtok    bigint check (reasoning_nano_per_mtok >= 0),
    request_nano               bigint check (request_nano >= 0),
    gpu_second_nano            bigint check (gpu_second_nano >= 0),
    slots                      bigint not null check (slots >= 0),
    slots_used                 bigint not null check (slots_used >= 0),
    context_tokens_max         bigint,
    output_tokens_max          bigint,
    data_policy                bigint,
    windows_from               bigint[],
    windows_to                 bigint[],
    notice_seconds             bigint,
    allow                      bigint[],
    deny                       bigint[],
    state                      offer_state not null,
    placed_at                  bigint not null,
    expires_at                 bigint,
    priority                   bigint not null,
    version                    bigint not null,
    check (slots_used <= slots)
) with (fillfactor = 50);
create index offers_of_provider on offers (provider, id);
create index offers_of_market on offers (market, id) where state in ('active', 'paused');

-- ---- Demand -----------------------------------------------------------------------------------

-- In this table and the next two, which grow with every request, columns stand by their size: nothing is lost
-- to alignment.
create table requests (
    account                      bigint not null,
    id                           bigint not null check (id > 0),
    key                          bigint,
    prompt_tokens                bigint,
    cached_tokens                bigint,
    completion_tokens            bigint,
    reasoning_tokens             bigint,
    requests                     bigint,
    gpu_seconds                  bigint,
    cap_total_nano               bigint check (cap_total_nano >= 0),
    cap_prompt_nano_per_mtok     bigint check (cap_prompt_nano_per_mtok >= 0),
    cap_cached_nano_per_mtok     bigint check (cap_cached_nano_per_mtok >= 0),
    cap_completion_nano_per_mtok bigint check (cap_completion_nano_per_mtok >= 0),
    cap_reasoning_nano_per_mtok  bigint check (cap_reasoning_nano_per_mtok >= 0),
    cap_request_nano             bigint check (cap_request_nano >= 0),
    cap_gpu_second_nano          bigint check (cap_gpu_second_nano >= 0),
    reputation_permille_min      bigint,
    data_policy                  bigint,
    notice_seconds_min           bigint,
    first_output_ms_preferred    bigint,
    tokens_per_second_preferred  bigint,
    rest_until                   bigint,
    job_duration_us              bigint,
    placed_at                    bigint not null,
    ended_at                     bigint,
    job                          bigint,
    priority                     bigint,
    version                      bigint not null,
    time_in_force                time_in_force not null,
    state                        request_state not null,
    tiers                        smallint not null,
    slots                        smallint not null check (slots > 0),
    attempts_max                 smallint not null,
    attempts                     smallint,
    session                      boolean,
    markets                      bigint[] not null check (cardinality(markets) between 1 and 4),
    builds                       text[],
    regions                      text[],
    countries                    text[],
    measurements                 text[],
    gpu_models                   text[],
    providers_allow              bigint[],
    providers_deny               bigint[],
    nodes_lost                   bigint[],
    reason                       text,
    primary key (account, id)
) with (fillfactor = 85);
-- What a restart loads: those that rest. Matched ones are found through their open jobs.
create index requests_resting on requests (id) where state = 'resting';
-- For auditors, who know no account, and for a restart, which wants what ended lately: rows arrive in
-- the order of ids and end soon after, so a few bytes per range of pages do.
create index requests_by_range on requests using brin (id, ended_at) with (pages_per_range = 16);

create table jobs (
    account                  bigint not null,
    id                       bigint not null check (id > 0),
    request                  bigint not null,
    key                      bigint,
    provider                 bigint not null,
    node                     bigint not null,
    offer                    bigint not null,
    market                   bigint not null,
    prompt_nano_per_mtok     bigint check (prompt_nano_per_mtok >= 0),
    cached_nano_per_mtok     bigint check (cached_nano_per_mtok >= 0),
    completion_nano_per_mtok bigint check (completion_nano_per_mtok >= 0),
    reasoning_nano_per_mtok  bigint check (reasoning_nano_per_mtok >= 0),
    request_nano             bigint check (request_nano >= 0),
    gpu_second_nano          bigint check (gpu_second_nano >= 0),
    prompt_tokens            bigint,
    cached_tokens            bigint,
    completion_tokens        bigint,
    reasoning_tokens         bigint,
    requests                 bigint,
    gpu_seconds              bigint,
    fencing_token            bigint not null,
    reserved_at              bigint not null,
    expires_at               bigint not null,
    started_at               bigint,
    ended_at                 bigint,
    hold_nano                bigint check (hold_nano >= 0),
    captured_nano            bigint check (captured_nano >= 0),
    fee_nano                 bigint check (fee_nano >= 0),
    used_prompt_tokens       bigint,
    used_cached_tokens       bigint,
    used_completion_tokens   bigint,
    used_reasoning_tokens    bigint,
    used_requests            bigint,
    used_gpu_seconds         bigint,
    counter                  bigint,
    first_output_ms          bigint,
    output_ms                bigint,
    state                    job_state not null,
    slots                    smallint not null check (slots > 0),
    attempt                  smallint not null,
    fee_basis_points         smallint not null check (fee_basis_points between 0 and 10000),
    session                  boolean,
    build                    text,
    keyset_digest            bytea,
    evidence_hash            bytea,
    reason                   text,
    receipt_hash             bytea,
    primary key (account, id),
    check ((ended_at is null) = (state in ('reserved', 'running'))),
    check (ended_at is null or hold_nano is null),
    check (coalesce(fee_nano, 0) <= coalesce(captured_nano, 0))
) with (fillfactor = 85);
create index jobs_of_provider on jobs (provider, id);
create index jobs_of_market on jobs (market, id);
create index jobs_open on jobs (id) where ended_at is null;
create index jobs_by_range on jobs using brin (id, ended_at) with (pages_per_range = 16);

-- ---- Money ------------------------------------------------------------------------------------

-- One line moves `amount_nano` from one balance to another, so every line is balanced by itself.
create table postings (
    "from"      bigint not null,
    sequence    bigint not null,
    at          bigint not null,
    "to"        bigint not null,
    amount_nano bigint not null check (amount_nano > 0),
    job         bigint,
    ordinal     integer not null,
    from_bucket bucket not null,
    to_bucket   bucket not null,
    primary key ("from", sequence, ordinal),
    check (("from", from_bucket) <> ("to", to_bucket))
);
create index postings_to on postings ("to", sequence, ordinal) where "to" <> "from";

create table receipts (
    job          bigint not null,
    counter      bigint not null,
    at           bigint not null,
    receipt_hash bytea not null,
    document     text not null,
    primary key (job, counter)
);

create table deposits (
    id        bigint primary key check (id > 0),
    account   bigint not null,
    amount_nano bigint not null check (amount_nano > 0),
    reference text not null unique,
    at        bigint not null
);
create index deposits_of_account on deposits (account, id);

create table payouts (
    id           bigint primary key check (id > 0),
    account      bigint not null,
    source       bucket not null check (source in ('earned', 'available', 'fees')),
    amount_nano  bigint not null check (amount_nano > 0),
    address      text not null,
    state        payout_state not null,
    reference    text,
    requested_at bigint not null,
    settled_at   bigint,
    approvers    bigint[],
    reason       text
);
create index payouts_of_account on payouts (account, id);
create index payouts_open on payouts (id) where settled_at is null;

create table audit (
    sequence bigint not null,
    ordinal  bigint not null,
    at       bigint not null,
    actor    bigint not null,
    action   text not null,
    target   text,
    before   text,
    after    text,
    note     text,
    primary key (sequence, ordinal)
);
create index audit_of_target on audit (target, sequence);

-- ---- Market data ------------------------------------------------------------------------------

-- Unit prices (db/rows.hpp unit_price) per market and minute.
create table candles (
    market bigint not null,
    minute bigint not null,  -- minutes since 1970
    open   bigint not null,
    high   bigint not null,
    low    bigint not null,
    close  bigint not null,
    volume bigint not null,
    count  bigint not null,
    primary key (market, minute),
    check (low <= open and low <= close and high >= open and high >= close and count > 0)
) with (fillfactor = 50);

-- How often each unit price was paid: percentiles are exact.
create table price_histogram (
    market     bigint not null,
    hour       bigint not null,  -- hours since 1970
    unit_price bigint not null,
    count      bigint not null check (count > 0),
    primary key (market, hour, unit_price)
) with (fillfactor = 50);

create table demand (
    market    bigint not null,
    hour      bigint not null,
    placed    bigint not null,
    matched   bigint not null,
    unmatched bigint not null,
    wanted    bigint not null,
    unmet     bigint not null,
    primary key (market, hour)
) with (fillfactor = 50);

-- ---- Webhooks' own book-keeping (not a projection) --------------------------------------------

create table outbox (
    only_row boolean primary key default true check (only_row),
    sequence bigint not null check (sequence >= 0)
) with (fillfactor = 10);
insert into outbox (sequence) values (0);

create table webhook_deliveries (
    webhook         bigint not null,
    sequence        bigint not null,
    ordinal         bigint not null,
    attempts        bigint not null default 0 check (attempts >= 0),
    next_attempt_at bigint,
    ended_at        bigint,  -- delivered, or given up with its last failure
    status          bigint,
    failure         text,
    primary key (webhook, sequence, ordinal),
    check ((ended_at is null) <> (next_attempt_at is null))
);
create index webhook_deliveries_due on webhook_deliveries (webhook, next_attempt_at) where next_attempt_at is not null;
create index webhook_deliveries_ended on webhook_deliveries (ended_at) where ended_at is not null;
