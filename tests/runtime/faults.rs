//! Faults that the runtime once had. Each case runs in a process of its own with a time limit: see tests/programs/faults.rs.

use std::process::{Command, Output, Stdio};

/// Runs a case, which must end in time and print just this.
fn check(case: &str, expected: &str) {
    check_with(case, expected, &[]);
}

fn check_with(case: &str, expected: &str, variables: &[(&str, &str)]) {
    check_program(env!("CARGO_BIN_EXE_faults"), case, expected, variables);
}

fn check_late(case: &str, expected: &str) {
    check_program(env!("CARGO_BIN_EXE_late_faults"), case, expected, &[]);
}

fn check_program(program: &str, case: &str, expected: &str, variables: &[(&str, &str)]) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new("timeout")
        .args(["--signal=KILL", "30", program, case])
        .envs(variables.iter().copied())
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (stdout, stderr) = (
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr),
    );
    assert!(
        status.success() && stdout == expected,
        "{case}: {status}, wanted {expected:?}, got {stdout:?}\n{stderr}"
    );
}

#[test]
fn bytes_that_come_while_the_budget_yields_are_read() {
    check("budget", "Ok(10)\n");
}

#[test]
fn clones_made_before_the_first_wait_can_both_wait() {
    check(
        "clones",
        "read Ok(())\nread Ok(())\naccepted Ok(true)\naccepted Ok(true)\n",
    );
}

#[test]
fn a_read_ended_by_close_is_an_error_and_no_end_of_stream() {
    check(
        "close_tells",
        "waiting elsewhere: Err(NotConnected)\nafterwards: Err(NotConnected)\n",
    );
}

#[test]
fn a_fiber_asked_for_before_its_hub_was_made_can_be_unparked() {
    check("current_before_hub", "in time: true\n");
}

#[test]
fn a_cancel_put_off_by_a_siblings_unwinding_comes_after_it() {
    check("deferred_cancel", "cancelled: true\n");
}

#[test]
fn a_closure_that_gets_no_stack_is_not_dropped_on_the_hubs_loop() {
    check_with(
        "destructor_on_the_loop",
        "Err(HubEnded)\n",
        &[("KAPOK_STACK_GUARD", "mprotect")],
    );
}

#[test]
fn a_drain_in_a_timeout_ends_with_it() {
    check("drain_in_timeout", "Err(TimedOut), in time: true\n");
}

#[test]
fn a_closure_in_the_inbox_of_a_thread_that_ends_is_told_so() {
    check("ended_thread_receives", "Err(HubEnded)\n");
}

#[test]
fn who_joins_a_fiber_that_was_leaked_with_its_thread_is_told_so() {
    check("ended_thread_runs", "Err(HubEnded)\n");
}

#[test]
fn a_fiber_inherits_no_locals() {
    check("fiber_local_inherited", "0\n");
}

#[test]
fn a_run_under_a_guard_does_not_switch() {
    check("guard_under_run", "told: true, switched: false\n");
}

#[test]
fn a_stack_size_without_end_is_an_error() {
    check(
        "huge_stack",
        "Ok(false)\nOk(false)\nOk(false)\nOk(false)\nOk(5)\n",
    );
}

#[test]
fn a_loop_over_incoming_that_skips_errors_ends_at_a_stop() {
    check("incoming_at_stop", "Ok(())\n");
}

#[test]
fn a_fiber_sent_to_a_draining_hub_is_cancelled_too() {
    check("late_remote_spawn", "Ok(())\n");
}

#[test]
fn a_fiber_spawned_by_a_destructor_of_a_draining_hub_is_cancelled_too() {
    check("late_spawn", "Ok(())\n");
}

#[test]
fn a_closure_in_the_inbox_that_panics_when_dropped_does_not_hide_the_hubs_end() {
    check("left_closure", "Ok(())\n");
}

#[test]
fn a_fiber_keeps_its_name_after_its_end() {
    check("name_after_end", "Some(\"clerk\")\n");
}

#[test]
fn a_payload_of_main_that_panics_when_dropped_does_not_hide_the_hubs_end() {
    check(
        "payload_of_main",
        "Err(\"the main function of hub 0 panicked\")\n",
    );
}

#[test]
fn the_pool_outlives_results_that_panic_when_dropped() {
    check("pool_threads", "5\n");
}

#[test]
fn a_drain_of_a_fiber_that_spawns_itself_again_comes_to_an_end() {
    check("respawn", "returned with 1 left\n");
}

#[test]
fn what_main_sends_to_its_own_hub_is_run() {
    check("sent_in_main", "1\n");
}

#[test]
fn a_stop_ends_a_main_that_drains() {
    check("stop_in_drain", "Ok(())\n");
}

#[test]
fn what_is_sent_to_a_stuck_hub_is_told_so() {
    check("stuck_hub_receives", "stuck: true, Err(HubEnded)\n");
}

#[test]
fn a_hub_used_again_knows_nothing_of_an_earlier_stop() {
    check("stale_scope", "Err(TimedOut)\n");
}

#[test]
fn a_thread_whose_fibers_have_ended_leaves_no_descriptors() {
    check("thread_descriptors", "0 more\n");
}

#[test]
fn an_unpark_is_not_used_up_by_a_sleep() {
    check("token", "at once: true\n");
}

#[test]
fn a_fiber_spawned_by_a_destructor_in_a_hubs_end_stays_on_its_thread() {
    check_late("spawned_in_the_end", "crossed: 0\n");
}

#[test]
fn a_hub_is_used_again_once_its_last_handle_is_dropped() {
    check_late("late_handles", "little more: true\n");
}

#[test]
fn a_hub_of_a_thread_that_is_named_main_is_used_again() {
    check_late("named_main", "little more: true\n");
}

#[test]
fn a_cancel_swallowed_around_a_timeout_does_not_hold_the_hub() {
    check_late("swallowed_around_a_timeout", "left: Err(1)\n");
}

#[test]
fn a_server_without_stacks_goes_on() {
    let few_stacks = [("KAPOK_STACK_GUARD", "mprotect")];
    let program = env!("CARGO_BIN_EXE_late_faults");
    let expected = "refused: Ok(0)\n";
    check_program(program, "served_without_stacks", expected, &few_stacks);
}

#[test]
fn a_waker_of_others_is_called_without_a_stack_for_it() {
    let few_stacks = [("KAPOK_STACK_GUARD", "mprotect")];
    let program = env!("CARGO_BIN_EXE_late_faults");
    check_program(
        program,
        "woken_without_stacks",
        "read: Ok(5)\n",
        &few_stacks,
    );
}

#[test]
fn a_waker_that_found_no_stack_is_called_when_there_is_one() {
    let few_stacks = [("KAPOK_STACK_GUARD", "mprotect")];
    let program = env!("CARGO_BIN_EXE_late_faults");
    check_program(
        program,
        "woken_when_a_stack_is_free",
        "woken\n",
        &few_stacks,
    );
}

#[test]
fn a_sleep_outlives_a_hub_that_is_leaked() {
    check_late("sleep_of_a_leaked_hub", "slept\n");
}

#[test]
fn more_joins_than_pool_threads_leave_the_pool_to_the_hubs() {
    check_late("more_joins_than_pool_threads", "joined\n");
}
