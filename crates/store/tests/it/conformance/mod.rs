//! The tests of the operations, which run on every backend.
//!
//! A test is a function of a [`Harness`](crate::harness::Harness). [`conformance!`] makes it a test of one
//! backend, followed by a check of the invariants. A test that is missing from the list is reported as unused
//! code.

pub(crate) mod accounts;
pub(crate) mod artifacts;
pub(crate) mod attachments;
pub(crate) mod audit;
pub(crate) mod cancellation;
pub(crate) mod dispatch;
pub(crate) mod effects;
pub(crate) mod elements;
pub(crate) mod events;
pub(crate) mod exchange;
pub(crate) mod explain;
pub(crate) mod fencing;
pub(crate) mod follow_ups;
pub(crate) mod groups;
pub(crate) mod inline_archives;
pub(crate) mod jobs;
pub(crate) mod lifecycle;
pub(crate) mod limits;
pub(crate) mod notifications;
pub(crate) mod packing;
pub(crate) mod personal_tokens;
pub(crate) mod placement;
pub(crate) mod queries;
pub(crate) mod races;
pub(crate) mod reaper;
pub(crate) mod retention;
pub(crate) mod rights;
pub(crate) mod schedules;
pub(crate) mod secrets;
pub(crate) mod site;
pub(crate) mod sweeps;
pub(crate) mod tasks;
pub(crate) mod uploads;
pub(crate) mod webhooks;
pub(crate) mod workers;

/// Runs every test on one backend: `conformance!(name: Type)`.
macro_rules! conformance {
    ($backend:ident: $type:ty) => {
        mod $backend {
            $crate::conformance::list! { $type;
                accounts {
                    new_user_is_admin_of_the_personal_group,
                    name_of_a_user_or_group_is_taken,
                    concurrent_users_of_one_name_create_one_account,
                    concurrent_coordinators_bootstrap_one_admin,
                    bootstrap_does_not_take_over_an_account,
                    login_retains_or_replaces_the_session,
                    sessions_end_together,
                    new_password_starts_a_new_session,
                    account_state_is_set_by_name,
                    group_quota_is_clamped_to_its_range,
                    concurrent_quota_changes_add_up,
                }
                site {
                    users_and_groups_are_listed_in_pages,
                    workers_of_all_groups_are_listed,
                    use_is_summed_up_by_user_and_group,
                    ends_are_counted_by_minute_and_group,
                }
                uploads {
                    upload_target_follows_the_record,
                    size_is_reconciled_after_the_last_upload,
                    size_stays_while_an_upload_is_expected,
                    link_ends_with_its_record_unless_it_may_create,
                    used_links_are_kept_until_they_expire,
                    garbage_is_due_again_after_its_links_expire,
                }
                jobs {
                    later_tasks_of_a_job_go_before_later_jobs,
                    counts_equal_the_rows_at_every_step,
                    tasks_are_written_once,
                    concurrent_submissions_reserve_different_tasks,
                    submission_of_jobs_is_repeatable_and_checked,
                    paused_job_starts_no_task,
                    priority_of_a_job_moves_its_tasks,
                    limit_of_a_job_is_never_exceeded,
                    limit_set_later_holds_returned_tasks,
                    cancelled_job_writes_nothing_more,
                    tasks_cancelled_before_they_are_written_never_run,
                    job_waits_for_the_success_of_another,
                    failure_stops_the_jobs_that_need_success,
                    stopped_job_cancels_its_waiting_tasks_in_batches,
                    retried_tasks_keep_their_attempts,
                    failed_task_has_further_attempts,
                    only_failures_of_the_policy_are_retried,
                    lost_attempts_are_listed_and_are_no_retries,
                    attempts_of_a_job_are_listed_with_their_workers,
                    old_job_is_deleted_with_its_tasks,
                    removed_job_leaves_nothing,
                    removal_of_all_jobs_frees_their_key,
                    deleted_group_ends_its_jobs,
                    counts_of_concurrent_claims_add_up,
                }
                elements {
                    task_waits_for_that_with_its_index,
                    released_task_is_assigned_by_the_same_exchange,
                    failed_task_cancels_those_that_need_it,
                    task_that_is_retried_has_not_ended,
                    retried_task_lets_those_that_need_it_wait_again,
                    task_waits_for_all_jobs_that_it_needs,
                    paused_and_limited_jobs_release_no_task,
                    cancelled_job_ends_those_that_need_its_tasks,
                    jobs_of_unequal_lengths_are_refused,
                    needed_tasks_are_not_removed,
                    tasks_that_ended_before_block_nothing,
                    concurrent_ends_and_writes_lose_no_task,
                    submission_sees_tasks_that_end_meanwhile,
                    artifacts_are_those_of_the_needed_tasks,
                }
                placement {
                    worker_gets_what_it_has_room_for,
                    every_resource_is_counted,
                    groups_share_a_worker_without_exceeding_it,
                    older_agents_get_only_default_requests,
                    workers_of_different_sizes_wait_by_themselves,
                    starved_task_gets_a_worker_reserved,
                    nothing_is_reserved_for_what_no_worker_can_run,
                    tasks_end_before_their_worker,
                    changed_and_repeated_tasks_keep_their_request,
                }
                limits {
                    jobs_share_a_limit,
                    larger_priority_uses_a_limit_first,
                    lowered_limit_starts_nothing_until_it_fits,
                    limits_are_checked_at_submission,
                    used_limit_is_not_removed,
                    explanation_has_the_limit_and_its_users,
                    tasks_that_no_worker_can_run_use_nothing,
                    lost_and_retried_attempts_use_a_limit_once,
                    end_of_a_limited_task_wakes_others,
                    concurrent_claims_keep_a_limit,
                    group_that_has_used_more_gets_the_rest,
                    members_share_slot_time,
                    members_with_various_priorities_get_all_tasks,
                    changed_and_repeated_tasks_keep_their_kind_of_lane,
                    priorities_are_bounded_for_writers,
                    weights_are_set_by_administrators,
                }
                schedules {
                    due_time_is_handled_once,
                    overlapping_run_is_skipped,
                    queued_run_waits_for_all_others,
                    queue_of_a_schedule_is_bounded,
                    replacing_run_waits_for_the_cancelled_job,
                    run_is_refused_if_the_creator_lost_the_right,
                    missed_runs_are_made_up_for_once,
                    runs_of_a_schedule_are_bounded,
                    name_of_a_schedule_is_unique_in_its_group,
                    schedules_of_a_group_are_limited,
                    schedule_changes_only_as_it_was_seen,
                    requested_run_waits_for_nothing,
                    due_schedules_are_paged_by_due_time,
                    removed_schedule_leaves_its_jobs,
                    deleted_group_pauses_its_schedules,
                }
                webhooks {
                    end_of_a_job_writes_its_notifications,
                    failure_and_repeated_end_notify_again,
                    cancelled_job_counts_unwritten_tasks,
                    notification_is_taken_by_one_until_it_is_due_again,
                    failed_notification_is_due_again_or_given_up,
                    notifications_outlive_their_job_for_a_while,
                    key_is_created_once_and_read_by_group_admins,
                }
                inline_archives {
                    archives_are_visible_with_the_end_and_charged_once,
                    archives_of_a_stale_report_are_not_stored,
                    quota_keeps_the_first_archives_and_warns_of_others,
                    locked_group_stores_no_archives_and_the_task_ends,
                    archive_replaces_the_upload_of_a_user,
                    inline_archive_moves_before_a_user_replaces_it,
                    removed_inline_archive_leaves_nothing,
                }
                packing {
                    packed_archive_is_found_in_its_object,
                    young_archives_are_not_packable,
                    archives_changed_meanwhile_are_not_packed,
                    concurrent_packing_moves_each_archive_once,
                    object_is_garbage_with_its_last_archive,
                    packed_archive_moves_before_a_user_replaces_it,
                    abandoned_object_is_discarded,
                    sparse_objects_are_packed_again,
                    archive_removed_during_packing_is_in_no_object,
                }
                artifacts {
                    attempt_archives_become_visible_with_the_commit,
                    repeated_reservation_charges_only_growth,
                    each_attempt_has_its_own_object,
                    user_upload_is_visible_at_once,
                    archives_of_many_tasks_are_read_together,
                    commit_replaces_a_user_upload,
                    quota_is_exact,
                    concurrent_uploads_never_exceed_the_quota,
                    concurrent_reservations_of_one_archive_charge_once,
                    only_active_groups_accept_uploads,
                    removed_archive_releases_its_size,
                    invisible_archive_can_not_be_removed,
                    garbage_is_read_in_batches_and_deleted_when_settled,
                    object_of_a_new_record_is_not_garbage,
                }
                attachments {
                    larger_size_is_kept_and_only_growth_is_charged,
                    keys_of_different_groups_are_independent,
                    keys_match_literally_in_byte_order,
                    pages_of_keys_are_contiguous,
                    concurrent_files_never_exceed_the_quota,
                    concurrent_puts_of_one_file_charge_once,
                    refused_reservation_keeps_the_old_size,
                    removed_file_releases_its_size,
                }
                audit {
                    entries_are_paged_newest_first,
                }
                cancellation {
                    cancellation_by_filter_is_bounded,
                    cancelled_task_ends_at_once,
                    tasks_that_do_not_wait_are_skipped,
                    follow_up_is_cancelled_unless_ready_is_required,
                    query_cancels_its_waiting_matches,
                    query_for_states_that_do_not_wait_cancels_nothing,
                    concurrent_cancellations_cancel_each_task_once,
                    task_is_either_claimed_or_cancelled,
                    cancellation_never_replaces_a_commit,
                }
                dispatch {
                    task_runs_from_submission_to_its_end,
                    larger_priority_then_older_task_is_claimed_first,
                    worker_claims_tasks_within_its_tags,
                    worker_claims_tasks_of_groups_with_write,
                    concurrent_claims_assign_each_task_once,
                    claim_without_waiting_tasks_is_empty,
                    gone_or_draining_worker_claims_nothing,
                    repeated_fetch_resumes_with_the_same_key,
                    concurrent_fetches_of_one_worker_claim_one_task,
                    last_report_of_an_end_counts,
                    result_without_reported_end_is_refused,
                    completions_of_one_batch_are_independent,
                    concurrent_completions_commit_once,
                }
                exchange {
                    exchange_ends_one_task_and_assigns_the_next,
                    usage_of_an_attempt_is_stored_and_summed_up,
                    work_carries_its_group_and_priority,
                    verdicts_of_agents_are_independent,
                    few_tasks_are_spread_over_the_agents_of_a_batch,
                    eligibility_groups_never_share_a_task,
                    groups_share_slots_and_priority_orders_within,
                    groups_share_slot_time,
                    returned_task_keeps_its_position,
                    draining_agent_is_removed_with_its_last_task,
                    agent_of_a_locked_owner_is_gone,
                    exchange_reports_a_released_follow_up,
                    data_of_a_task_is_stored,
                    held_work_is_returned_to_its_worker_only,
                    agent_reads_its_attempts_and_stop_requests,
                    stop_request_outlives_the_worker,
                    concurrent_exchanges_assign_and_end_each_task_once,
                    task_of_an_agent_shows_its_attempt,
                }
                events {
                    change_has_the_state_of_a_task_and_its_time,
                    requeued_task_is_a_change,
                    changes_are_filtered_and_paged,
                    positions_agree_with_the_changes_at_every_step,
                }
                fencing {
                    key_with_a_wrong_part_is_refused,
                    lost_attempt_is_refused_while_the_task_waits,
                    lost_attempt_is_refused_while_another_runs,
                    lost_attempt_is_refused_after_another_commit,
                    token_of_a_later_attempt_does_not_admit_an_earlier_one,
                    repeated_commit_is_acknowledged_without_a_change,
                    cancellation_matches_no_lease_key,
                    ids_of_removed_workers_are_not_reused,
                    commit_and_removal_of_the_worker_exclude_each_other,
                }
                follow_ups {
                    follow_up_waits_for_the_commit_of_its_upstream,
                    follow_up_has_the_creator_of_its_upstream,
                    repeated_request_replaces_the_earlier_follow_up,
                    repeated_commit_does_not_release_again,
                    lost_attempt_deletes_its_follow_up,
                    follow_up_before_the_reported_end_is_refused,
                    follow_up_of_another_group_is_refused,
                    refused_follow_up_keeps_the_earlier_one,
                }
                groups {
                    creator_of_a_group_is_its_admin,
                    groups_of_a_user_are_listed_by_id_and_name,
                    group_can_not_have_a_taken_name,
                    concurrent_creations_respect_the_group_quota,
                    membership_of_a_user_is_resolved_by_group_name,
                    members_are_added_changed_and_removed_together,
                    change_with_an_unknown_user_is_refused,
                    last_admin_stays,
                    concurrent_admins_can_not_both_leave,
                    storage_quota_is_set_by_name,
                    deleted_group_has_no_members_and_no_waiting_tasks,
                    interrupted_deletion_continues,
                    restored_group_keeps_its_waiting_tasks,
                }
                effects {
                    submitted_and_changed_tasks_are_ready,
                    claimed_task_has_moved_and_one_that_is_held_has_not,
                    report_of_an_attempt_moves_its_task,
                    committed_task_has_ended_and_its_follow_up_is_ready,
                    exchange_names_the_tasks_that_ended,
                    cancelled_tasks_have_ended,
                    worker_is_woken_to_stop_a_task,
                    worker_taken_off_a_group_names_what_it_gives_back,
                    removed_worker_names_what_it_gives_back,
                    lost_worker_names_what_it_gives_back,
                    worker_of_a_closed_account_or_token_is_woken,
                    members_who_leave_change_memberships_and_workers,
                    deleted_group_changes_memberships_and_ends_tasks,
                }
                personal_tokens {
                    token_identifies_its_owner_until_it_is_revoked,
                    expired_token_is_refused_and_still_listed,
                    ended_session_creates_no_token,
                }
                queries {
                    queue_depth_counts_ready_tasks_of_the_longest_queues,
                    tasks_of_one_group_come_newest_first,
                    page_ends_at_its_size_limit_and_continues,
                    tags_and_labels_match_if_all_are_present,
                    percent_and_underscore_match_literally,
                    priorities_compare_as_numbers,
                    exit_codes_compare_as_in_a_shell,
                    times_restrict_the_matches,
                    conditions_on_one_field_are_joined,
                    task_without_a_result_has_no_exit_status,
                    creators_and_reporters_are_separate_conditions,
                    each_state_matches_its_tasks,
                    pages_are_contiguous_while_tasks_arrive,
                    offset_and_limit_select_a_window,
                    every_walk_is_paged,
                    task_reported_as_cancelled_is_found_before_its_result,
                    failures_of_a_large_label_use_the_index_of_unusual_ends,
                }
                races {
                    worker_removed_during_a_claim_keeps_no_task,
                    worker_drained_during_a_claim_is_removed_or_ends_its_task,
                    worker_drained_during_its_last_commit_is_removed,
                    concurrent_last_commits_remove_a_draining_worker,
                    follow_up_during_the_commit_is_refused_or_released,
                    follow_up_cancelled_during_the_commit_never_runs,
                    archive_of_a_lost_worker_releases_its_size,
                    heartbeat_during_the_reap_counts_or_is_refused,
                    change_during_a_claim_is_complete_or_refused,
                }
                reaper {
                    silent_worker_is_removed_at_the_end_of_its_lease,
                    heartbeat_keeps_a_worker,
                    requeued_tasks_keep_their_position,
                    lost_attempts_are_counted_on_the_task,
                    lost_attempt_releases_its_storage,
                    worker_with_an_overdue_task_is_removed,
                    reported_task_is_not_overdue,
                    silent_and_overdue_worker_is_removed_once,
                    reap_respects_its_limit,
                    concurrent_reaps_requeue_each_task_once,
                    outage_ends_no_lease,
                    explanation_shows_leases_on_the_wall_clock,
                    wall_clock_steps_reap_no_worker,
                    clock_is_settled_some_time_after_a_jump,
                    observation_respects_the_bound_of_a_steady_clock,
                    concurrent_observations_set_the_clock_once,
                    clock_of_the_database_is_the_default,
                    missed_workers_are_counted_and_keep_their_tasks,
                    limit_of_a_task_reaps_its_attempt_alone,
                    limit_of_a_task_is_due_once_its_worker_is_missed,
                    overdue_task_of_a_live_worker_is_due,
                    change_and_repetition_keep_the_limit_of_a_task,
                    task_is_cancelled_with_its_fifth_lost_attempt,
                    returned_attempt_never_cancels_a_task,
                    next_boot_of_a_machine_requeues_tasks_of_the_last,
                    next_boot_leaves_a_worker_until_it_is_missed,
                    live_worker_of_a_copied_machine_keeps_its_lease,
                }
                retention {
                    old_ended_tasks_are_deleted,
                    deleted_task_releases_its_storage,
                    task_with_recent_archives_is_kept,
                    referenced_task_is_kept,
                    references_change_with_the_spec,
                    repetition_has_the_references_of_the_original,
                    upstream_is_kept_until_its_follow_up_ends,
                    next_round_continues_after_the_last,
                    concurrent_rounds_delete_each_task_once,
                    archives_go_before_their_tasks,
                    archive_that_a_task_needs_is_kept,
                    old_key_is_deleted,
                }
                notifications {
                    shared_secret_is_the_first_proposal_for_all,
                }
                secrets {
                    secret_is_replaced_and_removed,
                    only_an_admin_sets_and_removes_secrets,
                    group_has_a_bounded_number_of_secrets,
                    secrets_are_read_by_group_and_name,
                }
                rights {
                    adding_a_group_to_a_worker_requires_write_in_it,
                    only_its_controllers_change_a_worker,
                    group_admin_removes_any_worker_with_its_tasks,
                    leaving_member_removes_own_workers,
                    leaving_member_holds_no_task_on_removed_workers,
                    member_reduced_to_read_serves_no_more,
                    only_admins_change_members,
                    reader_and_outsider_change_no_task,
                    reader_and_outsider_change_no_file,
                    locked_account_has_no_rights,
                    former_administrator_changes_nothing,
                    upload_is_refused_after_the_end_of_a_membership,
                    task_refers_only_to_tasks_visible_to_its_creator,
                    change_refers_only_to_tasks_visible_to_both,
                    follow_up_refers_to_its_group_or_as_its_upstream,
                    follow_up_refers_only_to_tasks_still_visible,
                    repetition_skips_tasks_of_foreign_groups,
                    deleted_group_gets_no_waiting_tasks,
                    registration_requires_a_valid_credential,
                    password_reset_ends_workers_and_revokes_tokens,
                    locked_account_loses_its_workers,
                    claim_is_refused_after_the_end_of_a_membership,
                    submission_into_a_deleted_group_is_refused,
                }
                sweeps {
                    results_have_a_row_for_each_task_in_any_state,
                    warnings_are_stored_with_the_end_of_a_task,
                    data_of_a_task_is_part_of_its_outcome,
                    page_of_results_ends_at_its_size_limit,
                    selection_of_failed_tasks_skips_successes,
                    repetition_copies_the_original_and_links_to_it,
                    running_and_repeated_tasks_are_skipped,
                    concurrent_repetitions_repeat_each_task_once,
                    repeated_request_replays_the_repetition,
                    pages_of_results_cover_a_growing_sweep,
                }
                tasks {
                    task_is_stored_as_submitted,
                    numbers_increase_within_each_group,
                    concurrent_submissions_get_distinct_numbers,
                    batch_with_an_invalid_task_stores_nothing,
                    thousands_of_tasks_are_submitted_in_one_batch,
                    key_belongs_to_one_request_of_one_user,
                    concurrent_requests_with_one_key_submit_once,
                    waiting_task_can_be_changed,
                    changed_task_moves_to_its_new_lane,
                    only_a_waiting_task_can_be_changed,
                    labels_can_be_replaced_in_any_state,
                    tasks_are_found_by_uuids,
                    empty_batch_is_accepted,
                    repeated_request_accepts_previously_refused_tasks,
                    concurrent_repeated_requests_accept_refused_tasks_once,
                    longest_timeout_is_stored,
                    task_is_found_by_prefix_number_or_last,
                }
                explain {
                    workers_of_a_group_are_counted_by_eligibility,
                    worker_with_a_free_slot_is_free,
                    nearest_worker_lacks_the_fewest_tags,
                    tasks_ahead_are_those_of_the_lane,
                    tasks_ahead_are_counted_up_to_a_limit,
                    facts_of_a_held_task_include_holder_and_watched_task,
                    facts_include_the_upstream_or_the_result,
                }
                lifecycle {
                    open_store_responds_to_ping,
                    schema_version_is_compared_with_the_known_one,
                    closed_store_fails_with_closed,
                }
                workers {
                    worker_is_stored_as_registered,
                    host_stays_known_as_long_as_an_attempt,
                    facts_of_a_worker_are_shown,
                    drained_worker_keeps_its_tasks_and_takes_no_others,
                    worker_shows_the_tasks_that_it_holds,
                    heartbeats_are_stored_and_gone_workers_returned,
                    tags_and_labels_are_replaced,
                    worker_groups_change_all_or_nothing,
                    workers_of_a_group_are_found_oldest_first,
                    page_of_workers_ends_at_its_size_limit,
                    idle_worker_is_removed_by_either_stop,
                    busy_worker_drains_until_its_last_task,
                    forced_stop_requeues_held_tasks,
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
