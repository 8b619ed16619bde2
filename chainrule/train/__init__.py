"""The training of a model: from settings and text to a run folder."""

from chainrule.train.claim import let_read
from chainrule.train.finish import run_status, write_summary
from chainrule.train.guard import check_ids, unsound_names
from chainrule.train.lesson import BatchSource, Kept
from chainrule.train.live_page import Report
from chainrule.train.looks import final_scoring, held_out_bits, own_scoring, where
from chainrule.train.mend import kept_files
from chainrule.train.objective import LossFunction, NextToken, Objective
from chainrule.train.once_more import differing_environment, steps_again, take_up
from chainrule.train.origin import Origin, find_origin, gentle_rate, link_old_text, old_dataset
from chainrule.train.prepare import prepare_text, tokenizer_row, training_batches
from chainrule.train.pretraining import Way, carried_out, pretrain
from chainrule.train.probe import likely_micro_batch, training_loss
from chainrule.train.record import start_record
from chainrule.train.resume import saved_settings
from chainrule.train.room import check_room
from chainrule.train.session import Session
from chainrule.train.settings import on_machine, save_settings
from chainrule.train.stages import Probed, Settled, Start
from chainrule.train.start import again, anew, ready
from chainrule.train.state import TrainState, seed_step
from chainrule.train.step import StepResult, StepSettings, gradient_norms, train_step
from chainrule.train.stop import Stop
from chainrule.train.team import Judge, Made, Portion, Team
from chainrule.train.text_lesson import TextLesson
from chainrule.train.watch import Watch, silent

__all__ = [
    "BatchSource",
    "Judge",
    "Kept",
    "LossFunction",
    "Made",
    "NextToken",
    "Objective",
    "Origin",
    "Portion",
    "Probed",
    "Report",
    "Session",
    "Settled",
    "Start",
    "StepResult",
    "StepSettings",
    "Stop",
    "Team",
    "TextLesson",
    "TrainState",
    "Watch",
    "Way",
    "again",
    "anew",
    "carried_out",
    "check_ids",
    "check_room",
    "differing_environment",
    "final_scoring",
    "find_origin",
    "gentle_rate",
    "gradient_norms",
    "held_out_bits",
    "kept_files",
    "let_read",
    "likely_micro_batch",
    "link_old_text",
    "old_dataset",
    "on_machine",
    "own_scoring",
    "prepare_text",
    "pretrain",
    "ready",
    "run_status",
    "save_settings",
    "saved_settings",
    "seed_step",
    "silent",
    "start_record",
    "steps_again",
    "take_up",
    "tokenizer_row",
    "train_step",
    "training_batches",
    "training_loss",
    "unsound_names",
    "where",
    "write_summary",
]
