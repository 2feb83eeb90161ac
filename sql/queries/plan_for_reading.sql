-- purpose: let the rest of this transaction read whole jobs: plans by today's statistics, scans and joins of every kind
-- params: none
-- returns: nothing of interest
-- index: none
-- rows: 1
-- The work pool's settings keep hot statements to index lookups: right for a batch, slow for a million rows.
SELECT
    set_config('enable_seqscan', 'on', true), set_config('enable_bitmapscan', 'on', true),
    set_config('plan_cache_mode', 'force_custom_plan', true), set_config('work_mem', '64MB', true)
