"""Answers to "am I right?": checkpoints in the text and checks of exercises."""

from course_utils.checks.exercises import Exercise, check
from course_utils.checks.expectations import expect

__all__ = ["Exercise", "check", "expect"]
