"""Tests of the comparisons of tasks. They run with those of `harness.tests`."""

import re
import sys
import unittest

from harness import build, fibers, machine
from harness.failure import Failure
from harness.task_works import TASK_WORKS, Program, TaskSystem


class Figures(unittest.TestCase):
    def test_figures_are_read_by_row(self):
        output = (
            "tokio yield x100: 29.1 ns\n"
            "tokio idle task memory: 456 B\n"
            "tokio unbounded, 1 to 1: 12500000 messages/s\n"
            "tokio unbounded, 1 to 1, processor time: 40.5 ns\n"
            "something else\n"
        )
        expected = {
            "yield x100, ns": 29.1,
            "idle task memory, B": 456.0,
            "unbounded, 1 to 1, messages/s": 12_500_000.0,
            "unbounded, 1 to 1, processor time, ns": 40.5,
        }
        self.assertEqual(fibers.parse("tokio", output, 1), expected)

    def test_kapoks_own_names_are_the_peers_rows(self):
        output = (
            "kapok yield_now x100 fibers: 7.1 ns\n"
            "kapok yield_now x100 fibers three frames deep: 29.0 ns\n"
            "kapok idle fiber: 4224.00 bytes\n"
            "kapok start of all: 0.50 s\n"
            "kapok peak over parked: 1.10 times\n"
        )
        expected = {
            "yield x100, ns": 7.1,
            "yield x100, three frames deep, ns": 29.0,
            "idle task memory, B": 4224.0,
            "idle task start, ns": 500.0,
        }
        self.assertEqual(fibers.parse("kapok", output, 1_000_000), expected)

    def test_known_rows_come_first_and_deep_ones_behind_their_twins(self):
        lists = [
            ["park+unpark round trip, ns", "yield x100, three frames deep, ns"],
            ["mutex lock+unlock, ns", "yield x100, ns"],
        ]
        expected = [
            "yield x100, ns",
            "yield x100, three frames deep, ns",
            "mutex lock+unlock, ns",
            "park+unpark round trip, ns",
        ]
        self.assertEqual(fibers.ordered_rows(lists, TASK_WORKS["fibers"].rows), expected)

    def test_a_row_whose_name_begins_as_another_has_its_own_place(self):
        rows = ["a, processor time, ns", "b, messages/s", "a, messages/s"]
        expected = ["a, messages/s", "a, processor time, ns", "b, messages/s"]
        self.assertEqual(fibers.ordered_rows([rows], ["a", "a, processor time", "b"]), expected)

    def test_the_median_is_of_the_rounds_that_have_the_row(self):
        passes = [{"a": 1.0, "b": 5.0}, {"a": 3.0}, {"a": 2.0}]
        self.assertEqual(fibers.median_figures(passes, []), {"a": 2.0, "b": 5.0})


class TaskWorks(unittest.TestCase):
    def test_every_program_has_its_twin_in_kapoks_benchmarks(self):
        manifest = (build.REPOSITORY / "runtime" / "Cargo.toml").read_text()
        benches = re.findall(r'^\[\[bench\]\]\nname = "(\w+)"$', manifest, re.MULTILINE)
        for work in TASK_WORKS.values():
            self.assertLessEqual({program.kapok_bench for program in work.programs}, set(benches))


class Attempts(unittest.TestCase):
    def test_an_attempt_that_fails_leaves_what_was_reached_and_a_note(self):
        program = "print('waiting so far: 1000 tasks\\nwaiting so far: 2000 tasks'); raise SystemExit('no room')"
        failed = {}
        figures = fibers.measure(self.system(program, attempt="{tasks:,} tasks"), 5_000, failed)
        self.assertEqual(figures, {"waiting at once, tasks": 2000.0})
        self.assertEqual(list(failed.values()), ["5,000 tasks: mine ended with 1: no room"])

    def test_what_must_work_fails_the_run(self):
        with self.assertRaisesRegex(Failure, "^mine ended with 1: broken$"):
            fibers.measure(self.system("raise SystemExit('broken')"), 1, {})
        with self.assertRaisesRegex(Failure, "^mine printed no figures$"):
            fibers.measure(self.system("pass"), 1, {})

    def system(self, program, **settings):
        described = Program("mine", ["mine"], "mine", **settings)
        return TaskSystem("mine", [(described, [sys.executable, "-c", program])])

    def test_more_memory_than_there_is_is_refused_before_anything_runs(self):
        machine.check_memory(1)
        with self.assertRaisesRegex(Failure, "--tasks asks for fewer"):
            machine.check_memory(1 << 60)
