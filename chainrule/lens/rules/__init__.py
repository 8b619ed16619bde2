"""The rules of differentiation: one function and one formula for each operation."""

from chainrule.lens.rules.book import RuleEntry, find_rule, rule_book
from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule, check_value, unbroadcast
from chainrule.lens.rules.table import CONSTANT, RULES

__all__ = [
    "CONSTANT",
    "RULES",
    "Call",
    "Formula",
    "Gradients",
    "Rule",
    "RuleEntry",
    "check_value",
    "find_rule",
    "rule_book",
    "unbroadcast",
]
