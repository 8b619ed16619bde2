"""The rules of differentiation: one function and one formula for each operation."""

from chainrule.lens.rules.book import RuleEntry, find_rule, rule_book
from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule, check_value
from chainrule.lens.rules.table import CONSTANT, RULES
from chainrule.lens.rules.written import derivatives, in_full, rule_facts, rules_page

__all__ = [
    "CONSTANT",
    "RULES",
    "Call",
    "Formula",
    "Gradients",
    "Rule",
    "RuleEntry",
    "check_value",
    "derivatives",
    "find_rule",
    "in_full",
    "rule_book",
    "rule_facts",
    "rules_page",
]
