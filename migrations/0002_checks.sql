-- What must be true of the books at every moment, as one function: no row, no problem. Run by
-- `cocoon-market check`, by tests, and by anyone with SELECT.

create function check_books() returns table (problem text, subject text) language sql stable as $$
    -- Every balance is exactly what the postings made it.
    with moved as (
        select account, bucket, sum(amount)::bigint as amount from (
            select "to" as account, to_bucket as bucket, amount_nano as amount from postings
            union all
            select "from", from_bucket, -amount_nano from postings
        ) legs group by account, bucket
    ), kept as (
        select a.id as account, b.bucket::bucket as bucket, b.amount from accounts a, lateral (values
            ('available', a.available_nano), ('held', a.held_nano), ('earned', a.earned_nano),
            ('paying', a.paying_nano), ('fees', a.fees_nano), ('chain', a.chain_nano)) b(bucket, amount)
    )
    select 'balance_equals_postings', 'acc_' || coalesce(m.account, k.account) || ' ' || coalesce(m.bucket, k.bucket)
    from moved m full join kept k on m.account = k.account and m.bucket = k.bucket
    where coalesce(m.amount, 0) <> coalesce(k.amount, 0)
    union all
    -- The market neither makes nor loses a coin.
    select 'balances_sum_to_zero', sum(amount)::text from kept having sum(amount) <> 0
    union all
    -- What an account has promised is what its open jobs hold.
    select 'held_equals_open_jobs', 'acc_' || a.id from accounts a
    left join (select account, sum(coalesce(hold_nano, 0)) as hold from jobs where ended_at is null
               group by account) j on j.account = a.id
    where a.held_nano <> coalesce(j.hold, 0)
    union all
    -- A key that came by rotation holds through the one it came from.
    select 'key_held_equals_open_jobs', 'key_' || k.id from api_keys k
    left join (select coalesce(used.purse, used.id) as key, sum(coalesce(jobs.hold_nano, 0)) as hold
               from jobs join api_keys used on used.id = jobs.key where jobs.ended_at is null
               group by 1) j on j.key = k.id
    where k.held_nano <> coalesce(j.hold, 0)
    union all
    -- A slot is sold once.
    select 'slots_equal_open_jobs', 'off_' || o.id from offers o
    left join (select offer, sum(slots) as slots from jobs where ended_at is null group by offer) j on j.offer = o.id
    where o.slots_used <> coalesce(j.slots, 0)
    union all
    select 'slots_not_oversold', 'off_' || id from offers where state = 'active' and slots_used > slots
    union all
    -- Money in payouts is money not yet gone.
    select 'paying_equals_open_payouts', 'acc_' || a.id from accounts a
    left join (select account, sum(amount_nano) as amount from payouts where settled_at is null
               group by account) p on p.account = a.id
    where a.paying_nano <> coalesce(p.amount, 0)
    union all
    -- An open job belongs to a matched request, a resting request has none.
    select 'open_job_has_matched_request', 'job_' || j.id from jobs j
    left join requests r on r.account = j.account and r.id = j.request
    where j.ended_at is null and (r.state is distinct from 'matched' or r.job is distinct from j.id)
    union all
    -- What was captured is what the payer's postings say.
    select 'captured_equals_postings', 'job_' || j.id from jobs j
    left join (select job, "from", sum(amount_nano) as amount from postings
               where "from" <> "to" and job is not null group by job, "from") p on p.job = j.id and p."from" = j.account
    where coalesce(j.captured_nano, 0) <> coalesce(p.amount, 0)
$$;

create function check_journal() returns table (problem text, subject text) language sql stable as $$
    select 'journal_has_no_gap', before || '..' || first
    from (select first, lag(last, 1, 0::bigint) over (order by first) as before from journal) rows
    where first <> before + 1
    union all
    select 'lane_is_at_the_journals_end', l.sequence::text from lane l
    where l.sequence <> coalesce((select max(last) from journal), 0)
    union all
    select 'projection_is_not_ahead', p.sequence::text from projection p
    where p.sequence > coalesce((select max(last) from journal), 0)
$$;

-- A role that can only read, for the pool that serves GETs. Without the right to make roles the market
-- still reads in read-only transactions.
do $$
begin
    if not exists (select from pg_roles where rolname = 'cocoon_reader') then
        create role cocoon_reader nologin;
    end if;
    execute format('grant cocoon_reader to %I', current_user);
    execute format('grant usage on schema %I to cocoon_reader', current_schema());
    execute format('grant select on all tables in schema %I to cocoon_reader', current_schema());
exception
    when insufficient_privilege or duplicate_object or unique_violation or invalid_grant_operation then null;
end
$$;
