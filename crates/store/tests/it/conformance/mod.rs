//! What every store promises, one test per promise.
//!
//! A test is a function of a [`Harness`](crate::harness::Harness). [`conformance!`] makes a test of each for
//! one backend, and ends each with a check of the invariants. A test that is missing from its list is
//! reported as unused code.

pub(crate) mod accounts;
pub(crate) mod artifacts;
pub(crate) mod attachments;
pub(crate) mod audit;
pub(crate) mod cancellation;
pub(crate) mod dispatch;
pub(crate) mod events;
pub(crate) mod exchange;
pub(crate) mod explain;
pub(crate) mod fencing;
pub(crate) mod follow_ups;
pub(crate) mod groups;
pub(crate) mod lifecycle;
pub(crate) mod notifications;
pub(crate) mod personal_tokens;
pub(crate) mod queries;
pub(crate) mod races;
pub(crate) mod reaper;
pub(crate) mod retention;
pub(crate) mod rights;
pub(crate) mod sweeps;
pub(crate) mod tasks;
pub(crate) mod uploads;
pub(crate) mod workers;

/// Runs every test on one backend: `conformance!(name: Type)`.
macro_rules! conformance {
    ($backend:ident: $type:ty) => {
        mod $backend {
            $crate::conformance::list! { $type;
                accounts {
                    a_new_user_is_admin_of_a_group_of_the_same_name,
                    a_name_that_a_user_or_a_group_has_is_taken,
                    of_many_who_want_one_name_one_gets_it,
                    the_first_admin_is_made_once_however_many_coordinators_start,
                    the_first_admin_does_not_take_over_an_account,
                    a_login_keeps_or_replaces_the_session_as_asked,
                    a_new_password_starts_a_new_session,
                    the_state_of_an_account_is_set_by_name,
                    the_quota_of_groups_changes_within_its_range,
                    changes_of_a_quota_add_up_when_made_at_once,
                }
                uploads {
                    upload_target_follows_the_record,
                    size_is_that_of_what_is_stored_once_nothing_may_come,
                    size_stays_while_another_upload_was_announced,
                    link_ends_with_its_record_or_counts_until_its_end,
                    links_are_used_once_and_forgotten_with_their_end,
                    garbage_is_due_again_when_its_links_have_ended,
                }
                artifacts {
                    archives_of_an_attempt_are_seen_with_its_commit,
                    announcing_again_charges_only_growth,
                    each_attempt_writes_to_an_object_of_its_own,
                    an_upload_by_a_user_is_seen_at_once,
                    archives_of_many_tasks_are_found_at_once,
                    a_commit_replaces_what_a_user_uploaded,
                    the_quota_is_exact,
                    sixty_four_uploads_at_once_never_exceed_the_quota,
                    one_archive_announced_many_times_at_once_is_charged_once,
                    only_active_groups_take_uploads,
                    a_removed_archive_gives_its_size_back,
                    an_archive_nobody_may_see_yet_can_not_be_removed,
                    garbage_is_taken_in_portions_and_forgotten_when_told,
                    an_object_in_use_again_is_no_garbage,
                }
                attachments {
                    the_larger_size_is_kept_and_only_growth_is_charged,
                    keys_of_different_groups_have_nothing_to_do_with_one_another,
                    keys_are_matched_to_the_letter_and_come_in_byte_order,
                    pages_of_keys_follow_one_another,
                    sixty_four_files_at_once_never_exceed_the_quota,
                    one_file_put_many_times_at_once_is_charged_once,
                    what_does_not_fit_leaves_the_file_as_it_was,
                    a_removed_file_gives_its_size_back,
                }
                audit {
                    entries_are_read_newest_first_page_by_page,
                }
                cancellation {
                    cancellation_by_filter_ends_one_portion_at_a_time,
                    a_waiting_task_is_over_when_cancelled,
                    what_does_not_wait_is_passed_over,
                    a_follow_up_is_cancelled_only_where_pending_tasks_count,
                    a_query_cancels_its_waiting_matches,
                    a_query_for_what_can_not_wait_cancels_nothing,
                    many_who_cancel_at_once_cancel_each_task_once,
                    claims_and_cancellations_share_tasks_out_between_them,
                    a_cancellation_never_undoes_a_commit_that_it_races,
                }
                dispatch {
                    a_task_goes_its_way_from_submission_to_its_end,
                    larger_priority_goes_first_and_then_age,
                    a_worker_gets_what_its_tags_allow,
                    a_worker_gets_tasks_of_groups_that_may_write_to_it,
                    each_task_goes_to_one_worker_however_many_ask,
                    nothing_waiting_is_no_error,
                    a_worker_that_is_gone_or_stopping_gets_nothing,
                    a_repeated_fetch_gives_the_same_task_with_the_same_key,
                    fetches_sent_many_times_at_once_give_one_task,
                    the_last_report_of_an_end_counts,
                    a_result_without_an_end_is_refused,
                    completions_sent_together_do_not_affect_one_another,
                    a_completion_sent_many_times_at_once_counts_once,
                }
                exchange {
                    an_end_and_the_next_task_go_together,
                    work_says_whose_it_is_and_how_urgent,
                    what_agents_say_counts_for_each_alone,
                    a_few_tasks_are_spread_over_those_who_ask_together,
                    agents_of_two_kinds_that_ask_together_never_get_the_same_task,
                    groups_take_turns_and_priority_counts_within,
                    what_was_not_started_goes_back_to_its_place,
                    an_agent_that_shall_stop_gets_nothing_and_goes_with_its_last_task,
                    an_agent_whose_owner_is_locked_out_is_nobody,
                    a_follow_up_is_told_to_have_become_ready,
                    the_small_result_of_a_task_is_kept,
                    work_whose_reply_was_lost_can_be_had_again_by_its_worker,
                    an_agent_learns_what_it_holds_and_what_to_stop,
                    a_stop_that_was_asked_for_holds_though_the_worker_goes,
                    however_many_exchange_at_once_each_task_is_given_and_ended_once,
                    a_task_of_an_agent_shows_its_attempt_like_any_other,
                }
                events {
                    a_task_is_told_where_it_stands_since_when,
                    a_lost_task_is_told_again,
                    only_what_was_asked_for_is_told_page_by_page,
                    positions_agree_with_the_changes_at_every_step,
                }
                fencing {
                    a_wrong_number_in_the_key_opens_nothing,
                    a_lost_attempt_is_shut_out_while_the_task_waits,
                    a_lost_attempt_is_shut_out_while_another_runs,
                    a_lost_attempt_is_shut_out_after_another_committed,
                    the_same_token_in_a_later_attempt_lets_no_earlier_one_in,
                    a_committed_attempt_is_answered_again_but_changes_nothing,
                    no_key_passes_for_the_attempt_behind_a_cancellation,
                    a_later_worker_is_never_taken_for_a_removed_one,
                    a_commit_and_the_loss_of_its_worker_never_both_win,
                }
                follow_ups {
                    a_follow_up_waits_for_the_commit_of_its_upstream,
                    the_creator_of_a_follow_up_is_that_of_its_upstream,
                    asking_again_replaces_the_earlier_follow_up,
                    a_repeated_commit_releases_no_second_time,
                    a_lost_attempt_takes_its_follow_up_along,
                    nothing_follows_before_the_end_is_reported,
                    a_follow_up_stays_in_the_group,
                    a_refused_follow_up_leaves_the_earlier_one,
                }
                groups {
                    a_group_belongs_to_who_made_it,
                    a_user_s_groups_are_known_by_id_as_by_name,
                    a_group_can_not_have_the_name_of_a_user_or_group,
                    nobody_makes_more_groups_than_allowed_even_all_at_once,
                    a_user_is_a_member_an_outsider_or_asks_for_no_group,
                    members_are_added_changed_and_removed_together,
                    a_change_that_names_a_stranger_changes_nobody,
                    the_last_admin_stays,
                    two_admins_who_leave_at_once_do_not_both_get_away,
                    the_quota_of_storage_changes_by_name,
                    a_deleted_group_has_nobody_and_nothing_waits_in_it,
                    deletion_that_was_cut_off_goes_on,
                    group_that_is_active_again_keeps_what_waits,
                }
                personal_tokens {
                    a_token_leads_to_its_owner_until_it_is_revoked,
                    a_token_ends_at_its_time_and_is_still_listed,
                    no_token_is_made_in_a_session_that_has_ended,
                }
                queries {
                    tasks_of_one_group_come_newest_first,
                    page_ends_early_at_its_size_and_goes_on,
                    words_match_when_the_task_has_them_all,
                    percent_and_underscore_are_characters_like_any_other,
                    priorities_compare_as_numbers,
                    exit_codes_compare_as_a_shell_shows_them,
                    times_bound_what_is_found,
                    conditions_on_one_thing_hold_together,
                    a_task_without_a_result_has_no_exit_status,
                    creators_and_reporters_are_told_apart,
                    states_match_wherever_a_task_stands,
                    pages_join_without_gap_or_overlap_while_tasks_arrive,
                    offset_and_limit_cut_out_a_window,
                    every_way_through_a_history_turns_pages,
                    a_task_reported_as_cancelled_is_found_before_its_result,
                    what_failed_of_a_large_label_is_found_among_the_failures,
                }
                races {
                    a_worker_removed_while_it_claims_keeps_nothing,
                    a_worker_asked_to_stop_while_it_claims_goes_or_ends_its_task,
                    a_worker_asked_to_stop_during_its_last_commit_is_gone_after_both,
                    two_last_commits_of_a_stopping_worker_remove_it,
                    a_follow_up_asked_for_during_the_commit_is_refused_or_released,
                    a_follow_up_cancelled_during_the_commit_never_runs,
                    an_archive_announced_by_a_dying_worker_is_given_back,
                    a_sign_of_life_at_the_last_moment_counts_or_is_refused,
                    a_task_changed_while_it_is_claimed_was_changed_before_or_not_at_all,
                }
                reaper {
                    a_silent_worker_is_removed_when_its_lease_is_over,
                    a_sign_of_life_keeps_a_worker,
                    given_back_tasks_stand_in_their_old_place,
                    lost_attempts_are_counted_on_the_task,
                    what_a_lost_attempt_stored_is_given_back,
                    a_worker_that_runs_on_too_long_is_removed,
                    a_reported_task_is_not_overdue,
                    a_worker_that_is_silent_and_overdue_goes_once,
                    no_more_are_removed_at_once_than_asked_for,
                    coordinators_that_reap_at_once_give_each_task_back_once,
                    outage_costs_no_worker_its_lease,
                    explanation_tells_leases_by_the_wall_clock,
                    steps_of_the_wall_clock_reap_no_worker,
                    jump_of_the_clock_is_believed_after_a_while,
                    look_obeys_the_bound_of_a_steady_clock,
                    coordinators_that_look_at_once_set_the_clock_once,
                    clock_of_the_database_is_used_where_none_is_given,
                    missed_workers_are_counted_and_keep_their_tasks,
                    limit_of_a_task_takes_its_attempt_alone,
                    limit_of_a_task_is_due_once_its_worker_is_missed,
                    overdue_task_is_due_though_its_worker_is_alive,
                    change_and_repetition_keep_the_limit_of_a_task,
                    task_is_cancelled_with_the_last_attempt_it_may_lose,
                    returned_attempt_cancels_no_task_whatever_it_lost,
                    next_boot_of_a_machine_frees_what_the_last_one_held,
                    next_boot_leaves_a_worker_until_it_is_missed,
                    live_worker_of_a_copied_machine_keeps_its_lease,
                }
                retention {
                    ended_tasks_are_forgotten_when_they_are_old_enough,
                    what_a_forgotten_task_stored_is_given_back,
                    a_task_stays_while_its_archives_are_in_use,
                    a_task_stays_while_one_that_has_not_ended_names_it,
                    what_a_task_needs_changes_with_its_spec,
                    a_repeated_task_needs_what_the_original_needed,
                    an_upstream_stays_until_its_follow_up_has_ended,
                    a_round_goes_on_where_the_last_one_stopped,
                    coordinators_that_forget_at_once_forget_each_task_once,
                    a_key_is_forgotten_after_its_time,
                }
                notifications {
                    shared_secret_is_the_first_proposal_for_all,
                }
                rights {
                    putting_a_worker_on_a_group_needs_write_there,
                    a_worker_is_only_for_who_controls_it,
                    a_group_admin_takes_any_worker_off_with_its_tasks,
                    a_member_who_leaves_takes_the_workers_along,
                    member_who_leaves_keeps_no_task_on_a_worker_taken_off,
                    a_member_who_is_left_with_read_serves_no_more,
                    whoever_is_not_admin_changes_no_members,
                    a_reader_or_a_stranger_touches_no_task,
                    a_reader_or_a_stranger_touches_no_file,
                    locked_account_has_no_rights_left,
                    administrator_who_is_none_any_more_changes_nothing,
                    an_upload_never_outruns_the_end_of_a_membership,
                    a_task_names_only_tasks_that_its_creator_sees,
                    a_change_names_only_what_both_see,
                    a_follow_up_names_its_group_or_what_its_upstream_names,
                    follow_up_names_nothing_that_its_creator_lost_sight_of,
                    a_repetition_leaves_out_what_is_not_the_callers,
                    nothing_waits_in_a_deleted_group,
                    a_registration_needs_what_it_is_made_with,
                    a_reset_ends_workers_and_tokens_if_asked_to,
                    lock_of_an_account_removes_its_workers_and_returns_their_tasks,
                    a_claim_never_outruns_the_end_of_a_membership,
                    a_submission_never_slips_into_a_deleted_group,
                }
                sweeps {
                    a_table_of_results_has_a_row_for_each_task_wherever_it_stands,
                    warnings_are_kept_with_the_end_of_a_task,
                    what_a_task_left_for_tables_is_part_of_its_result,
                    page_of_results_ends_early_at_its_size,
                    only_what_failed_is_worth_another_try,
                    a_repeated_task_is_like_the_one_that_it_repeats_and_linked_to_it,
                    what_is_not_over_or_was_repeated_is_left_out,
                    a_task_is_repeated_once_however_many_ask_at_once,
                    a_repetition_sent_again_is_answered_again,
                    pages_of_results_cover_a_sweep_while_it_grows,
                }
                tasks {
                    a_task_is_kept_as_it_was_submitted,
                    numbers_count_up_within_each_group,
                    numbers_are_never_given_twice_under_concurrency,
                    a_batch_with_one_bad_task_leaves_nothing_behind,
                    thousands_go_in_at_once_and_once_only,
                    a_key_answers_for_one_request_of_one_user,
                    the_same_request_sent_many_times_at_once_is_done_once,
                    a_waiting_task_can_be_changed,
                    a_changed_task_waits_where_it_belongs_now,
                    only_a_waiting_task_can_be_changed,
                    labels_can_be_replaced_in_any_state,
                    many_tasks_are_found_by_their_uuids,
                    an_empty_batch_is_a_batch_like_any_other,
                    repetition_with_a_key_accepts_what_was_refused_before,
                    repetitions_at_once_accept_what_was_refused_only_once,
                    a_task_may_run_as_long_as_the_limit_says,
                    a_task_is_found_by_less_than_its_uuid,
                }
                explain {
                    the_workers_of_a_group_are_counted_by_what_each_can_do,
                    a_worker_with_several_slots_is_free_until_all_are_taken,
                    the_nearest_worker_lacks_the_fewest_tags,
                    the_place_in_line_is_that_of_the_lane,
                    the_count_of_a_long_line_ends_early,
                    a_held_task_is_told_with_its_holder_and_what_it_watches,
                    a_follow_up_is_told_with_its_upstream_and_an_end_with_its_result,
                }
                lifecycle {
                    an_open_store_answers,
                    the_schema_is_known_to_be_current_or_not,
                    a_closed_store_says_that_it_is_closed,
                }
                workers {
                    a_worker_is_kept_as_it_was_registered,
                    a_worker_shows_the_tasks_that_it_holds,
                    a_sign_of_life_is_noted_and_the_gone_are_named,
                    tags_and_labels_are_replaced,
                    groups_come_and_go_together_or_not_at_all,
                    workers_of_a_group_are_found_oldest_first,
                    page_of_workers_ends_early_at_its_size,
                    an_idle_worker_goes_when_told_either_way,
                    a_busy_worker_goes_after_its_last_task_when_asked_kindly,
                    force_gives_every_held_task_back,
                    removal_by_a_user_is_remembered_for_a_time,
                    ended_lifetime_is_remembered_of_a_lost_worker,
                }
            }
        }
    };
}

macro_rules! list {
    ($type:ty; $($subject:ident { $($test:ident),* $(,)? })*) => {$(
        mod $subject {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let mut harness = $crate::harness::Harness::<$type>::set_up().await;
                $crate::conformance::$subject::$test(&mut harness).await;
                harness.check_invariants().await;
            }
        )*}
    )*};
}

pub(crate) use {conformance, list};
