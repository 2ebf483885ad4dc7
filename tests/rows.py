"""Where each row of the contract is tested: what engines rely on (1.x), and the specification (5.x).

A row is "section name"; a test is "file::function", the file below tests/ without "test_" and ".py". The law in
tests/law/test_rows.py sees to it that every test that is named here exists, and that every section has rows.
A compound row of the contract is as many rows here as it has parts.
"""

from __future__ import annotations

PARSER, COMMANDS, FEATURES, LOG = "unit/cli/parser", "unit/cli/commands", "unit/cli/features", "unit/cli/log"
VS_RUNC, ANSWERS, OPTIONS = "e2e/cli_vs_runc", "e2e/answers_vs_runc", "e2e/options"
LIFE, PROCESS, MOUNTS, NAMESPACES = "e2e/lifecycle", "e2e/process", "e2e/mounts", "e2e/namespaces"
CGROUP, SYSTEMD, RESOURCES, HOOKS = "e2e/cgroup", "e2e/cgroup_systemd", "unit/cgroup/resources", "e2e/hooks"
SECCOMP, COMPILE, PROGRAM, TERMINAL = "e2e/seccomp", "unit/seccomp/compile", "e2e/program", "e2e/terminal"
PROPERTIES, RULES, BAD, RDT, IDMAP = "e2e/properties", "unit/spec/rules", "e2e/bad_input", "e2e/rdt", "e2e/idmap"
NET, PLAN, REST, HOSTILE = "e2e/netdevices", "unit/process/plan", "unit/plan/rest", "e2e/hostile"
ANNOTATIONS = "e2e/annotations"


def of(file: str, *names: str) -> tuple[str, ...]:
    """Tests of one file."""
    return tuple(f"{file}::test_{name}" for name in names)


GLOBAL_OPTIONS = {
    "1.1 --root": of(PARSER, "repeated_globals_count_once", "root_of_a_user_is_private_and_sticky")
    + of(VS_RUNC, "a_missing_root_that_was_named_is_an_error_of_list", "the_root_directory_is_refused_as_root"),
    "1.1 --log": of("unit/cli/main", "wrong_options_are_recorded")
    + of(LOG, "log_is_appended_and_closed_on_exec", "log_is_created_for_its_owner_to_write")
    + of("unit/cli/log_service", "journal", "syslog", "the_sentence_is_on_stderr_too"),
    "1.1 --log-format": of(LOG, "json_log_holds_exactly_one_record", "text_log_is_that_of_logrus"),
    "1.1 --log-level": of(OPTIONS, "log_level") + of(PARSER, "log_options"),
    "1.1 --debug": of(OPTIONS, "debug_records_each_step"),
    "1.1 --systemd-cgroup": of(SYSTEMD, "the_container_lives_in_its_scope"),
    "1.1 the form of cgroupsPath": of(SYSTEMD, "a_path_of_the_other_driver"),
    "1.1 --cgroup-manager": of(PARSER, "cgroup_manager_of_crun_is_understood")
    + of("unit/cgroup/plan", "disabled_leaves_the_container_where_the_caller_is"),
    "1.1 --rootless": of(PROPERTIES, "global_options_of_shims_are_accepted") + of("e2e/rootless", "run"),
    "1.1 --criu": of(PROPERTIES, "global_options_of_shims_are_accepted"),
    "1.1 --version": of(VS_RUNC, "version_is_what_go_runc_and_dockerd_parse"),
    "1.1 --help": of(PARSER, "help_ends_the_parsing") + of(VS_RUNC, "succeeds_as_runc_does"),
    "1.1 spellings": of(PARSER, "spellings_of_an_option_with_a_value", "flags_read_booleans_like_go"),
}

COMMAND_FLAGS = {
    "1.2 create --bundle": of(OPTIONS, "bundle_by_relative_and_absolute_path"),
    "1.2 create --console-socket": of(TERMINAL, "console_socket"),
    "1.2 create --pidfd-socket": of(OPTIONS, "create_pidfd_socket"),
    "1.2 create --pid-file": of(OPTIONS, "pid_file_is_complete_when_it_appears", "pid_file_that_cannot_be_written"),
    "1.2 create --no-pivot": of(MOUNTS, "no_pivot"),
    "1.2 create --no-new-keyring": of("e2e/keyring", "no_new_keyring_keeps_the_callers_for_exec_too"),
    "1.2 create --preserve-fds": of(PROCESS, "preserved_descriptors", "a_descriptor_to_preserve_that_is_closed"),
    "1.2 create --config": of(OPTIONS, "config_from_another_file"),
    "1.2 run --detach": of(LIFE, "run_detached_and_keep") + of(OPTIONS, "run_detach_console_socket"),
    "1.2 run --keep": of(OPTIONS, "run_keep"),
    "1.2 run --no-subreaper": of(OPTIONS, "run_no_subreaper"),
    "1.2 start": of(LIFE, "the_whole_life"),
    "1.2 state": of(ANSWERS, "state"),
    "1.2 pause, resume": of(CGROUP, "pause_and_resume", "pausing_before_the_start"),
    "1.2 features": of(FEATURES, "what_engines_look_for"),
    "1.2 exec --process": of(ANSWERS, "exec_reads_a_process_document"),
    "1.2 exec --detach": of(OPTIONS, "exec_detached_leaves_its_process"),
    "1.2 exec --pid-file": of(ANSWERS, "pid_files_hold_digits_alone"),
    "1.2 exec --console-socket": of(TERMINAL, "exec_with_a_console_socket"),
    "1.2 exec --pidfd-socket": of(OPTIONS, "exec_pidfd_socket"),
    "1.2 exec --tty": of(TERMINAL, "exec_with_a_terminal"),
    "1.2 exec --cwd": of(ANSWERS, "exec_options", "exec_fails_with_255"),
    "1.2 exec --env": of(ANSWERS, "exec_options") + of(COMMANDS, "variables_that_are_none"),
    "1.2 exec --user": of(ANSWERS, "exec_options") + of(OPTIONS, "exec_refuses_users_that_are_none"),
    "1.2 exec --no-new-privs": of(ANSWERS, "exec_options"),
    "1.2 exec --process-label --apparmor": of("e2e/apparmor", "and_the_program_of_exec") + of(COMMANDS, "options"),
    "1.2 exec --additional-gids": of(ANSWERS, "exec_options") + of(COMMANDS, "groups_that_are_none"),
    "1.2 exec --cap": of(ANSWERS, "exec_capabilities"),
    "1.2 exec --preserve-fds": of(OPTIONS, "exec_preserve_fds"),
    "1.2 exec --cgroup": of(CGROUP, "exec_into_a_cgroup_below")
    + of("unit/cgroup/steps", "sub_cgroups_of_single_controllers", "a_sub_cgroup_of_some_hierarchies"),
    "1.2 exec --ignore-paused": of(OPTIONS, "exec_in_a_paused_container"),
    "1.2 options stop at the first operand": of(PARSER, "options_stop_at_the_first_operand_of_exec_and_ps"),
    "1.2 kill": of(ANSWERS, "signals") + of(COMMANDS, "spellings", "numbers"),
    "1.2 kill --all": of(CGROUP, "kill_all") + of(ANSWERS, "what_a_stopped_container_allows"),
    "1.2 kill --regex, delete --regex": of(PROPERTIES, "kill_and_delete_by_expression"),
    "1.2 delete": of(LIFE, "the_whole_life", "delete_of_a_created_container"),
    "1.2 delete --force": of(LIFE, "delete_force"),
    "1.2 list": of(ANSWERS, "list") + of(VS_RUNC, "empty_lists_are_equal_to_the_byte"),
    "1.2 ps": of(ANSWERS, "ps", "ps_of_a_stopped_container") + of(CGROUP, "ps_lists_the_processes_of_cgroups_below"),
    "1.2 events": of(ANSWERS, "stats", "events_tell_of_memory_and_end_with_the_container"),
    "1.2 spec": of(VS_RUNC, "spec_is_runcs_apart_from_the_version", "spec_does_not_overwrite"),
    "1.2 spec --file": of(VS_RUNC, "spec_with_another_name"),
    "1.2 update --resources": of(ANSWERS, "update_reads_a_document_from_stdin") + of(COMMANDS, "document"),
    "1.2 update flags": of(COMMANDS, "flags", "every_flag_has_a_place"),
    "1.2 update --blkio-weight": of(ANSWERS, "update_flags_of_later_runtimes"),
    "1.2 update --cpu-burst": of(ANSWERS, "update_flags_of_later_runtimes"),
    "1.2 update --cpu-idle": of(ANSWERS, "update_flags_of_later_runtimes"),
    **{
        f"1.2 update --{name}": of(ANSWERS, "update")
        for name in (
            "cpu-period cpu-quota cpu-share cpu-rt-period cpu-rt-runtime cpuset-cpus cpuset-mems memory"
            " memory-reservation memory-swap pids-limit"
        ).split()
    },
    "1.2 update --kernel-memory --kernel-memory-tcp": of(ANSWERS, "update_flags_that_are_ignored"),
    "1.2 update --l3-cache-schema --mem-bw-schema": of(
        RDT, "update_writes_schemata", "update_without_a_class_is_an_error"
    ),
    "1.2 update per device": of(CGROUP, "update_merges_limits_of_devices"),
    "1.2 update of devices": of(CGROUP, "update_of_device_rules")
    + of("unit/cgroup/steps", "update_leaves_device_rules_that_are_in_force_already"),
    "1.2 update sizes": of(PARSER, "sizes", "sizes_that_are_none"),
    "1.2 checkpoint, restore, and each flag of theirs": of(VS_RUNC, "there_is_no_checkpoint"),
    "1.2 mounts add, mounts remove": of("e2e/mounts_command", "mounts_add_and_remove"),
    "1.2 annotation run.oci.keep_original_groups": of(PROPERTIES, "run_oci_keep_original_groups"),
    "1.2 annotation run.oci.mount_context_type": of("unit/plan/mounts", "mount_label"),
    "1.2 annotation run.oci.hooks.stdout, .stderr": of(
        ANNOTATIONS,
        "output_of_all_hooks_is_appended_to_files",
        "one_output_of_hooks_alone",
        "a_file_for_hooks_that_cannot_be",
    ),
    "1.2 annotation run.oci.seccomp.receiver, RUN_OCI_SECCOMP_RECEIVER": of(
        ANNOTATIONS, "seccomp_receiver", "listener_path_before_receiver", "a_relative_receiver"
    ),
    "1.2 annotation run.oci.seccomp_fail_unknown_syscall": of(ANNOTATIONS, "unknown_system_calls"),
    "1.2 annotation run.oci.seccomp_bpf_data": of(
        ANNOTATIONS, "a_filter_as_it_is", "a_filter_as_it_is_with_a_receiver", "a_filter_that_is_none"
    ),
    "1.2 annotation run.oci.pidfd_receiver": of(ANNOTATIONS, "pidfd_receiver"),
    "1.2 annotation org.systemd.property.*": of(SYSTEMD, "annotations_are_properties")
    + of("unit/cgroup/systemd", "values_of_annotations", "annotations_become_properties"),
    **{
        f"1.2 annotation {name}": of(ANNOTATIONS, "annotations_of_others_change_nothing")
        for name in (
            "run.oci.handler module.wasm.image/variant krun.* run.oci.seccomp.plugins run.oci.systemd.subgroup"
            " run.oci.delegate-cgroup run.oci.systemd.force_cgroup_v1 org.criu.config"
        ).split()
    },
    "1.2 potentially unsafe annotations": of(FEATURES, "annotations_that_matter_are_named"),
}

INVOCATIONS = {
    "1.4 success": of(ANSWERS, "silent_commands_print_nothing"),
    "1.4 foreground run and exec": of(LIFE, "run_passes_the_exit_status", "run_ends_with_the_signal_of_the_program")
    + of(ANSWERS, "exec_passes_the_status_on"),
    "1.4 runtime error": of(VS_RUNC, "fails_as_runc_does"),
    "1.4 exec runtime error": of(ANSWERS, "exec_fails_with_255") + of(BAD, "exec_errors_end_with_255"),
    "1.4 bad option, unknown command": of(VS_RUNC, "fails_as_runc_does") + of(PARSER, "refusals", "unknown_commands"),
    "1.4 delete --force of a missing id": of(LIFE, "delete_force"),
    "1.5 a wrong option is recorded": of("unit/cli/main", "wrong_options_are_recorded"),
    "1.5 stdout stays empty": of(ANSWERS, "silent_commands_print_nothing"),
    "1.5 one line and one record": of(VS_RUNC, "one_record_in_the_log_for_one_failure")
    + of("unit/cli/main", "one_line_and_one_record"),
    "1.5 JSON record": of(LOG, "json_log_holds_exactly_one_record", "records_are_ascii_on_one_line"),
    "1.5 nothing below error without --debug": of(OPTIONS, "no_record_without_a_failure"),
    "1.6 pid file": of(ANSWERS, "pid_files_hold_digits_alone")
    + of(OPTIONS, "pid_file_is_complete_when_it_appears", "no_pid_file_of_a_create_that_fails"),
    "1.7 console socket": of(TERMINAL, "console_socket", "the_rules_of_terminal_and_socket"),
    "1.7 pidfd socket": of(OPTIONS, "create_pidfd_socket", "exec_pidfd_socket"),
    "1.7 seccomp listener": of(SECCOMP, "the_listener_gets_the_state_and_decides"),
    "1.8 LISTEN_FDS": of(
        PROCESS, "listen_fds", "listen_fdnames_are_kept", "listen_fds_of_another_process_are_not_passed_on"
    ),
    "1.8 --preserve-fds": of(PROCESS, "preserved_descriptors", "only_three_descriptors"),
    "1.8 NOTIFY_SOCKET": of("e2e/notify", "ready_is_passed_on", "a_container_that_ends_is_not_waited_for"),
    "1.8 --no-new-keyring": of("e2e/keyring", "a_container_has_a_session_keyring_and_exec_joins_it"),
    "1.8 --no-pivot": of(MOUNTS, "no_pivot"),
    "1.8 foreground": of(LIFE, "signals_are_forwarded_by_run", "signals_are_forwarded_by_exec")
    + of(TERMINAL, "foreground_terminal", "the_terminal_of_exec_follows_the_size_of_ours"),
    "1.8 exec joins namespaces and cgroups": of(NAMESPACES, "exec_joins_all_of_them")
    + of(CGROUP, "exec_joins_every_hierarchy", "exec_into_a_leaf_that_became_a_parent"),
    "1.8 standard streams": of("e2e/stdio", "a_pipe_is_opened_anew_by_a_user", "the_terminal_is_the_users"),
    "1.9 containerd kill: container not running": of(ANSWERS, "refusals_by_status"),
    "1.9 containerd kill: does not exist": of(VS_RUNC, "fails_as_runc_does"),
    "1.9 containerd delete: does not exist": of(LIFE, "delete_of_a_missing_container"),
    "1.9 dockerd: permission denied": of(PROGRAM, "create_knows"),
    "1.9 dockerd: is a directory": of(PROGRAM, "create_knows"),
    "1.9 dockerd: not a directory": of(MOUNTS, "a_directory_over_a_file_says_not_a_directory"),
    "1.9 dockerd: executable file not found, no such file or directory": of(PROGRAM, "create_knows"),
    "1.9 podman: permission denied": of(PROGRAM, "create_knows", "a_program_on_a_noexec_mount"),
    "1.9 podman: executable file not found in, no such file or directory": of(
        PROGRAM, "create_knows", "start_hears_what_execve_said"
    ),
    "1.9 podman: labels": of(PROCESS, "labels_that_the_host_cannot_apply"),
    "1.9 podman: flag needs an argument": of(PARSER, "refusals") + of(VS_RUNC, "there_is_no_checkpoint"),
    "1.9 CRI-O: no such process, container not running": of(ANSWERS, "refusals_by_status"),
    "1.9 go-runc: exit status": of(VS_RUNC, "fails_as_runc_does"),
    "1.9 go-runc and dockerd: version": of(VS_RUNC, "version_is_what_go_runc_and_dockerd_parse"),
    "1.9 what the page promises": of("law/words", "words_that_clients_match"),
    "1.10 state": of(ANSWERS, "state"),
    "1.10 state: rootfs, created": of(ANSWERS, "state"),
    "1.10 state: annotations": of(PROPERTIES, "annotations_are_in_the_state"),
    "1.10 state: owner": of(ANSWERS, "list"),
    "1.10 list": of(ANSWERS, "list"),
    "1.10 ps": of(ANSWERS, "ps", "ps_of_a_stopped_container") + of(CGROUP, "ps_lists_the_processes_of_cgroups_below"),
    "1.10 events": of(ANSWERS, "stats", "events_tell_of_memory_and_end_with_the_container"),
    "1.10 events intel_rdt": of(RDT, "stats_of_the_class_and_of_the_container"),
    "1.10 events psi": of("unit/cgroup/steps", "stats_of_v2"),
    "1.10 version": of(VS_RUNC, "version_is_what_go_runc_and_dockerd_parse"),
    "1.10 features": of(FEATURES, "fits_the_schema", "has_every_member_of_the_schema"),
}

ERRORS = {
    "1.11 unknown id": of(VS_RUNC, "fails_as_runc_does"),
    "1.11 delete of an unknown id": of(LIFE, "delete_of_a_missing_container"),
    "1.11 absolute program missing, not in PATH, directory, no x bit": of(PROGRAM, "create_knows"),
    "1.11 missing interpreter, CRLF, bad format": of(
        PROGRAM, "start_hears_what_execve_said", "a_missing_loader_is_named"
    ),
    "1.11 a program that is the runtime": of(PROGRAM, "the_runtime_is_no_program_of_the_container"),
    "1.11 cwd missing": of(PROCESS, "cwd_is_made_where_it_is_missing") + of(LIFE, "a_failed_exec_leaves_nobody"),
    "1.11 bind source missing": of(MOUNTS, "a_missing_source_names_the_property"),
    "1.11 directory over file": of(MOUNTS, "a_directory_over_a_file_says_not_a_directory"),
    "1.11 bad JSON": of(BAD, "not_json", "truncated", "duplicate_key"),
    "1.11 duplicate id": of(LIFE, "create_of_a_taken_id", "two_creates_at_once_one_wins"),
    "1.11 start twice": of(LIFE, "what_each_status_refuses") + of(ANSWERS, "refusals_by_status"),
    "1.11 start stopped": of(LIFE, "what_each_status_refuses") + of(ANSWERS, "refusals_by_status"),
    "1.11 delete running": of(LIFE, "what_each_status_refuses") + of(ANSWERS, "refusals_by_status"),
    "1.11 kill stopped": of(ANSWERS, "refusals_by_status", "what_a_stopped_container_allows"),
    "1.11 exec stopped": of(ANSWERS, "refusals_by_status"),
    "1.11 pause stopped": of(ANSWERS, "refusals_by_status"),
    "1.11 a failed exec child is reaped": of(LIFE, "a_failed_exec_leaves_nobody")
    + of("e2e/rootless", "a_failed_exec_leaves_nobody"),
    "1.12 container id": of(PARSER, "container_ids", "container_ids_that_are_none"),
    "1.12 cgroup frozen or not empty": of("unit/cgroup/steps", "an_occupied_or_frozen_cgroup_is_refused")
    + of(CGROUP, "a_cgroup_with_processes_is_refused_and_left"),
    "1.12 config.json may change": of(LIFE, "later_edits_of_the_bundle_have_no_effect"),
    "1.12 start time of init": of(LIFE, "a_recycled_pid_is_not_mistaken"),
}

CONFIG = {
    "5.1 bundle": of(BAD, "no_config", "unreadable") + of(REST, "a_root_that_is_not_there"),
    "5.1 UTF-8 JSON, no duplicate names": of(BAD, "duplicate_key", "not_json"),
    "5.1 ociVersion": of(PROPERTIES, "versions_that_are_accepted", "versions_that_are_not"),
    "5.1 root.path": of(REST, "a_root_that_is_not_there", "the_hosts_root_is_no_root"),
    "5.1 root.readonly": of(MOUNTS, "readonly_root"),
    "5.1 unknown properties": of(PROPERTIES, "unknown_and_foreign_properties_are_ignored"),
    "5.1 invalid values": of(BAD, "wrong_value"),
    "5.1 hostname, domainname": of(NAMESPACES, "hostname_and_domainname") + of(RULES, "what_breaks_a_rule"),
    "5.1 annotations": of(PROPERTIES, "annotations_are_in_the_state") + of(BAD, "wrong_value"),
    "5.1 other platforms": of(PROPERTIES, "unknown_and_foreign_properties_are_ignored"),
    "5.2 order": of(MOUNTS, "mounts_are_made_in_order"),
    "5.2 destination": of(HOSTILE, "a_destination_through_a_link_stays_inside")
    + of(MOUNTS, "a_destination_that_is_a_link_to_nothing"),
    "5.2 source": of(MOUNTS, "a_relative_source_counts_from_the_bundle"),
    "5.2 type": of("unit/plan/mounts", "what_is_missing_is_named"),
    "5.2 uidMappings, gidMappings": of(IDMAP, "the_mounts_own_maps_win", "one_map_without_the_other_is_an_error"),
    "5.2 options": of("unit/plan/mounts", "every_option_of_the_specification_is_known")
    + of(MOUNTS, "attribute_of_a_tmpfs", "attribute_of_a_bind", "propagation_of_a_bind"),
    "5.2 recursive options": of(
        MOUNTS, "recursive_attribute_reaches_what_is_mounted_below", "recursive_attribute_of_a_new_file_system"
    ),
    "5.2 idmap, ridmap": of(
        IDMAP,
        "idmap_takes_the_maps_of_the_containers_user_namespace",
        "ridmap_is_for_the_mounts_below_too",
        "without_maps_it_is_an_error",
    ),
    "5.2 tmpcopyup": of(MOUNTS, "tmpcopyup"),
    "5.2 propagation options": of(MOUNTS, "propagation_of_a_bind"),
    "5.2 locked flags in a user namespace": of(MOUNTS, "locked_flags_stay_and_stop_nobody")
    + of("e2e/riddles", "the_message_has_the_answer"),
    "5.2 copy-symlink": of(MOUNTS, "a_link_is_copied", "what_is_no_link_is_mounted"),
    "5.2 src-nofollow, dest-nofollow": of(
        MOUNTS, "links_are_mounted_and_mounted_on", "a_link_of_procfs_is_not_mounted_on"
    ),
    "5.2 unknown option": of("unit/plan/mounts", "unknown_options_are_the_file_systems"),
    "5.3 process": of(BAD, "process_missing_is_an_error_of_start"),
    "5.3 terminal": of(TERMINAL, "foreground_terminal", "console_socket"),
    "5.3 consoleSize": of(TERMINAL, "console_socket"),
    "5.3 cwd": of(PROCESS, "cwd_is_made_where_it_is_missing", "cwd_is_made_before_the_root_is_read_only"),
    "5.3 env": of(PROCESS, "env_and_home") + of(PLAN, "of_two_variables_the_last_counts_in_the_place_of_the_first"),
    "5.3 args": of(PLAN, "args_need_one_entry", "the_containers_path_is_searched_as_the_user"),
    "5.3 user": of(PROCESS, "user_groups_and_umask") + of(BAD, "wrong_value"),
    "5.3 rlimits": of(PROCESS, "rlimits", "rlimit_duplicate_and_unknown"),
    "5.3 apparmorProfile, selinuxLabel": of("e2e/apparmor", "the_profile_confines_the_program")
    + of("e2e/selinux", "the_program_has_its_label", "a_label_that_the_policy_does_not_know")
    + of(PROCESS, "labels_that_the_host_cannot_apply"),
    "5.3 capabilities": of(PROCESS, "five_capability_sets", "an_unknown_capability_is_a_warning"),
    "5.3 noNewPrivileges": of(PROCESS, "no_new_privileges"),
    "5.3 oomScoreAdj": of(PROCESS, "oom_score", "oom_score_untouched"),
    "5.3 scheduler": of(PROPERTIES, "scheduler_in_the_container")
    + of(PROCESS, "scheduler")
    + of(PLAN, "struct_sched_attr"),
    "5.3 ioPriority": of(PROPERTIES, "io_priority_in_the_container") + of(PROCESS, "io_priority"),
    "5.3 execCPUAffinity": of(PROPERTIES, "exec_cpu_affinity") + of(PLAN, "the_containers_affinity_is_for_exec_only"),
    "5.4 order, namespaces, state": of(HOOKS, "order_state_and_namespaces"),
    "5.4 failure before start": of(HOOKS, "a_failure_before_start_leaves_nothing"),
    "5.4 startContainer fails": of(HOOKS, "a_failing_start_container_hook_stops_the_start"),
    "5.4 poststart fails": of(HOOKS, "a_failing_poststart_hook_stops_the_container"),
    "5.4 poststop fails": of(HOOKS, "a_failing_poststop_hook_is_a_warning"),
    "5.4 path, args, env, timeout": of(HOOKS, "timeout", "environment_and_arguments")
    + of("unit/process/hooks", "what_a_hook_must_be"),
}

LINUX = {
    "5.5 default file systems": of(MOUNTS, "default_file_systems_of_the_example")
    + of(VS_RUNC, "spec_is_runcs_apart_from_the_version"),
    "5.5 namespaces": of(
        NAMESPACES, "every_namespace_new", "joined_by_path", "not_listed_is_inherited", "wrong_type_is_refused"
    )
    + of(NAMESPACES, "duplicate_is_refused"),
    "5.5 uidMappings, gidMappings": of(NAMESPACES, "user_namespace_maps_and_devices"),
    "5.5 timeOffsets": of(NAMESPACES, "time_offsets"),
    "5.5 devices": of(MOUNTS, "listed_devices", "a_device_that_is_something_else_is_refused")
    + of(NAMESPACES, "a_device_that_the_host_has_not_got"),
    "5.5 default devices, links of /dev": of(MOUNTS, "default_devices_and_links"),
    "5.5 netDevices": of(
        NET, "moved_with_its_attributes_and_set_up", "global_permanent_addresses_are_kept", "names_by_template"
    )
    + of(NET, "a_name_that_is_taken_is_an_error"),
    "5.5 cgroupsPath": of(CGROUP, "init_is_in_every_hierarchy", "a_path_that_is_no_place_is_refused"),
    "5.5 cgroup fitness": of("unit/cgroup/steps", "an_occupied_or_frozen_cgroup_is_refused"),
    "5.5 cgroup ownership": of(CGROUP, "the_owner_of_a_writable_cgroup")
    + of("unit/cgroup/plan", "who_owns_the_cgroup"),
    "5.5 rootfsPropagation": of(MOUNTS, "rootfs_propagation"),
    "5.5 maskedPaths, readonlyPaths": of(MOUNTS, "masked_paths", "readonly_paths"),
    "5.5 mountLabel": of("unit/plan/mounts", "mount_label") + of(PROPERTIES, "a_mount_label_without_selinux")
    + of("e2e/selinux", "what_is_mounted_has_the_mounts_label"),
    "5.5 personality": of(PROCESS, "personality") + of(PLAN, "personalities_that_cannot_be"),
    "5.5 sysctl": of(NAMESPACES, "sysctl", "a_sysctl_of_the_host_is_refused"),
    "5.6 devices": of(CGROUP, "device_rules") + of("unit/cgroup/devices", "the_program_answers_as_the_rules_say"),
    "5.6 memory.limit": of(RESOURCES, "one_property")
    + of(CGROUP, "memory_limit_kills_inside")
    + of("e2e/cgroup_v2", "a_limit_that_init_does_not_survive_is_an_error_of_create"),
    "5.6 memory.reservation": of(RESOURCES, "one_property") + of(CGROUP, "a_limit_is_in_its_file"),
    "5.6 memory.swap": of(RESOURCES, "one_property", "lists_and_order", "swap_alone", "swap_that_cannot_be"),
    "5.6 memory.kernel, memory.kernelTCP": of(RESOURCES, "one_property"),
    "5.6 memory.swappiness, disableOOMKiller, useHierarchy": of(RESOURCES, "one_property"),
    "5.6 memory.checkBeforeUpdate": of(CGROUP, "check_before_update")
    + of("unit/cgroup/steps", "update_refuses_a_limit_below_what_is_used"),
    "5.6 cpu.shares": of(RESOURCES, "one_property", "weights_of_shares") + of(CGROUP, "a_limit_is_in_its_file"),
    "5.6 cpu.quota, cpu.period": of(RESOURCES, "one_property", "lists_and_order") + of(RULES, "what_breaks_a_rule"),
    "5.6 cpu.burst": of(RESOURCES, "one_property", "lists_and_order") + of(RULES, "what_breaks_a_rule"),
    "5.6 cpu.realtimeRuntime, cpu.realtimePeriod": of(RESOURCES, "one_property"),
    "5.6 cpu.cpus, cpu.mems": of(RESOURCES, "one_property") + of(CGROUP, "a_limit_is_in_its_file"),
    "5.6 cpu.idle": of(RESOURCES, "one_property") + of(ANSWERS, "update_flags_of_later_runtimes"),
    "5.6 blockIO.weight, blockIO.leafWeight": of(RESOURCES, "one_property", "io_weight_keeps_the_ends_of_the_scale"),
    "5.6 blockIO.weightDevice": of(RESOURCES, "lists_and_order") + of(RULES, "what_breaks_a_rule"),
    "5.6 blockIO.throttle": of(RESOURCES, "lists_and_order") + of(CGROUP, "update_merges_limits_of_devices"),
    "5.6 hugepageLimits": of(RESOURCES, "lists_and_order", "page_sizes_are_not_paths")
    + of(CGROUP, "a_limit_is_in_its_file"),
    "5.6 network": of(RESOURCES, "network_priorities_on_v1"),
    "5.6 pids": of(CGROUP, "pids_limit_holds_inside", "a_pids_limit_of_zero"),
    "5.6 rdma": of(RESOURCES, "lists_and_order") + of(RULES, "what_breaks_a_rule"),
    "5.6 unified": of(RESOURCES, "unified_comes_last_and_as_it_is", "unified_stays_in_the_directory")
    + of(CGROUP, "unified_resources", "unified_resources_need_v2"),
    "5.7 defaultAction, actions": of(COMPILE, "every_action"),
    "5.7 defaultErrnoRet, errnoRet": of(COMPILE, "error_numbers", "profiles_that_cannot_be_meant"),
    "5.7 architectures": of(COMPILE, "the_names_of_all_architectures_of_the_specification"),
    "5.7 flags": of(SECCOMP, "the_kernel_takes_each_flag", "the_kernel_takes_flags_with_a_listener")
    + of("unit/seccomp/plan", "flags", "flags_with_a_listener"),
    "5.7 listenerPath": of(
        SECCOMP, "the_listener_gets_the_state_and_decides", "a_listener_path_without_notify_is_ignored"
    )
    + of(SECCOMP, "a_listener_that_is_not_there_stops_the_container"),
    "5.7 listenerMetadata": of(SECCOMP, "the_listener_gets_the_state_and_decides") + of(RULES, "what_breaks_a_rule"),
    "5.7 syscalls": of(
        COMPILE, "every_operator", "masked_comparison", "unknown_calls_are_left_out_and_doubled_rules_are_fine"
    ),
    "5.7 ContainerProcessState": of(
        SECCOMP, "the_listener_gets_the_state_and_decides", "exec_has_a_listener_of_its_own"
    ),
    "5.7 ENOSYS for newer calls": of(SECCOMP, "calls_newer_than_the_profile_do_not_exist"),
    "5.7 the cache": of(
        "unit/seccomp/cache", "a_poisoned_entry_is_ignored_and_replaced", "a_new_libseccomp_makes_a_new_filter"
    ),
    "5.8 intelRdt set, unset": of(RDT, "not_set_touches_nothing", "without_resctrl_it_is_an_error"),
    "5.8 closID": of(RDT, "the_root_class", "a_class_of_its_own_is_made_and_removed", "a_named_class_is_made_and_stays")
    + of(RDT, "a_named_class_that_differs_is_an_error", "a_named_class_without_schemata_must_exist"),
    "5.8 write order": of(RDT, "a_class_of_its_own_is_made_and_removed", "nothing_given_writes_no_schemata"),
    "5.8 enableMonitoring": of(RDT, "monitoring_has_a_group_that_goes_with_the_container"),
    "5.8 memoryPolicy": of(PROPERTIES, "memory_policy") + of(PLAN, "memory_policies_that_cannot_be"),
}

RUNTIME = {
    "5.9 the creator can use all operations": of(LIFE, "the_whole_life") + of("e2e/rootless", "the_whole_life"),
    "5.9 state": of(ANSWERS, "state"),
    "5.9 status": of(ANSWERS, "state"),
    "5.9 create": of(LIFE, "create_of_a_taken_id", "a_program_that_is_not_there_fails_create") + of(BAD, "invalid_id"),
    "5.9 the program does not run before start": of(LIFE, "the_program_does_not_run_before_start"),
    "5.9 a hook fails": of(
        HOOKS, "a_failure_before_start_leaves_nothing", "a_failing_poststart_hook_stops_the_container"
    ),
    "5.9 later edits": of(LIFE, "later_edits_of_the_bundle_have_no_effect"),
    "5.9 order of the lifecycle": of(HOOKS, "order_state_and_namespaces"),
    "5.9 start": of(LIFE, "what_each_status_refuses") + of(BAD, "process_missing_is_an_error_of_start"),
    "5.9 kill": of(ANSWERS, "signals", "refusals_by_status"),
    "5.9 delete": of(LIFE, "delete_of_a_created_container", "what_each_status_refuses"),
    "5.9 query": of(VS_RUNC, "fails_as_runc_does"),
    "5.9 errors leave nothing": of(NET, "a_failed_create_gives_devices_back")
    + of(RDT, "a_failed_create_removes_its_class"),
    "5.9 descriptors": of(PROCESS, "only_three_descriptors"),
    "5.10 versions": of(PROPERTIES, "the_versions_of_features_are_accepted"),
    "5.10 hooks, mountOptions": of(FEATURES, "mount_options_are_those_of_the_planner"),
    "5.10 namespaces, capabilities": of(FEATURES, "capabilities_are_those_of_the_kernel"),
    "5.10 cgroup": of(FEATURES, "has_every_member_of_the_schema"),
    "5.10 seccomp": of(FEATURES, "seccomp_is_what_the_compiler_knows"),
    "5.10 enabled": of(FEATURES, "what_is_enabled_is_what_the_planners_read"),
    "5.10 memoryPolicy, annotations": of(FEATURES, "what_engines_look_for", "has_every_member_of_the_schema"),
    "5.11 departures": of(LIFE, "delete_of_a_created_container") + of(HOOKS, "order_state_and_namespaces"),
}

ROWS = {**GLOBAL_OPTIONS, **COMMAND_FLAGS, **INVOCATIONS, **ERRORS, **CONFIG, **LINUX, **RUNTIME}
