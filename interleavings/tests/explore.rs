//! Explores every scenario. `LOOM_MAX_PREEMPTIONS=4 cargo test --release -p outrigger-interleavings` looks deeper, and
//! `LOOM_LOG=1` shows the steps of one that fails.

use outrigger_interleavings::{
    ejection, explore, leaving, limits, rate_limits, response_time, waiting,
};

/// Names each scenario and how often a worker is interrupted in it.
macro_rules! scenarios {
    ($($module:ident::$name:ident: $preemptions:literal,)*) => {
        $(
            #[test]
            fn $name() {
                explore($preemptions, $module::$name);
            }
        )*
    };
}

scenarios! {
    limits::never_more_than_the_limit: 2,
    limits::what_is_let_go_can_be_had: 3,
    limits::load_returns_to_zero: 3,
    limits::a_budget_is_never_overdrawn: 3,
    rate_limits::the_last_token_is_given_once: 3,
    rate_limits::a_limit_is_never_a_mixture: 3,
    response_time::time_passes_once: 3,
    response_time::a_peak_stays: 3,
    response_time::the_clock_starts_once: 3,
    waiting::who_lets_go_sees_who_waits: 3,
    waiting::who_keeps_one_sees_who_waits: 3,
    waiting::of_two_that_wait_the_second_is_told: 2,
    ejection::the_share_is_never_passed: 3,
    ejection::errors_of_all_workers_add_up: 3,
    ejection::a_threshold_is_found_once: 3,
    ejection::a_threshold_fires_and_ejects_once: 3,
    ejection::a_success_does_no_harm_at_any_moment: 3,
    ejection::of_two_detectors_one_ejects: 3,
    ejection::an_ejection_ends_once: 3,
    ejection::it_may_fail_while_it_comes_back: 3,
    ejection::an_old_sweep_does_not_end_a_new_ejection: 2,
    ejection::it_may_leave_and_join_while_it_is_ejected: 3,
    ejection::it_may_leave_while_it_comes_back: 3,
    ejection::nobody_is_out_where_nothing_is_ejected: 3,
    ejection::a_reason_is_never_a_mixture: 2,
    ejection::a_result_counts_in_one_interval: 2,
    ejection::an_interval_is_looked_at_once: 2,
    ejection::an_interval_forgives_once: 3,
    leaving::a_refused_one_may_leave: 5,
    leaving::it_may_join_while_it_is_ejected: 5,
    leaving::two_may_sweep_while_it_leaves: 2,
    leaving::two_may_sweep_while_it_leaves_and_joins: 2,
    leaving::a_cluster_may_shrink_while_it_ejects: 2,
}
