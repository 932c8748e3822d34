//! Stories about the service, told over HTTP as clients and workers live them, of a coordinator that
//! stands alone and of one in a cluster. A test that is in no list is reported as unused code.

#![expect(clippy::unwrap_used, reason = "a test that can not go on panics, in its helpers too")]

mod account;
mod after_removal;
mod agents;
mod artifacts;
mod connections;
mod conversation;
mod dispatch;
mod doctor;
mod events;
mod explain;
mod golden;
mod harness;
mod input;
mod live_output;
mod live_states;
mod openapi;
mod outages;
mod permissions;
mod retention;
mod security;
mod sweeps;
mod tasks;
mod tenants;
mod watches;
mod workers;

/// Runs every test in one kind of surroundings: `scenarios!(name: Surroundings::Variant)`.
macro_rules! scenarios {
    ($place:ident: $surroundings:expr) => {
        mod $place {
            $crate::list! { $surroundings;
            account {
                health_tells_the_truth_about_each_part,
                http2_without_asking_is_served_as_before,
                the_name_behind_a_token_comes_bare,
                a_wrong_password_and_an_unknown_name_are_told_apart_by_nothing,
                a_login_that_does_not_retain_ends_the_other_sessions,
                another_password_ends_every_session_and_gives_a_new_token,
                a_token_that_is_missing_damaged_or_old_is_refused,
                a_token_outlives_a_restart,
                a_user_has_a_group_of_the_same_name_and_may_make_seven_more,
            }
            after_removal {
                member_who_leaves_takes_the_workers_along,
                admin_of_a_group_takes_any_worker_off,
                agent_of_a_removed_member_drops_its_task_at_once,
                reset_password_ends_workers_and_tokens_if_asked_to,
                locked_administrator_administers_nothing,
                locked_account_gets_no_session,
                stream_of_a_task_ends_with_the_membership,
                follower_is_refused_while_the_request_is_held,
                link_to_an_archive_needs_the_creator_still_in_its_group,
                held_task_shows_its_worker_what_its_creator_may_see,
                follow_up_of_a_removed_member_is_refused,
                empty_password_is_refused_wherever_one_is_set,
            }
            agents {
                an_agent_is_given_as_many_as_it_wants_and_ends_them_together,
                an_agent_whose_request_was_held_for_long_is_renewed_by_the_next,
                an_idle_agent_is_answered_when_a_task_comes,
                a_task_that_was_handed_out_unheard_is_told_again_and_a_foreign_one_dropped,
                a_user_stops_a_task_that_an_agent_runs,
                word_that_an_agent_did_not_hear_is_told_again,
                an_agent_that_is_to_go_is_told_at_once_and_goes_with_its_last_task,
                an_agent_that_is_forced_off_learns_it_from_the_request_that_is_held,
                missed_agent_keeps_its_task_until_its_lease_ends,
                workers_are_told_how_long_they_may_be_silent,
                administrators_are_told_how_many_workers_are_missed,
                idempotent_task_of_a_missed_agent_is_given_to_another,
                registration_after_a_reboot_frees_the_tasks_of_before,
                task_ends_after_five_dead_workers_and_says_so,
                what_was_given_to_a_request_that_is_gone_goes_back,
                other_tags_count_for_a_request_that_is_held,
                an_agent_is_told_whose_output_is_wanted,
                an_archive_that_an_agent_announced_has_to_be_there,
                odd_words_of_an_agent_are_refused_and_change_nothing,
                warnings_of_a_task_are_bounded_in_number_and_length,
            }
            artifacts {
                an_archive_that_never_came_is_told_in_the_result,
                what_an_attempt_left_that_was_lost_is_never_seen,
                an_upload_has_exactly_the_announced_length,
                link_of_a_user_stores_once,
                no_link_changes_an_archive_after_the_commit,
                object_is_uploaded_by_one_request_at_a_time,
                smaller_replacement_gives_the_difference_back,
            }
            conversation {
                the_normal_sequence_goes_from_fetch_to_commit,
                without_a_task_the_answer_is_the_word_null,
                reports_out_of_order_or_from_somebody_else_are_refused,
                a_commit_whose_answer_was_lost_can_be_repeated,
                a_fetch_whose_answer_was_lost_gives_the_same_task_again,
                a_follow_up_waits_for_its_upstream_and_knows_it,
                a_follow_up_of_an_attempt_that_was_lost_goes_with_it,
            }
            dispatch {
                larger_priorities_go_first_and_the_older_among_equals,
                a_worker_gets_only_tasks_whose_tags_it_has_and_whose_groups_it_serves,
                a_request_that_is_held_is_answered_when_a_task_comes,
                unasked_fetch_without_a_task_is_answered_at_once,
                a_worker_that_is_silent_for_a_lease_loses_its_task_and_its_late_report_is_refused,
                a_task_that_runs_far_over_its_time_is_taken_back,
                of_many_workers_that_ask_at_once_each_gets_another_task,
            }
            doctor {
                the_links_of_a_probe_are_for_its_bytes_only_and_cost_nobody,
                administrators_are_told_that_the_default_password_works,
                background_tasks_and_their_last_passes_are_reported,
                metrics_count_requests_and_tasks,
            }
            events {
                a_stream_of_one_task_ends_with_the_task,
                a_stream_of_a_group_tells_what_happens_in_it_and_goes_on_after_a_break,
                what_bears_a_time_before_a_stream_and_is_written_after_its_start_is_told,
                nobody_hears_of_tasks_of_others,
                stream_hears_of_a_group_that_its_user_joins_later,
            }
            explain {
                a_task_that_nobody_can_run_says_what_is_missing,
                a_task_in_line_says_how_many_go_first,
                a_task_whose_only_workers_stop_says_so,
                a_task_of_a_silent_worker_says_when_it_is_given_to_another,
                after_a_start_a_task_waits_for_workers_to_come_back,
                a_task_that_waits_for_another_names_it,
                nothing_is_told_of_a_watched_task_after_leaving_its_group,
            }
            input {
                odd_texts_are_refused_or_match_nothing_and_change_nothing,
                keys_that_leave_their_group_are_refused,
                wildcards_are_characters_like_any_other,
                numbers_out_of_range_are_refused_and_large_ones_are_bounded,
                duplicates_count_once_and_lists_are_bounded_by_their_size,
                list_of_keys_counts_each_once_and_has_a_limit,
                a_body_that_is_far_too_long_is_refused_with_an_answer,
                routes_and_methods_that_do_not_exist_answer_without_a_body,
                a_body_that_is_not_json_or_of_the_wrong_shape_is_refused,
                a_task_that_could_never_run_is_refused_when_it_is_submitted,
                a_body_over_the_limit_is_refused_and_the_service_goes_on,
                names_are_letters_digits_dashes_and_underscores,
                unknown_arguments_and_fields_are_ignored_and_every_origin_may_ask,
            }
            live_output {
                a_follower_gets_the_bytes_it_asked_for_and_the_worker_is_told_which,
                a_follower_is_told_of_the_end_at_once,
                a_worker_can_only_speak_for_the_task_it_holds,
            }
            security {
                a_personal_token_does_what_its_scope_says,
                logins_and_administrative_acts_are_written_down,
            }
            sweeps {
                what_failed_is_submitted_again_and_stands_for_both_in_the_results,
                named_tasks_are_repeated_if_they_are_over,
                a_retry_whose_answer_was_lost_can_be_repeated,
                a_retry_says_which_tasks_it_means,
                results_come_page_by_page,
            }
            tasks {
                pages_are_turned_by_the_last_row,
                a_submitted_task_is_there_in_the_form_of_the_contract,
                a_waiting_task_can_be_cancelled_once,
                a_running_task_can_t_be_cancelled_or_changed_but_relabelled,
                a_waiting_task_can_be_changed_and_the_timeout_may_be_left_out,
                a_query_finds_what_all_its_conditions_name,
                a_query_that_makes_no_sense_is_refused,
                a_filter_in_words_narrows_what_the_fields_ask_for,
                a_task_has_short_names_for_members_of_its_group,
                a_batch_answers_for_each_task_and_a_repetition_with_its_key_submits_nothing,
                refused_submission_can_be_repeated_with_its_key_once_the_cause_is_gone,
                a_cancellation_by_filter_touches_only_what_the_filter_names,
            }
            tenants {
                a_worker_is_put_only_on_groups_that_its_user_serves,
                a_task_reaches_others_only_as_far_as_its_creator,
                a_worker_sees_how_far_a_watched_task_is_and_no_more,
                a_worker_of_two_groups_shows_each_its_own_task,
                a_group_called_download_is_a_group_like_any_other,
                a_group_can_be_deleted_and_an_administrator_can_bring_it_back,
                deleted_group_leaves_no_task_waiting_however_many,
                deletion_that_a_crash_cut_off_is_finished,
                a_stranger_sees_and_touches_nothing,
                a_reader_sees_and_does_not_touch_and_a_writer_does_both,
                a_worker_serves_the_groups_that_its_owner_may_serve,
            }
            watches {
                watched_task_is_reached_when_its_agent_says_so,
                states_from_others_than_the_holder_do_not_count,
                plain_task_of_a_published_worker_counts_as_spawned,
            }
            workers {
                a_worker_is_shown_with_what_it_holds,
                page_of_workers_leads_to_the_next,
                workers_are_stopped_by_filter_however_many,
                an_idle_worker_goes_at_once_and_a_busy_one_after_its_task,
                a_worker_that_is_forced_off_loses_its_task,
                a_token_of_a_worker_ends_with_its_lifetime,
            }
            }
        }
    };
}

macro_rules! list {
    ($surroundings:expr; $($subject:ident { $($test:ident),* $(,)? })*) => {$(
        mod $subject {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let harness = $crate::harness::Harness::set_up($surroundings).await;
                $crate::$subject::$test(harness).await;
            }
        )*}
    )*};
}
pub(crate) use list;

/// An S3 service has a clock of its own, so the scenarios that turn ours further than it accepts are told
/// of the directory only.
mod with_time_passing {
    crate::list! { crate::harness::Surroundings::Alone;
        after_removal {
            worker_ends_with_the_token_that_registered_it,
            streams_end_with_what_let_them_in,
            links_end_with_what_let_them_in,
        }
        agents {
            steps_and_stops_of_clocks_cost_no_worker_its_task,
        }
        artifacts {
            a_link_ends_after_its_hour_and_can_t_be_turned_to_another_object,
            an_artifact_can_be_deleted_an_hour_after_its_upload,
            nothing_is_stored_for_an_attempt_that_is_lost,
            nothing_changes_after_the_commit,
            upload_that_outlives_its_attempt_stores_nothing,
            body_of_another_length_takes_nothing_from_the_link,
            link_for_more_than_is_charged_stores_nothing,
            commit_during_or_without_an_announced_upload_says_so,
            reader_deletes_no_archive_by_a_filter,
        }
        sweeps {
            operations_on_many_tasks_go_on_to_their_end,
        }
        tasks {
            submission_of_too_many_tasks_is_refused_whole,
        }
        connections {
            slow_connections_are_closed_and_others_are_served,
            stopping_does_not_wait_for_an_unfinished_head,
        }
        dispatch {
            after_a_restart_every_worker_has_a_whole_lease_and_its_task,
        }
        doctor {
            the_links_of_a_probe_end_after_a_minute,
        }
        events {
            slow_stream_misses_nothing,
        }
        golden {
            a_worker_says_what_published_workers_say,
            a_client_says_what_published_clients_say,
        }
        openapi {
            every_route_is_described_and_every_description_leads_somewhere,
            the_description_changes_only_on_purpose,
            the_page_needs_nothing_from_elsewhere,
        }
        security {
            personal_tokens_of_a_user_are_bounded,
            guessing_a_password_is_slowed_down,
            trusted_proxy_names_the_caller_in_the_audit_log,
            only_a_trusted_proxy_gives_a_request_its_id,
            strangers_guesses_do_not_lock_out_the_owner,
            session_can_not_be_used_to_guess_the_password,
            hung_up_logins_are_counted_and_written_down,
            names_that_nobody_can_have_are_refused_first,
            default_password_counts_on_this_machine_only,
            default_password_does_not_count_under_a_public_address,
            links_begin_with_what_a_trusted_proxy_says,
            links_begin_with_the_address_that_a_client_of_ours_used,
            a_personal_token_ends_when_revoked_or_over_and_not_with_the_session,
            a_worker_renews_its_token_within_what_it_was_granted,
            expired_token_is_told_apart_and_may_sign_off,
        }
        retention {
            a_task_is_forgotten_after_its_time_and_not_before,
        }
        permissions {
            routes_of_accounts_let_in_whom_they_should,
            routes_of_groups_let_in_whom_they_should,
            routes_of_tasks_let_in_whom_they_should,
            routes_of_workers_let_in_whom_they_should,
            routes_for_workers_let_in_whom_they_should,
        }
    }
}

mod with_redis {
    crate::list! { crate::harness::Surroundings::WithRedis;
        live_states {
            workers_write_and_clients_read_and_neither_does_more,
            drawn_redis_password_is_the_same_at_every_start,
            states_of_our_agents_are_announced_and_expire,
            published_workers_announce_by_themselves,
            agent_states_are_announced_in_the_order_of_0_6_8,
            agent_announces_states_of_what_it_holds_only,
            agent_that_leaves_its_task_is_announced_as_exited,
            agent_that_is_lost_with_its_task_is_announced_as_exited,
            watched_task_of_a_published_worker_is_read_from_redis,
            tasks_go_on_without_redis_and_states_come_back_with_it,
        }
        doctor {
            administrators_are_told_how_redis_gets_on,
        }
    }
}

mod with_a_server {
    crate::list! { crate::harness::Surroundings::Cluster;
        after_removal {
            held_requests_of_a_locked_owner_end_on_every_coordinator,
            streams_end_on_another_coordinator_too,
        }
        artifacts {
            file_that_is_new_goes_straight_to_s3_once,
            link_of_a_removed_record_is_charged_until_its_end,
        }
        outages {
            an_outage_of_the_database_is_told_and_passes,
            a_worker_does_not_notice_an_outage_of_the_database,
            published_worker_survives_a_database_outage,
            published_worker_is_answered_while_the_database_hangs,
            own_heartbeat_is_refused_while_the_database_is_away,
        }
        agents {
            coordinators_of_one_database_are_one_system,
        }
        watches {
            watched_task_is_reached_across_coordinators,
        }
        events {
            a_stream_is_taken_up_again_on_another_coordinator,
            many_streams_share_each_look_for_changes,
        }
    }
}

scenarios!(alone: crate::harness::Surroundings::Alone);
scenarios!(cluster: crate::harness::Surroundings::Cluster);
