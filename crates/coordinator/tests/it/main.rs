//! End-to-end tests of the service over HTTP, with a single coordinator and in a cluster. A test that is in no list is
//! reported as unused code.

#![expect(clippy::unwrap_used, reason = "a test that cannot continue panics, in its helpers too")]

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
mod jobs;
mod live_output;
mod live_states;
mod notify;
mod openapi;
mod outages;
mod packing;
mod permissions;
mod retention;
mod schedules;
mod secrets;
mod security;
mod site;
mod sweeps;
mod tasks;
mod tenants;
mod watches;
mod web;
mod workers;

/// Runs all tests in one environment: `scenarios!(name: Surroundings::Variant)`.
macro_rules! scenarios {
    ($place:ident: $surroundings:expr) => {
        mod $place {
            $crate::list! { $surroundings;
            account {
                health_reports_each_part,
                http2_with_prior_knowledge_is_served,
                auth_returns_the_bare_name,
                wrong_password_and_unknown_name_get_the_same_reply,
                login_without_retain_ends_other_sessions,
                sessions_of_a_user_end_together,
                password_change_ends_sessions_and_returns_a_token,
                missing_damaged_or_expired_token_is_rejected,
                token_outlives_a_restart,
                user_has_a_personal_group_and_may_create_seven_more,
            }
            web {
                page_is_compressed_cached_and_strict,
                login_sets_a_cookie_for_the_page_only,
                requests_of_other_origins_are_refused,
                preflight_does_not_permit_credentials,
                cookie_has_the_rights_of_its_token,
                bearer_token_precedes_the_cookie,
                login_code_is_valid_once,
                cookie_ends_with_the_session,
                states_of_a_job_are_compact,
            }
            site {
                administrator_lists_users_and_groups,
                administrator_sees_jobs_workers_and_use_of_all_groups,
                activity_counts_the_last_hour_of_own_groups,
            }
            after_removal {
                workers_of_a_removed_member_leave_the_group,
                group_admin_removes_any_worker,
                agent_of_a_removed_member_drops_its_task,
                password_reset_ends_workers_and_optionally_tokens,
                locked_administrator_is_rejected,
                locked_account_gets_no_session,
                stream_of_a_task_ends_with_the_membership,
                follower_is_revalidated_while_its_request_is_held,
                artifact_link_needs_the_creator_in_the_group,
                worker_sees_only_what_the_creator_may_view,
                follow_up_of_a_removed_member_is_rejected,
                empty_password_is_rejected_everywhere,
            }
            agents {
                agent_gets_and_ends_many_tasks_at_once,
                surroundings_of_a_task_are_translated_for_older_workers,
                lease_is_renewed_after_a_long_held_poll,
                held_poll_returns_when_a_task_arrives,
                undelivered_task_is_repeated_and_foreign_one_dropped,
                user_stops_a_running_task,
                lost_message_to_an_agent_is_repeated,
                draining_agent_is_notified_and_ends_with_its_last_task,
                held_poll_of_a_removed_agent_returns,
                missed_agent_keeps_its_task_until_its_lease_ends,
                workers_get_their_lease_terms,
                doctor_counts_missed_workers,
                idempotent_task_of_a_missed_agent_is_requeued,
                registration_after_a_reboot_requeues_earlier_tasks,
                task_is_cancelled_after_five_lost_attempts,
                task_assigned_to_an_abandoned_request_is_requeued,
                new_tags_apply_to_a_held_poll,
                agent_is_notified_of_followers,
                announced_artifact_of_an_agent_must_exist,
                invalid_reports_of_an_agent_are_rejected,
                warnings_of_a_task_are_limited,
            }
            artifacts {
                missing_artifact_is_reported_in_the_result,
                artifacts_of_a_lost_attempt_are_never_visible,
                upload_must_have_the_announced_length,
                link_of_a_user_stores_once,
                no_link_changes_an_artifact_after_the_commit,
                uploads_of_an_object_are_exclusive,
                smaller_replacement_frees_quota,
            }
            conversation {
                normal_sequence_goes_from_fetch_to_commit,
                fetch_without_a_task_returns_null,
                reports_out_of_order_or_of_others_are_rejected,
                commit_can_be_repeated,
                repeated_fetch_returns_the_same_task,
                follow_up_waits_for_its_upstream,
                follow_up_of_a_lost_attempt_is_dropped,
            }
            dispatch {
                higher_priority_goes_first_then_the_older,
                worker_gets_only_tasks_with_its_tags_and_groups,
                held_fetch_returns_when_a_task_arrives,
                fetch_without_wait_returns_at_once,
                silent_worker_loses_its_task_and_late_report_is_rejected,
                task_far_beyond_its_timeout_is_requeued,
                concurrent_fetches_get_different_tasks,
            }
            doctor {
                probe_links_are_limited_and_not_charged,
                doctor_reports_the_default_password,
                background_tasks_and_their_last_passes_are_reported,
                metrics_count_requests_and_tasks,
                metrics_time_operations_by_name,
                metrics_show_the_queue_of_each_group,
                metrics_count_errors_of_the_object_store,
                resumed_task_is_claimed_once,
                own_address_serves_metrics_alone_and_without_a_token,
            }
            events {
                stream_of_a_task_ends_with_the_task,
                states_are_held_until_the_first_task_ends,
                stream_of_a_group_resumes_after_an_interruption,
                change_with_an_earlier_time_is_sent,
                streams_hide_tasks_of_others,
                stream_covers_groups_joined_later,
            }
            explain {
                task_without_workers_says_what_is_missing,
                queued_task_reports_its_position,
                task_with_only_draining_workers_says_so,
                task_of_a_silent_worker_says_when_it_is_requeued,
                after_a_start_a_task_waits_for_workers_to_come_back,
                pending_task_names_its_upstream,
                watched_task_is_hidden_after_leaving_its_group,
            }
            input {
                odd_texts_are_rejected_or_match_nothing,
                keys_outside_their_group_are_rejected,
                wildcards_match_literally,
                numbers_out_of_range_are_rejected_or_capped,
                lists_are_deduplicated_and_limited,
                list_of_keys_is_deduplicated_and_limited,
                huge_body_is_rejected_with_a_response,
                unknown_routes_and_methods_reply_without_a_body,
                body_of_a_wrong_type_or_form_is_rejected,
                invalid_task_is_rejected_at_submission,
                body_beyond_the_limit_is_rejected,
                names_are_letters_digits_dashes_and_underscores,
                unknown_input_is_ignored_and_cors_allows_all,
            }
            jobs {
                job_of_a_single_task_runs,
                submission_of_jobs_can_be_repeated,
                many_jobs_are_submitted_at_once,
                tasks_of_a_sweep_are_written_late_and_run_in_order,
                listed_tasks_include_those_that_are_not_written,
                job_continues_after_a_restart,
                paused_job_starts_no_task,
                priority_of_a_job_can_be_changed,
                cancelled_job_of_a_million_tasks_ends_quickly,
                selected_tasks_are_cancelled_and_stopped,
                no_more_tasks_run_than_a_job_allows,
                named_limit_is_shared_and_explained,
                impossible_use_of_a_limit_is_refused,
                priorities_of_writers_are_bounded,
                weight_of_a_group_is_listed,
                failures_beyond_the_limit_cancel_the_rest,
                failed_tasks_run_again_as_further_attempts,
                part_of_a_stopped_job_runs_again,
                ended_job_can_be_deleted,
                chain_of_jobs_runs_in_order,
                job_that_needs_an_end_runs_after_a_failure,
                failure_is_passed_on_with_its_cause,
                needed_job_must_be_visible,
                task_runs_after_that_with_its_index,
                jobs_that_need_tasks_fit_each_other,
                stream_of_a_job_ends_with_the_job,
                stream_of_a_job_shows_changes_of_the_job,
                stream_of_a_job_ends_with_the_membership,
                waiting_request_returns_when_a_job_ends,
                job_of_others_is_like_none,
                reader_can_view_jobs_and_writer_can_change_them,
            }
            schedules {
                schedule_submits_its_job_when_it_is_due,
                paused_schedule_submits_nothing,
                overlapping_run_is_skipped_queued_or_replaces,
                requested_run_is_submitted_at_once,
                clock_that_is_set_back_repeats_no_run,
                run_without_the_right_is_recorded_as_refused,
                schedule_of_others_is_like_none,
            }
            notify {
                notification_is_repeated_until_it_is_delivered,
                receiver_has_to_be_allowed,
                redirect_and_gone_receiver_are_failures,
                notification_after_a_stop_has_the_same_id,
                schedule_notifies_of_its_jobs,
                key_of_a_group_signs_and_can_be_replaced,
            }
            secrets {
                secret_is_listed_and_its_value_never_returned,
                invalid_secret_is_refused,
                unknown_secret_is_refused_at_submission,
                only_the_holder_gets_the_value,
                changed_secret_applies_to_the_next_assignment,
                removed_secret_ends_the_attempt,
                secret_needs_the_private_key_of_the_coordinator,
            }
            live_output {
                follower_gets_the_requested_bytes,
                follower_is_notified_of_the_end,
                worker_sends_output_only_of_its_task,
            }
            security {
                personal_token_is_limited_to_its_scope,
                logins_and_administration_are_audited,
            }
            packing {
                packed_archives_are_read_as_before,
                packed_archive_is_replaced_and_deleted,
            }
            sweeps {
                failed_tasks_are_retried_and_replaced_in_results,
                listed_tasks_are_retried_if_they_have_ended,
                retry_can_be_repeated,
                retry_requires_a_list_or_a_filter,
                results_are_paginated,
            }
            tasks {
                next_page_starts_after_the_last_row,
                submitted_task_has_the_form_of_the_contract,
                waiting_task_can_be_cancelled_once,
                running_task_can_only_be_relabelled,
                waiting_task_can_be_changed,
                query_combines_its_conditions,
                invalid_query_is_rejected,
                filter_text_narrows_the_filter_fields,
                members_find_tasks_by_short_names,
                batch_has_one_outcome_per_task_and_can_be_repeated,
                rejected_task_can_be_resubmitted_with_its_key,
                cancellation_by_filter_selects_only_matches,
            }
            tenants {
                worker_is_added_only_to_groups_its_user_serves,
                task_reaches_only_what_its_creator_reaches,
                worker_sees_only_the_state_of_a_watched_task,
                worker_of_two_groups_shows_each_its_own_task,
                group_named_download_is_an_ordinary_group,
                deleted_group_can_be_restored,
                deleted_group_has_no_waiting_tasks,
                deletion_that_a_crash_cut_off_is_finished,
                outsider_sees_and_changes_nothing,
                reader_can_view_and_writer_can_change,
                worker_serves_the_groups_of_its_owner,
            }
            watches {
                watched_task_reaches_the_reported_state,
                only_states_of_the_holder_count,
                plain_task_of_a_legacy_worker_counts_as_spawned,
            }
            workers {
                worker_is_shown_with_its_task,
                workers_are_paginated,
                many_workers_are_stopped_by_filter,
                idle_worker_stops_at_once_and_busy_one_after_its_task,
                forced_stop_takes_the_task_of_a_worker,
                worker_token_ends_with_its_lifetime,
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

/// An S3 server has its own clock, so scenarios that move the clock further than it accepts run on a directory only.
mod with_time_passing {
    crate::list! { crate::harness::Surroundings::Alone;
        after_removal {
            worker_ends_with_the_token_that_registered_it,
            streams_end_with_their_authentication,
            links_end_with_the_rights_of_their_owner,
        }
        agents {
            steps_and_stops_of_clocks_cost_no_worker_its_task,
        }
        artifacts {
            link_expires_and_is_bound_to_its_object,
            artifact_can_be_deleted_after_an_hour,
            lost_attempt_can_not_upload,
            nothing_changes_after_the_commit,
            upload_beyond_its_attempt_stores_nothing,
            wrong_length_does_not_consume_the_link,
            link_beyond_the_charged_size_stores_nothing,
            commit_without_a_finished_upload_is_reported,
            reader_deletes_no_artifact_by_filter,
        }
        sweeps {
            bulk_operations_process_all_tasks,
        }
        tasks {
            submission_of_too_many_tasks_is_rejected,
        }
        connections {
            slow_connections_are_closed_and_others_are_served,
            stopping_does_not_wait_for_an_unfinished_head,
        }
        dispatch {
            after_a_restart_every_worker_has_a_whole_lease_and_its_task,
        }
        doctor {
            probe_links_expire_after_a_minute,
        }
        events {
            slow_stream_misses_nothing,
        }
        golden {
            conversation_of_a_legacy_worker_is_unchanged,
            conversation_of_a_legacy_client_is_unchanged,
        }
        jobs {
            invalid_jobs_are_refused,
            job_with_an_invalid_later_task_is_cancelled,
            job_starts_and_expires_at_its_time,
        }
        schedules {
            invalid_schedules_are_refused,
            runs_are_made_up_for_after_a_stop,
            runs_follow_the_clocks_of_their_zone,
        }
        openapi {
            routes_and_descriptions_agree,
            description_matches_its_snapshot,
            docs_page_is_self_contained,
        }
        security {
            personal_tokens_of_a_user_are_limited,
            password_guessing_is_throttled,
            trusted_proxy_names_the_caller_in_the_audit_log,
            only_a_trusted_proxy_gives_a_request_its_id,
            strangers_guesses_do_not_lock_out_the_owner,
            session_can_not_be_used_to_guess_the_password,
            abandoned_logins_are_counted_and_recorded,
            invalid_names_are_rejected_first,
            default_password_counts_on_this_machine_only,
            default_password_does_not_count_under_a_public_address,
            links_begin_with_what_a_trusted_proxy_says,
            links_begin_with_the_address_that_a_client_of_ours_used,
            personal_token_ends_when_revoked_or_expired,
            a_worker_renews_its_token_within_what_it_was_granted,
            expired_worker_token_is_reported_and_may_sign_off,
        }
        packing {
            packed_object_has_no_link,
            mostly_empty_object_is_packed_again,
        }
        retention {
            a_task_is_forgotten_after_its_time_and_not_before,
            archives_are_deleted_before_their_task,
        }
        permissions {
            account_routes_check_permissions,
            group_routes_check_permissions,
            task_routes_check_permissions,
            job_routes_check_permissions,
            schedule_routes_check_permissions,
            worker_routes_check_permissions,
            worker_side_routes_check_permissions,
        }
    }
}

mod with_redis {
    crate::list! { crate::harness::Surroundings::WithRedis;
        live_states {
            redis_users_have_minimal_rights,
            drawn_redis_password_is_the_same_at_every_start,
            states_of_native_agents_are_announced_and_expire,
            legacy_workers_announce_themselves,
            agent_states_are_announced_in_the_order_of_0_6_8,
            agent_announces_states_of_what_it_holds_only,
            departed_agent_is_announced_as_exited,
            lost_agent_is_announced_as_exited,
            watched_task_of_a_legacy_worker_is_read_from_redis,
            tasks_continue_without_redis,
        }
        doctor {
            doctor_reports_the_state_of_redis,
        }
    }
}

mod with_a_server {
    crate::list! { crate::harness::Surroundings::Cluster;
        after_removal {
            held_requests_of_a_locked_owner_end_everywhere,
            streams_end_on_another_coordinator_too,
        }
        artifacts {
            new_file_is_uploaded_directly_to_s3_once,
            link_of_a_deleted_record_is_charged_until_it_expires,
        }
        outages {
            database_outage_is_reported_and_passes,
            worker_survives_a_database_outage,
            legacy_worker_survives_a_database_outage,
            legacy_worker_gets_replies_while_the_database_hangs,
            native_heartbeat_fails_during_a_database_outage,
        }
        agents {
            coordinators_of_one_database_act_as_one,
        }
        jobs {
            coordinators_plan_the_same_job,
        }
        schedules {
            coordinators_handle_each_due_time_once,
        }
        notify {
            coordinators_send_each_notification_once,
        }
        secrets {
            coordinators_of_a_cluster_share_secrets,
        }
        watches {
            watched_state_is_forwarded_across_coordinators,
        }
        events {
            stream_resumes_on_another_coordinator,
            many_streams_share_each_look_for_changes,
        }
    }
}

scenarios!(alone: crate::harness::Surroundings::Alone);
scenarios!(cluster: crate::harness::Surroundings::Cluster);
